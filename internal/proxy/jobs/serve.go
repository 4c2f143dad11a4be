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

package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// Segment is the path's.
const Segment = "jobs"

// heartbeat is how often a watcher of a silent job hears its state again, so that
// nothing between takes the connection for dead.
const heartbeat = 20 * time.Second

// writeTimeout bounds the write of one line to a watcher.
const writeTimeout = 10 * time.Second

// Authorizer says whether a caller holds a right.
type Authorizer interface {
	Allowed(ctx context.Context, who user.Info, host authz.Host, right access.Right) (bool, error)
}

// Guarder watches over a running stream. authz.Authorizer is one.
type Guarder interface {
	Guard(ctx context.Context, c *caller.Caller, rights ...authz.Right) (guarded context.Context, stop func())
}

// Handler serves the jobs of a host to an authenticated caller (caller.From,
// route.From).
type Handler struct {
	Registry   *Registry
	Authorizer Authorizer
	Recorder   audit.Recorder
	// Guard ends watches whose caller may not look on any more; nil ends none.
	Guard Guarder
}

// List is the answer to GET jobs.
type List struct {
	metav1.TypeMeta `json:",inline"`
	Items           []View `json:"items"`
}

// ServeHTTP serves GET jobs, and GET and DELETE of one.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rt, who := route.From(r.Context()), caller.From(r.Context())
	if who == nil || rt.Segment != Segment || rt.Action != "" {
		apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
		return
	}
	if rt.Object == "" {
		h.serveList(w, r, rt, who)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodDelete {
		apistatus.Write(w, apistatus.MethodNotAllowed(http.MethodGet, http.MethodDelete))
		return
	}
	j, err := h.Registry.get(rt.Key(), rt.Object)
	var elsewhere errElsewhere
	if errors.As(err, &elsewhere) {
		if forward := h.Registry.opts.Forward; forward != nil && forward(w, r, elsewhere.replica) {
			return
		}
		err = notHere(elsewhere.replica, h.Registry.opts.Replica)
	}
	if err == nil && !h.sees(r.Context(), who, j, &err) && err == nil {
		err = errUnknownJob
	}
	switch {
	case err != nil:
		apistatus.Write(w, err)
	case r.Method == http.MethodDelete:
		h.serveCancel(w, r, rt, who, j)
	case isTrue(r.URL.Query().Get("watch")):
		h.Watch(w, r, who, j)
	default:
		v, _ := j.View()
		apistatus.WriteJSON(w, http.StatusOK, v)
	}
}

// CauseOtherReplica is the cause of a 404 whose message names the replica that has the
// job: a client that goes on asking comes to it through a balancer, unless it has ended.
const CauseOtherReplica metav1.CauseType = "OtherReplica"

func notHere(replica, here string) error {
	err := apistatus.NotFound("the job is kept by the replica %q of the manager, and this is %q: ask again until that one answers; where it has ended, the job is forgotten", replica, here)
	err.ErrStatus.Details = &metav1.StatusDetails{
		Kind: Segment, RetryAfterSeconds: 1, Causes: []metav1.StatusCause{{Type: CauseOtherReplica, Message: replica, Field: "metadata.name"}},
	}
	return err
}

func isTrue(s string) bool {
	b, err := strconv.ParseBool(s)
	return err == nil && b
}

func (j *Job) owned(who *caller.Caller) bool {
	return j.spec.User == who.User.GetName() && j.spec.UID == who.User.GetUID()
}

// sees says whether the caller began the job or holds all rights that it took.
func (h *Handler) sees(ctx context.Context, who *caller.Caller, j *Job, failed *error) bool {
	if j.owned(who) {
		return true
	}
	for _, right := range j.spec.Rights {
		ok, err := h.Authorizer.Allowed(ctx, who.User, j.spec.Host, right)
		if err != nil {
			*failed = err
		}
		if err != nil || !ok {
			return false
		}
	}
	return len(j.spec.Rights) > 0
}

func (h *Handler) serveList(w http.ResponseWriter, r *http.Request, rt route.Route, who *caller.Caller) {
	if r.Method != http.MethodGet {
		apistatus.Write(w, apistatus.MethodNotAllowed(http.MethodGet))
		return
	}
	list := List{TypeMeta: metav1.TypeMeta{APIVersion: access.EngineGroup + "/" + route.Version, Kind: "JobList"}, Items: []View{}}
	for _, j := range h.Registry.list(rt.Key()) {
		var err error
		if h.sees(r.Context(), who, j, &err) {
			v, _ := j.View()
			list.Items = append(list.Items, v)
		}
		if err != nil {
			apistatus.Write(w, err)
			return
		}
	}
	apistatus.WriteJSON(w, http.StatusOK, list)
}

// serveCancel answers when the cancellation is recorded and told to the job, which may
// have to put things back before it ends.
func (h *Handler) serveCancel(w http.ResponseWriter, r *http.Request, rt route.Route, who *caller.Caller, j *Job) {
	err := audit.Do(r.Context(), h.Recorder, audit.Record{
		Actor: who.Actor(), Source: who.Source, RequestID: who.RequestID, Verb: "cancel",
		Host: audit.Host{Namespace: rt.Namespace, Name: rt.Host}, Object: audit.Object{Kind: "Job", ID: j.id, Name: j.spec.Type},
	}, func(context.Context) error {
		j.Cancel()
		return nil
	})
	if errors.Is(err, audit.ErrRefused) {
		apistatus.Write(w, apistatus.Unavailable("the audit trail cannot be written, so nothing was done; try again"))
		return
	}
	v, _ := j.View()
	apistatus.WriteJSON(w, http.StatusAccepted, v)
}

// Watch writes a job's state as it changes, one JSON object a line, until the job or the
// request ends, or the caller may not see it any more. Of states that come faster than the
// client reads, the newest is written.
func (h *Handler) Watch(w http.ResponseWriter, r *http.Request, who *caller.Caller, j *Job) {
	ctx := r.Context()
	defer metrics.Open(ctx, metrics.Job)()
	if h.Guard != nil {
		var rights []authz.Right // the owner's credentials are enough
		if !j.owned(who) {
			for _, right := range j.spec.Rights {
				rights = append(rights, authz.Right{Host: j.spec.Host, Right: right})
			}
		}
		guarded, stop := h.Guard.Guard(ctx, who, rights...)
		defer stop()
		ctx = guarded
	}
	watch(ctx, w, j)
}

func watch(ctx context.Context, w http.ResponseWriter, j *Job) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-cache, private")
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	// Errors are those of writers without deadlines, in tests.
	defer func() { _ = rc.SetWriteDeadline(time.Time{}) }()
	enc := json.NewEncoder(w)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for ctx.Err() == nil { // whatever has changed
		v, changed := j.View()
		_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
		if enc.Encode(v) != nil || rc.Flush() != nil || v.State != Running {
			return
		}
		_ = rc.SetWriteDeadline(time.Time{}) // over HTTP/2 it would end a job that is merely quiet
		select {
		case <-changed:
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}
