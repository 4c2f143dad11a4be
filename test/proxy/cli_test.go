/*
Copyright The Docker Control Platform Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package proxy

import (
	"strings"
	"testing"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

func TestSmoke(t *testing.T) {
	b := newBed(t, testbed.DockerdOptions{})
	admin := b.proxied(t, b.user(t, dcv1.HostAdmin))
	for _, line := range []string{
		"version", "info", "ps -a", "run --rm busybox:test echo hello", "run -d --name x busybox:test sleep 100", "exec x echo in", "logs x",
		"inspect x", "rm -f x", "run --rm busybox:test sh -c 'exit 3'",
	} {
		t.Logf("%s: %s", line, admin.run(t, strings.Fields(line)...))
	}
}
