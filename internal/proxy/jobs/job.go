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
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// State is how far a job has come.
type State string

// The states.
const (
	Running   State = "Running"
	Succeeded State = "Succeeded"
	Failed    State = "Failed"
	Canceled  State = "Canceled"
)

// maxValue bounds progress and result, each in bytes of JSON. A pull of an image with
// 127 layers, the most that overlayfs stacks, takes 15 KiB.
const maxValue = 64 << 10

// ErrCanceled is the cause of a job's context that somebody ended on purpose.
var ErrCanceled = errors.New("the job was canceled")

// ErrShutdown is the cause where the replica ended before the job.
var ErrShutdown = errors.New("the manager shut down before the job was done")

// ErrTooLong is the cause where a job reached Options.Duration.
var ErrTooLong = errors.New("the job took longer than a job may")

// Spec says what a job is.
type Spec struct {
	// Type is a word in CamelCase: ImagePull.
	Type string
	Host types.NamespacedName
	// Object is what it is about, as people call it.
	Object string
	// User and UID are the owner's.
	User, UID string
	// Rights are what the job took.
	Rights []access.Right
	// Run does it. It ends soon after its context. Its error is told to those who may
	// see the job, as a Status.
	Run func(ctx context.Context, p *Progress) (result any, err error)
}

// View is a job as it is told.
type View struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        Metadata `json:"metadata"`
	Host            string   `json:"host"`
	Type            string   `json:"type"`
	Object          string   `json:"object,omitempty"`
	// User began it.
	User       string          `json:"user"`
	State      State           `json:"state"`
	StartedAt  time.Time       `json:"startedAt"`
	FinishedAt time.Time       `json:"finishedAt,omitzero"`
	Progress   json.RawMessage `json:"progress,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"`
	// Error says why it Failed, or where it was when it was Canceled.
	Error *metav1.Status `json:"error,omitempty"`
}

// Metadata is the part of ObjectMeta that a job has.
type Metadata struct {
	Name              string    `json:"name"`
	Namespace         string    `json:"namespace"`
	CreationTimestamp time.Time `json:"creationTimestamp"`
}

// Job is one run.
type Job struct {
	id     string
	spec   Spec
	cancel context.CancelCauseFunc
	done   chan struct{}

	mu       sync.Mutex
	state    State
	started  time.Time
	finished time.Time
	progress json.RawMessage
	result   json.RawMessage
	err      error
	changed  chan struct{} // closed and replaced at each change
}

// ID names the job and its replica. Nobody can guess it.
func (j *Job) ID() string { return j.id }

// Done is closed when the job has ended.
func (j *Job) Done() <-chan struct{} { return j.done }

// Err is why the job failed; nil before its end.
func (j *Job) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Cancel ends the job's context. The job ends when it has put things right.
func (j *Job) Cancel() { j.cancel(ErrCanceled) }

// View returns the job's state, and a channel that is closed when it is another one.
func (j *Job) View() (View, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := View{
		TypeMeta: metav1.TypeMeta{APIVersion: access.EngineGroup + "/" + route.Version, Kind: "Job"},
		Metadata: Metadata{Name: j.id, Namespace: j.spec.Host.Namespace, CreationTimestamp: j.started},
		Host:     j.spec.Host.Name, Type: j.spec.Type, Object: j.spec.Object, User: j.spec.User,
		State: j.state, StartedAt: j.started, FinishedAt: j.finished, Progress: j.progress, Result: j.result,
	}
	if j.err != nil {
		v.Error = statusOf(j.err)
	}
	return v, j.changed
}

// statusOf tells an error as the proxy's answers do: texts that are not a Status or an
// engine's stay here.
func statusOf(err error) *metav1.Status {
	var status *apierrors.StatusError
	switch {
	case errors.Is(err, ErrShutdown):
		status = apistatus.Unavailable("%s", ErrShutdown)
	case errors.As(apistatus.FromEngine(err), &status):
	default:
		status = apistatus.New(500, metav1.StatusReasonInternalError, "internal error; the manager's log has it")
	}
	out := status.ErrStatus
	out.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	return &out
}

func (j *Job) update(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
	close(j.changed)
	j.changed = make(chan struct{})
}

// finish keeps how it went.
func (j *Job) finish(ctx context.Context, result any, err error, now time.Time) {
	state := Succeeded
	if err != nil {
		state = Failed
		cause := context.Cause(ctx)
		if errors.Is(cause, ErrTooLong) && (engine.ClassOf(err) == engine.ClassCanceled || engine.ClassOf(err) == engine.ClassTimeout) {
			err = apistatus.New(504, metav1.StatusReasonTimeout, "%s", ErrTooLong)
		}
		if errors.Is(cause, ErrCanceled) || errors.Is(cause, ErrShutdown) {
			state = Canceled
			if engine.ClassOf(err) == engine.ClassCanceled || engine.ClassOf(err) == engine.ClassTimeout {
				err = cause
				if errors.Is(cause, ErrCanceled) {
					err = apistatus.New(409, metav1.StatusReasonConflict, "%s", ErrCanceled)
				}
			}
		}
	}
	raw := marshal(result)
	j.update(func() { j.state, j.finished, j.result, j.err = state, now, raw, err })
}

// Progress is where a running job says how far it is.
type Progress struct {
	job     *Job
	cleanup time.Duration
}

// Set replaces what the job says of itself. Who calls it more often than a few times a
// second makes work for nobody.
func (p *Progress) Set(v any) {
	raw := marshal(v)
	p.job.update(func() { p.job.progress = raw })
}

// Cleanup returns a context for putting things back: it goes on when ctx ends, for as
// long as a clean-up may take.
func (p *Progress) Cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), p.cleanup)
}

func marshal(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil || len(raw) > maxValue {
		return json.RawMessage(`{"omitted":"too large"}`)
	}
	return raw
}
