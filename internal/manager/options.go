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
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/pflag"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostspec"
	"github.com/dockercontrol/dockercontrol/internal/proxy"
	"github.com/dockercontrol/dockercontrol/internal/proxy/session"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// Options are what the manager's flags decide.
type Options struct {
	// Namespaces limits the manager to some; empty means all.
	Namespaces []string
	// UnixEndpointNamespaces may hold unix:// endpoints; "*" stands for all.
	UnixEndpointNamespaces []string
	// EndpointCIDRs are what may be dialled; empty means all but loopback and
	// link-local addresses.
	EndpointCIDRs []string
	// AllowLoopbackEndpoints lets hosts be on the manager's own loopback addresses.
	AllowLoopbackEndpoints bool

	// LeaderElect makes one of several replicas the one that writes.
	LeaderElect bool
	// LeaderIdentity names this manager in the leader's Lease; empty makes up a name
	// for each process. A manager that is given the name of one that died takes over
	// its Lease at once, so only who knows that there are no two may give it.
	LeaderIdentity string
	// Namespace is the manager's own: the leader's Lease, the Secret with the replicas'
	// keys and the Leases with the heads of their audit trails are in it.
	Namespace string

	// MetricsAddress serves /metrics; "0" serves none.
	MetricsAddress string
	// MetricsSecure serves metrics over TLS to those who may `get` /metrics.
	MetricsSecure bool
	// HealthAddress serves /healthz and /readyz; "0" serves none.
	HealthAddress string

	// ProxyAddress serves the proxy and the console; "0" serves none.
	ProxyAddress string
	// ProxyCertFile and ProxyKeyFile are in PEM and reloaded when they change;
	// both empty means a self-signed certificate.
	ProxyCertFile, ProxyKeyFile string
	// TrustedProxies are the address ranges of load balancers whose X-Forwarded-For is
	// believed.
	TrustedProxies []string
	// SessionIdle and SessionMax are how long a browser's session holds unused, and at
	// most.
	SessionIdle, SessionMax time.Duration
	// ProxyLimits are what a user or a source address may take of a replica.
	ProxyLimits proxy.Limits

	// Exec bounds the sessions of exec and attach, and says where they are recorded.
	Exec stream.ExecOptions
	// ExecRecordingsMB bounds the recordings together.
	ExecRecordingsMB int

	// AuditFile takes the audit trail as JSON lines; "-" is standard output, empty
	// writes none.
	AuditFile string
	// AuditMaxFiles is how many files of 100 MB are kept, the current one included.
	AuditMaxFiles int
	// AuditStdout copies what AuditFile takes to standard output.
	AuditStdout bool

	// ShutdownTimeout bounds how long a stop waits for what is under way.
	ShutdownTimeout time.Duration
}

// maxAuditFiles is 100 GB; rotation renames each of them.
const maxAuditFiles = 1000

// DefaultOptions are the flags' defaults.
func DefaultOptions() Options {
	exec := stream.DefaultExecOptions()
	return Options{
		LeaderElect:     true,
		Namespace:       "dockercontrol-system",
		MetricsAddress:  ":8444",
		MetricsSecure:   true,
		HealthAddress:   ":8081",
		ProxyAddress:    ":8443",
		AuditFile:       "-",
		AuditMaxFiles:   audit.DefaultMaxFiles,
		SessionIdle:     session.DefaultIdle,
		SessionMax:      session.DefaultMax,
		ProxyLimits:     proxy.DefaultLimits(),
		ShutdownTimeout: 20 * time.Second,

		Exec:             exec,
		ExecRecordingsMB: int(exec.RecordTotal >> 20),
	}
}

// BindFlags adds a flag for each option, with the present values as defaults.
func (o *Options) BindFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.Namespaces, "namespaces", o.Namespaces,
		"Namespaces whose objects the manager serves, comma-separated; empty means all.")
	fs.StringSliceVar(&o.UnixEndpointNamespaces, "unix-endpoint-namespaces", o.UnixEndpointNamespaces,
		"Namespaces whose DockerHosts may have unix:// endpoints, which are sockets on the manager's own machine; * means all.")
	fs.StringSliceVar(&o.EndpointCIDRs, "endpoint-cidrs", o.EndpointCIDRs,
		"Address ranges that may be dialled, checked on the address actually dialled; empty means all but loopback and link-local addresses.")
	fs.BoolVar(&o.AllowLoopbackEndpoints, "allow-loopback-endpoints", o.AllowLoopbackEndpoints,
		"Let DockerHosts be on the manager's own loopback addresses.")
	fs.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect,
		"Elect a leader among the replicas; only the leader writes statuses and Events.")
	fs.StringVar(&o.Namespace, "namespace", o.Namespace,
		"The manager's own namespace, which holds the leader's Lease and the replicas' keys.")
	fs.StringVar(&o.MetricsAddress, "metrics-bind-address", o.MetricsAddress,
		"Address of the metrics endpoint; 0 serves none.")
	fs.BoolVar(&o.MetricsSecure, "metrics-secure", o.MetricsSecure,
		"Serve metrics over TLS, to those who may get the non-resource URL /metrics.")
	fs.StringVar(&o.HealthAddress, "health-probe-bind-address", o.HealthAddress,
		"Address of /healthz and /readyz; 0 serves none.")
	fs.StringVar(&o.ProxyAddress, "proxy-address", o.ProxyAddress,
		"Address of the proxy and the console, over TLS; 0 serves none.")
	fs.StringVar(&o.ProxyCertFile, "proxy-cert-file", o.ProxyCertFile,
		"Certificate of the proxy in PEM, reloaded when it changes; without one the proxy signs its own.")
	fs.StringVar(&o.ProxyKeyFile, "proxy-key-file", o.ProxyKeyFile,
		"Key of the proxy's certificate in PEM, reloaded when it changes.")
	o.bindProxyFlags(fs)
	o.bindExecFlags(fs)
	fs.StringVar(&o.AuditFile, "audit-file", o.AuditFile,
		"File for the audit trail as JSON lines, rotated; - is standard output, empty writes none.")
	fs.IntVar(&o.AuditMaxFiles, "audit-max-files", o.AuditMaxFiles,
		"How many files of 100 MB the audit trail keeps, the current one included; at least 2.")
	fs.BoolVar(&o.AuditStdout, "audit-stdout", o.AuditStdout,
		"Copy the audit trail to standard output as well, for a log collector.")
	fs.DurationVar(&o.ShutdownTimeout, "shutdown-timeout", o.ShutdownTimeout,
		"How long a stop waits for what is under way.")
}

