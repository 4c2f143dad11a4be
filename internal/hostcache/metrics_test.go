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

package hostcache

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

func TestMetrics(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.connector.OnCheck(func(_ engine.Config, _ time.Time) (engine.CredentialInfo, error) {
			return engine.CredentialInfo{NotAfter: time.Unix(2_000_000_000, 0)}, nil
		})
		docker := b.connected(hostcachetest.Container("c1", "one", "running"), hostcachetest.Container("c2", "two", "created"))
		b.cache.Set(host(db, "unix:///nobody.sock"))
		b.settle()
		want := `
# HELP dockercontrol_host_certificate_expiry_timestamp_seconds When the client certificate for the host expires.
# TYPE dockercontrol_host_certificate_expiry_timestamp_seconds gauge
dockercontrol_host_certificate_expiry_timestamp_seconds{name="db",namespace="default"} 2e+09
dockercontrol_host_certificate_expiry_timestamp_seconds{name="web",namespace="default"} 2e+09
# HELP dockercontrol_host_connects_total Attempts to connect to the host, by result: success or failure.
# TYPE dockercontrol_host_connects_total counter
dockercontrol_host_connects_total{name="db",namespace="default",result="failure"} 1
dockercontrol_host_connects_total{name="db",namespace="default",result="success"} 0
dockercontrol_host_connects_total{name="web",namespace="default",result="failure"} 0
dockercontrol_host_connects_total{name="web",namespace="default",result="success"} 1
# HELP dockercontrol_host_containers Containers of the host by state (running, paused, stopped), as docker info counts them.
# TYPE dockercontrol_host_containers gauge
dockercontrol_host_containers{name="web",namespace="default",state="paused"} 0
dockercontrol_host_containers{name="web",namespace="default",state="running"} 1
dockercontrol_host_containers{name="web",namespace="default",state="stopped"} 1
# HELP dockercontrol_host_probe_duration_seconds How long the last probe that succeeded took.
# TYPE dockercontrol_host_probe_duration_seconds gauge
dockercontrol_host_probe_duration_seconds{name="web",namespace="default"} 0
# HELP dockercontrol_host_up Whether the host is connected: 1 or 0.
# TYPE dockercontrol_host_up gauge
dockercontrol_host_up{name="db",namespace="default"} 0
dockercontrol_host_up{name="web",namespace="default"} 1
# HELP dockercontrol_inventory_age_seconds How long ago the host's engine last confirmed the listing of its containers; 0 while it is current.
# TYPE dockercontrol_inventory_age_seconds gauge
dockercontrol_inventory_age_seconds{name="web",namespace="default"} 0
`
		if err := testutil.CollectAndCompare(b.cache, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
		docker.Stop()
		b.pass(5 * time.Second)
		if err := testutil.CollectAndCompare(b.cache, strings.NewReader(`
# HELP dockercontrol_inventory_age_seconds How long ago the host's engine last confirmed the listing of its containers; 0 while it is current.
# TYPE dockercontrol_inventory_age_seconds gauge
dockercontrol_inventory_age_seconds{name="web",namespace="default"} 5
`), "dockercontrol_inventory_age_seconds"); err != nil {
			t.Error(err)
		}
		b.cache.Delete(web)
		b.cache.Delete(db)
		if n := testutil.CollectAndCount(b.cache); n != 0 {
			t.Errorf("%d series are left of deleted hosts", n)
		}
		if problems, err := testutil.CollectAndLint(b.cache); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
	})
}
