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

package metrics

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

func TestSessionEnded(t *testing.T) {
	idle, left := sessionsEnded.WithLabelValues("exec", "Idle"), leftovers
	beforeIdle, beforeLeft := testutil.ToFloat64(idle), testutil.ToFloat64(left)
	SessionEnded(Exec, "Idle", false)
	SessionEnded(Exec, "Idle", true)
	if n := testutil.ToFloat64(idle) - beforeIdle; n != 2 {
		t.Errorf("%v ends were counted; want 2", n)
	}
	if n := testutil.ToFloat64(left) - beforeLeft; n != 1 {
		t.Errorf("%v leftovers were counted; want 1", n)
	}
	if problems, err := testutil.GatherAndLint(metrics.Registry, "dockercontrol_sessions_ended_total", "dockercontrol_session_leftovers_total"); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