func (o *Options) bindProxyFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.TrustedProxies, "trusted-proxies", o.TrustedProxies,
		"Address ranges of load balancers whose X-Forwarded-For tells the proxy where requests come from; empty believes none.")
	fs.DurationVar(&o.SessionIdle, "session-idle-timeout", o.SessionIdle,
		"How long a browser's session holds while it is not used.")
	fs.DurationVar(&o.SessionMax, "session-max-duration", o.SessionMax,
		"How long a browser's session holds at most; it never outlives its token.")
	l := &o.ProxyLimits
	fs.IntVar(&l.UserRate, "user-requests-per-second", l.UserRate,
		"Requests a second that a user may send to a replica's proxy for long; twice as many at once.")
	fs.IntVar(&l.Streams, "user-streams", l.Streams,
		"Streams that a user may have open at once on a replica.")
	fs.IntVar(&l.Connections, "user-connections", l.Connections,
		"Connections that a user may have open at once to the engines' own APIs on a replica.")
	fs.IntVar(&l.Viewers, "container-viewers", l.Viewers,
		"Viewers that one container's log or statistics, or one host's events, may have at once on a replica.")
	fs.IntVar(&l.RefusedRate, "refused-tokens-per-second", l.RefusedRate,
		"Tokens a second from one address that may be refused before a replica looks at no more of them; five times as many at once.")
	fs.IntVar(&l.Logins, "logins-per-minute", l.Logins,
		"Logins a minute from one address on a replica.")
}

// Validate says what is wrong with the options, all of it.
func (o *Options) Validate() error {
	var errs []error
	for _, a := range []struct{ flag, address string }{
		{"--metrics-bind-address", o.MetricsAddress},
		{"--health-probe-bind-address", o.HealthAddress},
		{"--proxy-address", o.ProxyAddress},
	} {
		if a.address == "0" {
			continue
		}
		if _, _, err := net.SplitHostPort(a.address); err != nil {
			errs = append(errs, fmt.Errorf("%s %q is not host:port, :port or 0: %w", a.flag, a.address, err))
		}
	}
	if (o.ProxyCertFile == "") != (o.ProxyKeyFile == "") {
		errs = append(errs, errors.New("--proxy-cert-file and --proxy-key-file go together: give both or neither"))
	}
	if o.AuditMaxFiles < 2 || o.AuditMaxFiles > maxAuditFiles {
		errs = append(errs, fmt.Errorf("--audit-max-files %d is out of range: 2 to %d", o.AuditMaxFiles, maxAuditFiles))
	}
	if o.Namespace == "" {
		errs = append(errs, errors.New("--namespace must be given: the leader's Lease and the replicas' keys are in it"))
	}
	if o.ShutdownTimeout <= 0 {
		errs = append(errs, errors.New("--shutdown-timeout must be more than 0"))
	}
	if _, err := o.endpointPolicy(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, o.validateProxy(), o.validateExec())...)
}

func (o *Options) validateProxy() error {
	var errs []error
	if _, err := o.trustedProxies(); err != nil {
		errs = append(errs, err)
	}
	if o.SessionIdle <= 0 || o.SessionMax < o.SessionIdle {
		errs = append(errs, errors.New("--session-idle-timeout must be more than 0, and --session-max-duration not less than it"))
	}
	for _, l := range []struct {
		flag  string
		value int
	}{
		{"--user-requests-per-second", o.ProxyLimits.UserRate},
		{"--user-streams", o.ProxyLimits.Streams},
		{"--container-viewers", o.ProxyLimits.Viewers},
		{"--user-connections", o.ProxyLimits.Connections},
		{"--refused-tokens-per-second", o.ProxyLimits.RefusedRate},
		{"--logins-per-minute", o.ProxyLimits.Logins},
	} {
		if l.value <= 0 {
			errs = append(errs, fmt.Errorf("%s must be more than 0", l.flag))
		}
	}
	return errors.Join(errs...)
}

func (o *Options) trustedProxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, cidr := range o.TrustedProxies {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies %q is not an address range, as in 10.0.0.0/8: %w", cidr, err)
		}
		list = append(list, prefix.Masked())
	}
	return list, nil
}

func (o *Options) endpointPolicy() (hostspec.EndpointPolicy, error) {
	p := hostspec.EndpointPolicy{
		UnixNamespaces: o.UnixEndpointNamespaces,
		Addresses:      engine.AddressPolicy{Loopback: o.AllowLoopbackEndpoints},
	}
	for _, cidr := range o.EndpointCIDRs {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return p, fmt.Errorf("--endpoint-cidrs %q is not an address range, as in 10.0.0.0/8: %w", cidr, err)
		}
		p.Addresses.Allowed = append(p.Addresses.Allowed, prefix.Masked())
	}
	return p, nil
}
