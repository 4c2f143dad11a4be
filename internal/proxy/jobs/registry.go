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
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// Defaults of Options.
const (
	// DefaultRunningPerUser: an engine pulls three layers at a time, and more jobs of
	// one user than this only wait for each other.
	DefaultRunningPerUser = 5
	DefaultRunning        = 200
	// DefaultFinished ended jobs are 130 MB at their very largest, and 1 MB as they are.
	DefaultFinished = 1000
	DefaultKeep     = time.Hour
	// DefaultDuration ends what hangs: an image of 100 GB takes an hour at 30 MB/s.
	DefaultDuration = 6 * time.Hour
	// DefaultShutdownTimeout with DefaultCleanupTimeout is below the 60 s and more that
	// a Deployment should give as its grace.
	DefaultShutdownTimeout = 15 * time.Second
	// DefaultCleanupTimeout is what putting a container back takes at worst: the kill
	// after its grace, a removal and a start.
	DefaultCleanupTimeout = 45 * time.Second
)

// Options configure a Registry. Zero fields mean the defaults.
type Options struct {
	// Replica names this replica in ids: its pod's name. Required.
	Replica                           string
	Log                               logr.Logger
	RunningPerUser, Running, Finished int
	Keep                              time.Duration
	// Duration is the most that a job may take.
	Duration                        time.Duration
	ShutdownTimeout, CleanupTimeout time.Duration
	// Forward serves a request about another replica's job and returns true, or returns
	// false where it cannot. nil cannot.
	Forward func(w http.ResponseWriter, r *http.Request, replica string) bool
}

// Registry has the jobs of this replica.
type Registry struct {
	opts Options

	mu      sync.Mutex
	ctx     context.Context // of the jobs; nil before Start and after its end
	jobs    map[string]*Job
	order   []*Job // ended ones, in the order of their ends
	running int
	byUser  map[string]int
	group   sync.WaitGroup
}

// New makes a Registry. Jobs can be submitted while Start runs.
func New(opts Options) (*Registry, error) {
	if opts.Replica == "" || strings.ContainsAny(opts.Replica, "/%\\ ") {
		return nil, fmt.Errorf("the replica's name %q cannot be a part of a job's id: give the pod's", opts.Replica)
	}
	set := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	wait := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&opts.RunningPerUser, DefaultRunningPerUser)
	set(&opts.Running, DefaultRunning)
	set(&opts.Finished, DefaultFinished)
	wait(&opts.Keep, DefaultKeep)
	wait(&opts.Duration, DefaultDuration)
	wait(&opts.ShutdownTimeout, DefaultShutdownTimeout)
	wait(&opts.CleanupTimeout, DefaultCleanupTimeout)
	return &Registry{opts: opts, jobs: map[string]*Job{}, byUser: map[string]int{}}, nil
}

// NeedLeaderElection is false: every replica has its own jobs.
func (r *Registry) NeedLeaderElection() bool { return false }

// Start lets jobs run until ctx ends, and waits for their ends: ShutdownTimeout for
// those that can be done, and then for what they put back.
func (r *Registry) Start(ctx context.Context) error {
	jobs, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	r.mu.Lock()
	r.ctx = jobs
	r.mu.Unlock()

	<-ctx.Done()

	r.mu.Lock()
	r.ctx = nil
	r.mu.Unlock()
	timer := time.AfterFunc(r.opts.ShutdownTimeout, func() { cancel(ErrShutdown) })
	defer timer.Stop()
	r.group.Wait()
	return nil
}

