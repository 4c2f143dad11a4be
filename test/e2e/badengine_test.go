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

package e2e

import (
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestBadEngines connects to servers that are none, or bad ones, beside a real
// engine that must not notice.
func TestBadEngines(t *testing.T) {
	b := newBed(t)
	d := testbed.StartDockerd(t, testbed.DockerdOptions{})
	well := testenv.NewHost(b.namespace, "well", d.Endpoint())
	b.Create(t, well)
	b.WaitReady(t, well, "True/Connected", promptly)
	version := well.ResourceVersion

	trap := testbed.StartHTMLServer(t)
	redirect := testbed.StartRedirectServer(t, "http"+strings.TrimPrefix(trap.Endpoint(), "tcp"))
	tests := []struct {
		name, endpoint, want string
	}{
		{"old", testbed.StartOldServer(t, "1.24").Endpoint(), "False/APIVersionUnsupported"},
		{"html", testbed.StartHTMLServer(t).Endpoint(), "False/EngineError"},
		{"silent", testbed.StartSilentServer(t).Endpoint(), "False/Timeout"},
		{"junk", testbed.StartJunkServer(t, 10<<20).Endpoint(), "False/EngineError"},
		{"garbage", testbed.StartGarbageServer(t, 10<<20).Endpoint(), "False/EngineError"},
		{"redirect", redirect.Endpoint(), "False/EngineError"},
	}
	for _, tt := range tests {
		host := b.insecureHost(tt.name, tt.endpoint)
		b.Create(t, host)
		t.Logf("%s: %s after %s", tt.name, tt.want, b.WaitReady(t, host, tt.want, 5*time.Second))
	}
	if redirect.Connections() == 0 || trap.Connections() != 0 {
		t.Errorf("a redirect was followed: %d connections to where it leads", trap.Connections())
	}
	b.WaitReady(t, well, "True/Connected", promptly)
	if well.ResourceVersion != version {
		t.Error("the real engine's host was written to while the bad ones were tried")
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	if mem.HeapAlloc > 512<<20 {
		t.Errorf("the heap is %d MiB with servers that send junk", mem.HeapAlloc>>20)
	}
}

// TestForbiddenEndpoints declares endpoints that the manager's flags forbid, and
// counts the connections that are made all the same.
func TestForbiddenEndpoints(t *testing.T) {
	c := testenv.Start(t)
	ns := c.Namespace(t)
	options := testenv.ManagerOptions(ns)
	options.AllowLoopbackEndpoints = false
	options.UnixEndpointNamespaces = nil
	options.EndpointCIDRs = []string{"198.51.100.0/24"}
	b := &bed{Cluster: c, namespace: ns, manager: c.StartManager(t, options)}
	server := testbed.StartHTMLServer(t)
	port := netip.MustParseAddrPort(strings.TrimPrefix(server.Endpoint(), "tcp://")).Port()
	for name, endpoint := range map[string]string{
		"unix":         server.UnixEndpoint(),
		"loopback":     server.Endpoint(),
		"by-name":      "tcp://localhost:" + itoa(port),
		"outside":      "tcp://203.0.113.7:2375",
		"loopback-v6":  "tcp://[::1]:" + itoa(port),
		"mapped":       "tcp://[::ffff:127.0.0.1]:" + itoa(port),
		"link-local":   "tcp://169.254.169.254:80",
		"unspecified":  "tcp://0.0.0.0:" + itoa(port),
		"odd-spelling": "tcp://127.1:" + itoa(port),
	} {
		host := b.insecureHost(name, endpoint)
		if name == "unix" {
			host.Spec.Insecure = nil
		}
		b.Create(t, host)
		want := "False/EndpointForbidden"
		if name == "odd-spelling" { // no resolver takes it for an address, so it is a name that nobody has
			want = "False/NameNotResolved"
		}
		b.WaitReady(t, host, want, 5*time.Second)
	}
	if n := server.Connections(); n != 0 {
		t.Errorf("%d connections were made to a forbidden endpoint", n)
	}
}

func itoa(n uint16) string {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), n).String()[len("0.0.0.0:"):]
}
