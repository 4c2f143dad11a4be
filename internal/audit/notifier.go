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

package audit

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/lru"

	"golang.org/x/time/rate"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

const (
	// A host may have hostBurst Events at once and one every hostInterval after: what
	// a person can read. All hosts together may have eventsPerSecond, the design's
	// bound on count writes too, with a burst of one per host of a small fleet.
	hostBurst       = 20
	hostInterval    = 6 * time.Second
	eventsPerSecond = 20
	eventsBurst     = 100
	// maxLimiters is how many hosts' limits are kept. A host beyond it starts with a
	// full burst again; the limit over all hosts holds.
	maxLimiters = 4096
	// maxNote is where the API cuts a note, in bytes.
	maxNote = 1024
)

// Notifier is the Recorder that writes Events (events.k8s.io) on DockerHosts, or on
// the object that the record names as what it is regarding, such as a SwarmService,
// with the DockerHost as what is related. Its
// Record never fails and never waits: an Event is a notification, bounded in rate,
// and the evidence is in the Trail.
//
// Events that repeat (same object, verb, kind and outcome) become one Event with a
// series, which is the EventRecorder's doing. Above the rate they are left out, and
// the object's next Event says how many. No Event tells of an intention, of an object
// that there is none of, or of what a controller tells itself: that it has written
// something, or met another's write.
type Notifier struct {
	recorder events.EventRecorder
	now      func() time.Time

	mu    sync.Mutex // held for a moment, never while anything is written
	all   *rate.Limiter
	hosts *lru.Cache // UID of the host, or of what it is regarding -> *hostLimit
}

type hostLimit struct {
	limiter *rate.Limiter
	left    int // Events left out since the last one
}

// NewNotifier returns a Notifier that writes with recorder, which a controller-runtime
// manager's GetEventRecorder returns.
func NewNotifier(recorder events.EventRecorder) *Notifier {
	return &Notifier{
		recorder: recorder,
		now:      time.Now,
		all:      rate.NewLimiter(eventsPerSecond, eventsBurst),
		hosts:    lru.New(maxLimiters),
	}
}

// Record writes an Event, or leaves it out. The error is always nil.
func (n *Notifier) Record(_ context.Context, r Record) error {
	if r.Outcome == Allowed || toldByItsController(r) {
		return nil
	}
	r = r.clean()
	regarding, related := eventOn(r)
	if regarding == nil {
		return nil
	}
	left, ok := n.take(string(regarding.UID))
	if !ok {
		return nil
	}
	eventType, reason := corev1.EventTypeNormal, "EngineActionSucceeded"
	switch r.Outcome {
	case Denied:
		eventType, reason = corev1.EventTypeWarning, "EngineActionDenied"
	case Failed:
		eventType, reason = corev1.EventTypeWarning, "EngineActionFailed"
	}
	n.recorder.Eventf(regarding, related, eventType, reason, action(r), "%s", note(r, left))
	return nil
}

// toldByItsController reports whether a controller has an Event of its own for what it
// wrote, or met somebody else's write with its own: it tries again, or says in a condition
// whose the thing is.
func toldByItsController(r Record) bool {
	return r.Told && r.Outcome == Succeeded || r.Regarding.Kind != "" && r.Outcome == Failed && r.Reason == reasonConflict
}

// eventOn returns the object that a record's Event is on, nil where there is none,
// and the one that is related to it, which is a nil interface where there is none.
func eventOn(r Record) (*corev1.ObjectReference, runtime.Object) {
	// References without a resourceVersion: with one, no two Events would be alike.
	reference := func(kind, namespace, name, uid string) *corev1.ObjectReference {
		if uid == "" {
			return nil
		}
		return &corev1.ObjectReference{
			APIVersion: dcv1.GroupVersion.String(), Kind: kind, Namespace: namespace, Name: name, UID: types.UID(uid),
		}
	}
	host := reference("DockerHost", r.Host.Namespace, r.Host.Name, r.Host.UID)
	other := reference(r.Regarding.Kind, r.Regarding.Namespace, r.Regarding.Name, r.Regarding.UID)
	switch {
	case other == nil:
		return host, nil
	case host == nil:
		return other, nil
	}
	return other, host
}

// take asks for room for one Event on a host, and returns how many were left out
// before it.
func (n *Notifier) take(uid string) (left int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var h *hostLimit
	if v, found := n.hosts.Get(uid); found {
		h = v.(*hostLimit)
	} else {
		h = &hostLimit{limiter: rate.NewLimiter(rate.Every(hostInterval), hostBurst)}
		n.hosts.Add(uid, h)
	}
	now := n.now()
	if !h.limiter.AllowN(now, 1) || !n.all.AllowN(now, 1) {
		h.left++
		return 0, false
	}
	left, h.left = h.left, 0
	return left, true
}

// action names what was tried as the API wants it: StartContainer.
func action(r Record) string {
	a := upperFirst(r.Verb) + upperFirst(r.Object.Kind)
	if a == "" {
		return unspecified
	}
	return a
}

func upperFirst(s string) string {
	if s != "" && 'a' <= s[0] && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

// note is the Event's sentence.
func note(r Record, left int) string {
	s := fmt.Sprintf("%s: %s %s %s", r.Actor.User, r.Verb, r.Object.describe(), r.Outcome)
	if r.Reason != "" {
		s += " (" + r.Reason + ")"
	}
	if d := r.Detail; d != nil && d.LeftoverPID != nil {
		s += fmt.Sprintf("; its process could not be ended and may still run, as %d on the host (0: not known)", *d.LeftoverPID)
	}
	more := ""
	if left > 0 {
		more = fmt.Sprintf("; %d more before it are in the audit trail only", left)
	}
	return cleanText(s, maxNote-len(more)) + more
}