// Submit begins a job. The error is a Status: 429 over a limit, 503 at shutdown.
func (r *Registry) Submit(spec Spec) (*Job, error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	r.mu.Lock()
	defer r.mu.Unlock()
	owner := spec.User + "\x00" + spec.UID
	switch {
	case r.ctx == nil:
		return nil, apistatus.Unavailable("this replica of the manager is shutting down or not up yet; try again")
	case r.byUser[owner] >= r.opts.RunningPerUser:
		return nil, apistatus.TooManyRequests(apistatus.RetryAfter, "you have %d jobs running here, the most there may be; wait for one, or cancel one", r.opts.RunningPerUser)
	case r.running >= r.opts.Running:
		return nil, apistatus.TooManyRequests(apistatus.RetryAfter, "%d jobs are running here, the most there may be; try again", r.opts.Running)
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	j := &Job{
		id: r.opts.Replica + "." + hex.EncodeToString(random[:]), spec: spec, cancel: cancel, done: make(chan struct{}),
		state: Running, started: time.Now().UTC(), changed: make(chan struct{}),
	}
	r.jobs[j.id] = j
	r.running++
	r.byUser[owner]++
	r.group.Go(func() {
		defer cancel(nil)
		ctx, stop := context.WithTimeoutCause(ctx, r.opts.Duration, ErrTooLong)
		defer stop()
		result, err := r.run(ctx, j)
		j.finish(ctx, result, err, time.Now().UTC())
		r.ended(j, owner)
		close(j.done)
	})
	return j, nil
}

// run keeps a panic from ending the manager.
func (r *Registry) run(ctx context.Context, j *Job) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.opts.Log.Error(fmt.Errorf("panic: %v", p), "A job broke", "type", j.spec.Type, "host", j.spec.Host, "stack", string(debug.Stack()))
			result, err = nil, apistatus.New(500, metav1.StatusReasonInternalError, "the job broke off; the manager's log has the details")
		}
	}()
	result, err = j.spec.Run(ctx, &Progress{job: j, cleanup: r.opts.CleanupTimeout})
	if err != nil {
		r.opts.Log.V(1).Info("A job failed", "type", j.spec.Type, "host", j.spec.Host, "object", j.spec.Object, "error", err.Error())
	}
	return result, err
}

func (r *Registry) ended(j *Job, owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	if r.byUser[owner]--; r.byUser[owner] == 0 {
		delete(r.byUser, owner)
	}
	r.order = append(r.order, j)
	r.forget(time.Now())
}

// forget drops ended jobs that are too old or too many. r.mu is held.
func (r *Registry) forget(now time.Time) {
	n := max(0, len(r.order)-r.opts.Finished)
	for n < len(r.order) && now.Sub(r.order[n].finished) > r.opts.Keep { // written before it came into order
		n++
	}
	for _, j := range r.order[:n] {
		delete(r.jobs, j.id)
	}
	r.order = slices.Delete(r.order, 0, n)
}

// errElsewhere names the replica that has a job.
type errElsewhere struct{ replica string }

func (e errElsewhere) Error() string { return "the job is on replica " + e.replica }

// get finds a job of a host.
func (r *Registry) get(host types.NamespacedName, id string) (*Job, error) {
	cut := strings.LastIndexByte(id, '.')
	if cut < 0 || len(id)-cut != 33 {
		return nil, apistatus.NotFound("%q is not a job's id", id)
	}
	if replica := id[:cut]; replica != r.opts.Replica {
		return nil, errElsewhere{replica}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(time.Now())
	j := r.jobs[id]
	if j == nil || j.spec.Host != host {
		return nil, errUnknownJob
	}
	return j, nil
}

// errUnknownJob is also for jobs that the caller may not see.
var errUnknownJob error = apistatus.NotFound("there is no such job of this host: it is forgotten an hour after its end, and when its replica of the manager restarts")

// list returns a host's jobs, the newest first.
func (r *Registry) list(host types.NamespacedName) []*Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(time.Now())
	var all []*Job
	for _, j := range r.jobs {
		if j.spec.Host == host {
			all = append(all, j)
		}
	}
	slices.SortFunc(all, func(a, b *Job) int {
		if n := b.started.Compare(a.started); n != 0 {
			return n
		}
		return strings.Compare(a.id, b.id)
	})
	return all
}
