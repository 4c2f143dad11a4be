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
	"context"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	runtimeclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/hostspec"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
	"github.com/dockercontrol/dockercontrol/internal/proxy/actions"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/discovery"
	"github.com/dockercontrol/dockercontrol/internal/proxy/dockerapi"
	"github.com/dockercontrol/dockercontrol/internal/proxy/hostapi"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/relay"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/proxy/streamapi"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// Engines is what the proxy needs to serve engines. All of it is required but
// AuditFile.
type Engines struct {
	Hosts *hostcache.Cache
	Audit audit.Recorder
	// AuditFile is this replica's audit trail, to be searched; empty is none.
	AuditFile string
	Keys      *keyring.Keyring
	// Replica names this process among its like.
	Replica string
	// Cached reads DockerHosts from a cache, Live everything else, Secrets too.
	Cached, Live runtimeclient.Reader
	Scheme       *runtime.Scheme
	// Connector and Policy are for the test of a host that is not saved.
	Connector engine.Connector
	Policy    hostspec.EndpointPolicy
	// Exec bounds the sessions of exec and attach, and says where they are recorded.
	Exec stream.ExecOptions
}

// engines serves the paths below /apis, /api, /openapi and /audit to callers who are
// known.
type engines struct {
	authz   *authz.Authorizer
	tunnels *dockerapi.Tunnels
	jobs    *jobs.Registry
	streams *limit.Counter
	// stopping is closed when the server begins to end.
	stopping chan struct{}

	passed    http.Handler
	lists     *hostapi.Handler
	actions   *actions.Actions
	relay     *relay.Relay
	documents *discovery.Handler
	audit     *auditTrail
	live      *streamapi.Handler
}

func newEngines(o Options, streams, connections *limit.Counter) (*engines, error) {
	authorizer, err := authz.New(rest.CopyConfig(o.RESTConfig), o.Log.WithName("authz"))
	if err != nil {
		return nil, err
	}
	e := &engines{authz: authorizer, tunnels: dockerapi.NewTunnels(), streams: streams, stopping: make(chan struct{})}
	e.passed = &dockerapi.Handler{
		Hosts: o.Engines.Hosts, Authz: authorizer, Audit: o.Engines.Audit, Mask: masker{},
		Keys: execKeys{o.Engines.Keys}, Limit: connections, Tunnels: e.tunnels, Log: o.Log.WithName("dockerapi"),
	}
	e.lists, err = hostapi.New(hostapi.Options{
		Authorizer: authorizer, Inventory: o.Engines.Hosts, Hosts: o.Engines.Cached, Masker: masker{},
		Key: o.Engines.Keys.Current(keyring.ContinueTokens).Bytes, Stopping: e.stopping, Log: o.Log.WithName("lists"),
	})
	if err != nil {
		return nil, err
	}
	if err := e.addActions(o); err != nil {
		return nil, err
	}
	if e.documents, err = discovery.New(); err != nil {
		return nil, err
	}
	e.live, err = streamapi.New(streamapi.Options{
		Authorizer: authorizer, Hosts: o.Engines.Hosts, Declared: o.Engines.Cached, Recorder: o.Engines.Audit, Masker: masker{}, Streams: streams,
		Limits: stream.Limits{Viewers: o.Limits.Viewers}, Exec: o.Engines.Exec, Replica: o.Engines.Replica, Stopping: e.stopping, Log: o.Log.WithName("streams"),
	})
	if err != nil {
		return nil, err
	}
	e.relay, err = relay.New(relay.Options{RESTConfig: o.RESTConfig, Audit: o.Engines.Audit, Guard: e.guard, Log: o.Log.WithName("relay")})
	return e, err
}

func (e *engines) addActions(o Options) (err error) {
	e.jobs, err = jobs.New(jobs.Options{Replica: o.Engines.Replica, Log: o.Log.WithName("jobs")})
	if err != nil {
		return err
	}
	config := rest.CopyConfig(o.RESTConfig)
	config.QPS = -1 // priority and fairness of the kube-apiserver bounds the rate
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	e.actions, err = actions.New(actions.Options{
		Authorizer: e.authz, Guard: e.authz, Hosts: o.Engines.Hosts, Recorder: o.Engines.Audit, Jobs: e.jobs, Masker: masker{},
		Reviewer: actions.KubeReviewer{Client: clientset}, Secrets: actions.SecretsOf(o.Engines.Live),
		Connector: o.Engines.Connector, Policy: o.Engines.Policy, DryRunner: actions.NewKubeDryRunner(o.RESTConfig, o.Engines.Scheme),
		Owners: actions.NewKubeOwners(o.RESTConfig, o.Engines.Scheme),
		Log:    o.Log.WithName("actions"),
	})
	e.audit = &auditTrail{file: o.Engines.AuditFile, authz: e.authz, recorder: o.Engines.Audit, log: o.Log.WithName("audit")}
	return err
}

// guard watches over a caller's proof, and ends with the server.
func (e *engines) guard(ctx context.Context, c *caller.Caller) (guarded context.Context, stop func()) {
	ctx, unguard := e.authz.Guard(ctx, c)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		select {
		case <-e.stopping:
			cancel()
		case <-done:
		}
	}()
	return ctx, func() {
		close(done)
		cancel()
		unguard()
	}
}

// ServeHTTP finds the handler of a path.
func (e *engines) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	escaped := r.URL.EscapedPath()
	parsed, ok, err := route.Parse(escaped)
	switch {
	case err != nil:
		apistatus.Write(w, apistatus.BadRequest("%s", err.Error()))
	case ok && parsed.Segment == route.Proxy && parsed.Host != "":
		e.passed.ServeHTTP(w, r.WithContext(route.With(r.Context(), parsed)))
	case ok:
		e.typed(w, r.WithContext(route.With(r.Context(), parsed)), parsed)
	case slices.Contains(e.documents.Paths(), escaped):
		e.documents.ServeHTTP(w, r)
	case escaped == streamapi.Path:
		e.live.ServeMany(w, r)
	case escaped == auditPath:
		limit.Body(limit.MaxBody, e.audit).ServeHTTP(w, r)
	default:
		e.relay.ServeHTTP(w, r)
	}
}

// typed serves lists and actions.
func (e *engines) typed(w http.ResponseWriter, r *http.Request, at route.Route) {
	var next http.Handler
	switch {
	case e.actions.Serves(r):
		next = e.actions
	case hostapi.Serves(at):
		next = e.lists
	case streamapi.Serves(at):
		next = e.live
	default:
		apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
		return
	}
	if isWatch(r) {
		user := caller.From(r.Context()).User.GetName()
		release, ok := e.streams.Acquire(user)
		if !ok {
			apistatus.Write(w, apistatus.TooManyRequests(apistatus.RetryAfter, "user %q has %d streams open, which is the most (--user-streams); end one", user, e.streams.Most()))
			return
		}
		defer release()
	}
	limit.Body(limit.MaxBody, next).ServeHTTP(w, r)
}

// isWatch tells requests that go on.
func isWatch(r *http.Request) bool {
	watch := r.URL.Query().Get("watch")
	return watch != "" && watch != "0" && !strings.EqualFold(watch, "false")
}
