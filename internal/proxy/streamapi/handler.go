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

package streamapi

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// Authorizer decides; *authz.Authorizer is one.
type Authorizer interface {
	Authorize(ctx context.Context, who user.Info, host authz.Host, right access.Right) error
	Allowed(ctx context.Context, who user.Info, host authz.Host, right access.Right) (bool, error)
	Hosts(ctx context.Context, c *caller.Caller, right access.Right, hosts []authz.Host) ([]authz.Host, error)
	Guard(ctx context.Context, c *caller.Caller, rights ...authz.Right) (guarded context.Context, stop func())
	OnGrantsChanged(fn func()) (cancel func())
}

// Hosts knows the declared hosts, their engines and what runs there; *hostcache.Cache is
// one.
type Hosts interface {
	State(key hostcache.Key) (hostcache.State, bool)
	Engine(key hostcache.Key) (engine.Engine, error)
	List(key hostcache.Key, kind engine.Kind) (hostcache.Listing, error)
	Watch(ctx context.Context, key hostcache.Key, kinds ...engine.Kind) (iter.Seq[hostcache.WatchEvent], error)
	Events(ctx context.Context, key hostcache.Key) (iter.Seq[hostcache.FeedItem], error)
	Notify(fn func(hostcache.Change)) (cancel func())
	SwarmOf(host hostcache.Key) (hostcache.Swarm, bool)
	FollowTasks(key hostcache.SwarmKey) (release func())
}

// Masker hides what a caller without Inspect (get) may not see.
type Masker interface {
	// Mask rewrites an answer of the engine. The operation is as internal/access names it.
	Mask(operation string, answer []byte) ([]byte, error)
	// AppendMasked appends one item of an engine's list of kind to dst, masked.
	AppendMasked(dst []byte, kind engine.Kind, item []byte) ([]byte, error)
}

// Options are what the streams work with. All but Stopping and Log are required.
type Options struct {
	Authorizer Authorizer
	Hosts      Hosts
	// Declared reads DockerHosts, from a cache.
	Declared client.Reader
	Recorder audit.Recorder
	Masker   Masker
	// Streams counts a user's streams.
	Streams *limit.Counter
	// Limits bound what viewers cost, Exec the sessions.
	Limits stream.Limits
	Exec   stream.ExecOptions
	// Replica names this process among its like.
	Replica string
	// Stopping ends what can begin anew elsewhere when it is closed: logs, statistics and
	// events.
	Stopping <-chan struct{}
	Log      logr.Logger
}

// Handler serves logs, statistics, events, exec and attach, and has their hubs.
type Handler struct {
	options  Options
	logs     *stream.Logs
	stats    *stream.Stats
	events   *stream.Events
	sessions *stream.ExecSessions
	bells    *bells
	kept     keptSessions
	// patience is how long the client of a session may take nothing.
	patience time.Duration
	// ending ends when Close has waited long enough for the connections of sessions.
	ending context.Context
	end    context.CancelFunc

	// open are the connections that were taken over, which net/http no longer knows of.
	open sync.WaitGroup
	// ping is the WebSockets' own, but in tests.
	ping time.Duration
}

// New returns a Handler. Close ends it.
func New(o Options) (*Handler, error) {
	if o.Authorizer == nil || o.Hosts == nil || o.Declared == nil || o.Recorder == nil || o.Masker == nil || o.Streams == nil {
		return nil, errors.New("the streams need an authorizer, hosts, a reader of DockerHosts, an audit trail, a masker and a counter")
	}
	hosts := hubHosts{o.Hosts}
	limits := func(of metrics.Stream) stream.Limits {
		l := o.Limits
		l.Upstream = metrics.Upstream(of)
		return l
	}
	h := &Handler{
		options: o, bells: newBells(o.Hosts), logs: stream.NewLogs(hosts, limits(metrics.Log)),
		stats:    stream.NewStats(hosts, stream.StatsOptions{Limits: limits(metrics.Stats), Running: hosts.running}),
		events:   stream.NewEvents(hosts, stream.EventOptions{Limits: limits(metrics.Events)}),
		sessions: stream.NewExecSessions(hosts, o.Exec),
	}
	h.patience = sessionPatience
	h.ending, h.end = context.WithCancel(context.Background())
	return h, nil
}

// Close ends the sessions, for which ctx bounds the wait, and then everything else. New
// requests must no longer come.
func (h *Handler) Close(ctx context.Context) {
	h.sessions.Close(ctx)
	h.events.Close()
	h.stats.Close()
	h.logs.Close()
	defer time.AfterFunc(lastWords, h.end).Stop()
	h.open.Wait()
	h.end()
	h.bells.close()
}

// segment is what is served below a path's segment.
type segment struct {
	right access.Right
	// verb is the audit trail's.
	verb string
	// fleet says that the segment is also served over many hosts, object that it may be
	// followed by a container's name.
	fleet, object bool
	serve         func(*Handler, *call) error
}

var segments = map[string]segment{
	"log":    {access.Right{Subresource: access.Log, Verb: access.Get}, "log", true, true, (*Handler).serveLog},
	"stats":  {access.Right{Subresource: access.Stats, Verb: access.Get}, "stats", false, true, (*Handler).serveStats},
	"events": {access.Right{Subresource: access.Events, Verb: access.Get}, "events", true, false, (*Handler).serveEvents},
	"exec":   {execRight, "exec", false, true, (*Handler).serveExec},
	"attach": {attachRight, "attach", false, true, (*Handler).serveAttach},
}

// Serves says whether a route is this handler's.
func Serves(at route.Route) bool {
	s, known := segments[at.Segment]
	return known && (at.Host != "" || s.fleet) && (at.Object == "" || s.object && at.Host != "") &&
		(at.Action == "" || at.Segment == "log" && at.Action == searchAction)
}

// ServeHTTP needs the caller and the route in the request's context.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := route.From(r.Context())
	s := segments[at.Segment]
	c := &call{h: h, w: w, r: r, who: caller.From(r.Context()), at: at, verb: s.verb}
	err := func() error {
		switch {
		case c.who == nil:
			return apistatus.Unauthorized("nobody is known to have sent this request")
		case !Serves(at):
			return apistatus.NoRoute(r.URL.Path)
		}
		metrics.Set(r.Context(), s.right)
		if at.Host != "" {
			// Before the query is looked at: who may not look learns nothing.
			if err := c.authorize(r.Context(), at.Key(), s.right); err != nil {
				return err
			}
		}
		if isSession := s.right.Verb == access.Create; r.Method != http.MethodGet && (!isSession || r.Method != http.MethodPost) {
			return apistatus.MethodNotAllowed(http.MethodGet)
		}
		return s.serve(h, c)
	}()
	if err != nil {
		c.fail(err)
	}
}
