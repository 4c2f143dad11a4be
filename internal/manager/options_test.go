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

package manager

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/dockercontrol/dockercontrol/internal/proxy"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

func TestDefaultsAreValid(t *testing.T) {
	o := DefaultOptions()
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	o := DefaultOptions()
	o.MetricsAddress, o.HealthAddress, o.ProxyAddress = "nowhere", "8081", "[::1"
	o.ProxyKeyFile = "tls.key"
	o.Namespace = ""
	o.AuditMaxFiles = 1
	o.ShutdownTimeout = 0
	o.EndpointCIDRs = []string{"10.0.0.0/8", "10.0.0.1"}
	o.TrustedProxies = []string{"10.0.0.0/8", "balancer"}
	o.SessionMax = o.SessionIdle - 1
	o.ProxyLimits = proxy.Limits{}
	o.Exec.Total, o.Exec.Grace, o.Exec.RecordDir, o.ExecRecordingsMB = o.Exec.Idle-1, 0, "/no/such/directory", 0
	err := o.Validate()
	if err == nil {
		t.Fatal("nothing is wrong with it?")
	}
	for _, flag := range []string{
		`--trusted-proxies "balancer"`, "--session-max-duration", "--user-requests-per-second", "--user-streams", "--user-connections",
		"--refused-tokens-per-second", "--logins-per-minute",
		"--exec-idle-timeout", "--exec-reattach-grace", `--exec-recordings-dir "/no/such/directory"`, "--exec-recordings-max-mb",
		"--metrics-bind-address", "--health-probe-bind-address", "--proxy-address", "--proxy-cert-file", "--namespace", "--audit-max-files", "--shutdown-timeout", `--endpoint-cidrs "10.0.0.1"`,
	} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("the error does not name %s:\n%v", flag, err)
		}
	}
}

// TestFlagsReachTheOptions sets every flag to another value than its default:
// none is declared and then left unread.
func TestFlagsReachTheOptions(t *testing.T) {
	var o Options
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.BindFlags(fs)
	set := map[string]string{"bool": "true", "string": "x", "stringSlice": "a,b", "duration": "3s", "int": "7"}
	before := o
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Usage == "" {
			t.Errorf("--%s has no description", f.Name)
		}
		if err := fs.Set(f.Name, set[f.Value.Type()]); err != nil {
			t.Errorf("--%s: %v", f.Name, err)
		}
	})
	if len(o.Namespaces) != 2 || o.ProxyAddress != "x" || !o.LeaderElect || o.ShutdownTimeout == before.ShutdownTimeout ||
		len(o.TrustedProxies) != 2 || o.SessionIdle == 0 || o.SessionMax == 0 ||
		o.ProxyLimits != (proxy.Limits{UserRate: 7, RefusedRate: 7, Logins: 7, Streams: 7, Connections: 7, Viewers: 7}) ||
		o.execOptions() != (stream.ExecOptions{Idle: 3 * time.Second, Total: 3 * time.Second, Grace: 3 * time.Second, RecordDir: "x", RecordTotal: 7 << 20}) {
		t.Errorf("options = %+v", o)
	}
}

func TestEndpointPolicy(t *testing.T) {
	o := DefaultOptions()
	o.EndpointCIDRs = []string{"10.1.2.3/8"}
	o.UnixEndpointNamespaces = []string{"infra"}
	p, err := o.endpointPolicy()
	if err != nil {
		t.Fatal(err)
	}
	for addr, allowed := range map[string]bool{"10.9.9.9": true, "192.0.2.1": false, "127.0.0.1": false} {
		if err := p.Addresses.Check(netip.MustParseAddr(addr)); (err == nil) != allowed {
			t.Errorf("Check(%s) = %v, want allowed = %v", addr, err, allowed)
		}
	}
	if len(p.UnixNamespaces) != 1 || p.UnixNamespaces[0] != "infra" {
		t.Errorf("unix namespaces = %v", p.UnixNamespaces)
	}
}
