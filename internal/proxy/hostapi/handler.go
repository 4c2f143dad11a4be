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

package hostapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"iter"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// Authorizer decides; *authz.Authorizer is one.
type Authorizer interface {
	Authorize(ctx context.Context, who user.Info, host authz.Host, right access.Right) error
	Allowed(ctx context.Context, who user.Info, host authz.Host, right access.Right) (bool, error)
	Hosts(ctx context.Context, c *caller.Caller, right access.Right, hosts []authz.Host) ([]authz.Host, error)
	Guard(ctx context.Context, c *caller.Caller, rights ...authz.Right) (guarded context.Context, stop func())
	// OnGrantsChanged has fn called when rights have to be looked at anew.
	OnGrantsChanged(fn func()) (cancel func())
}

// Inventory knows what runs where; *hostcache.Cache is one.
type Inventory interface {
	State(hostcache.Key) (hostcache.State, bool)
	List(hostcache.Key, engine.Kind) (hostcache.Listing, error)
	Watch(ctx context.Context, key hostcache.Key, kinds ...engine.Kind) (iter.Seq[hostcache.WatchEvent], error)
	Notify(fn func(hostcache.Change)) (cancel func())
}

// Masker hides what a caller without Inspect (get) may not see.
type Masker interface {
	// AppendMasked appends one item of an engine's list of kind to dst, masked. It judges a
	// value by where in the item it stands and by nothing else, so that a part of an item is
	// masked as in the whole. After an error nothing of the item is served.
	AppendMasked(dst []byte, kind engine.Kind, item []byte) ([]byte, error)
}

// Options configure a Handler. All but Masker, Stopping and Log are required.
type Options struct {
	Authorizer Authorizer
	Inventory  Inventory
	// Hosts reads DockerHosts, from a cache: every merged list asks it.
	Hosts client.Reader
	// Masker may be nil: then nothing is served to those who need it.
	Masker Masker
	// Key is the replicas' shared key; a key for continue tokens is derived from it.
	Key []byte
	// Stopping ends watches when it is closed, so that a shutdown need not wait for them.
	Stopping <-chan struct{}
	Log      logr.Logger
}

// Handler serves lists, watches, single items and info.
type Handler struct {
	options Options
	key     []byte
	// interval is reviewInterval, but in tests.
	interval time.Duration
}

// New returns a Handler.
func New(options Options) (*Handler, error) {
	if options.Authorizer == nil || options.Inventory == nil || options.Hosts == nil {
		return nil, errors.New("the lists need an authorizer, an inventory and a reader of DockerHosts")
	}
	if len(options.Key) < sha256.Size {
		return nil, errors.New("the lists need a key of 32 bytes for their continue tokens")
	}
	mac := hmac.New(sha256.New, options.Key)
	mac.Write([]byte("continue tokens of lists, version 1"))
	return &Handler{options: options, key: mac.Sum(nil), interval: reviewInterval}, nil
}

// kindInfo is what a segment serves.
type kindInfo struct {
	kind  engine.Kind
	name  string // of an item
	right access.Right
	swarm bool
}

var kinds = map[string]kindInfo{
	"containers": {engine.Containers, "Container", access.Right{Subresource: access.Containers, Verb: access.Get}, false},
	"images":     {engine.Images, "Image", access.Right{Subresource: access.Images, Verb: access.Get}, false},
	"volumes":    {engine.Volumes, "Volume", access.Right{Subresource: access.Volumes, Verb: access.Get}, false},
	"networks":   {engine.Networks, "Network", access.Right{Subresource: access.Networks, Verb: access.Get}, false},
	"services":   {engine.Services, "Service", access.Right{Subresource: access.Services, Verb: access.Get}, true},
	"tasks":      {engine.Tasks, "Task", access.Right{Subresource: access.Tasks, Verb: access.Get}, true},
	"nodes":      {engine.Nodes, "Node", access.Right{Subresource: access.Nodes, Verb: access.Get}, true},
}

var (
	inspect  = access.Right{Subresource: access.Inspect, Verb: access.Get}
	infoGet  = access.Right{Subresource: access.Info, Verb: access.Get}
	infoPath = string(access.Info)
)

// Serves says whether a route is this handler's, for GET.
func Serves(at route.Route) bool {
	if at.Segment == infoPath {
		return at.Host != "" && at.Object == ""
	}
	_, known := kinds[at.Segment]
	return known && at.Action == "" && (at.Object == "" || at.Host != "")
}

// ServeHTTP needs the caller and the route in the request's context.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := h.serve(w, r)
	if err == nil {
		return
	}
	var status *apierrors.StatusError
	if !errors.As(err, &status) && r.Context().Err() == nil {
		h.options.Log.Error(err, "A list could not be served")
	}
	apistatus.Write(w, err)
}

// serve returns an error only while nothing was written.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	who, at := caller.From(r.Context()), route.From(r.Context())
	switch {
	case who == nil:
		return apistatus.Unauthorized("nobody is known to have sent this request")
	case !Serves(at):
		return apistatus.NoRoute(r.URL.Path)
	case r.Method != http.MethodGet:
		return apistatus.MethodNotAllowed(http.MethodGet)
	case at.Segment == infoPath:
		metrics.Set(r.Context(), infoGet)
		return h.info(w, r, who, at)
	}
	kind := kinds[at.Segment]
	metrics.Set(r.Context(), kind.right)
	if at.Host != "" {
		// Before the query is looked at: who may not read learns nothing.
		if err := h.authorize(r.Context(), who, at.Key(), kind.right); err != nil {
			return err
		}
	}
	q, err := h.parseQuery(r.URL.RawQuery, at)
	if err != nil {
		return err
	}
	rq := &request{h: h, who: who, at: at, kind: kind, query: q}
	switch {
	case at.Object != "":
		return rq.get(w, r)
	case q.watch:
		return rq.watch(w, r)
	}
	return rq.list(w, r)
}

// request is one list, watch or item that somebody asked for.
type request struct {
	h     *Handler
	who   *caller.Caller
	at    route.Route
	kind  kindInfo
	query query
}

// authorize answers 403 before 404: whether a host exists is for those who may read it.
func (h *Handler) authorize(ctx context.Context, who *caller.Caller, host hostcache.Key, right access.Right) error {
	if err := h.options.Authorizer.Authorize(ctx, who.User, host, right); err != nil {
		return err
	}
	if _, known := h.options.Inventory.State(host); known {
		return nil
	}
	return h.unknown(ctx, host)
}
