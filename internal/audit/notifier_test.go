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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
)

// eventList is an EventRecorder that keeps what it is told.
type eventList struct {
	mu   sync.Mutex
	list []string
}

func (e *eventList) Eventf(_, _ runtime.Object, eventType, reason, action, note string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf("%s %s %s: %s", eventType, reason, action, fmt.Sprintf(note, args...)))
}

func (e *eventList) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.list...)
}

func TestNotifierEvents(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Record)
		want   []string
	}{
		"leftover": {
			func(r *Record) {
				pid := 4711
				r.Verb, r.Outcome, r.Reason, r.Detail = "exec", Failed, "Vanished", &Detail{LeftoverPID: &pid}
			},
			[]string{"Warning EngineActionFailed ExecContainer: alice: exec Container web failed (Vanished); its process could not be ended and may still run, as 4711 on the host (0: not known)"},
		},
		"succeeded":       {func(*Record) {}, []string{"Normal EngineActionSucceeded StartContainer: alice: start Container web succeeded"}},
		"denied":          {func(r *Record) { r.Outcome, r.Reason = Denied, "Forbidden" }, []string{"Warning EngineActionDenied StartContainer: alice: start Container web denied (Forbidden)"}},
		"failed":          {func(r *Record) { r.Outcome, r.Reason = Failed, "Timeout" }, []string{"Warning EngineActionFailed StartContainer: alice: start Container web failed (Timeout)"}},
		"without a name":  {func(r *Record) { r.Object = Object{Kind: "Image", ID: "sha256:00"} }, []string{"Normal EngineActionSucceeded StartImage: alice: start Image sha256:00 succeeded"}},
		"a format's sign": {func(r *Record) { r.Object.Name = "%s%d" }, []string{"Normal EngineActionSucceeded StartContainer: alice: start Container %s%d succeeded"}},
		"an intention":    {func(r *Record) { r.Outcome = Allowed }, nil},
		"told already":    {func(r *Record) { r.Told = true }, nil},
		"a conflict":      {func(r *Record) { r.Outcome, r.Reason = Failed, "Conflict" }, []string{"Warning EngineActionFailed StartContainer: alice: start Container web failed (Conflict)"}},
		"a controller's conflict": {
			func(r *Record) {
				r.Outcome, r.Reason, r.Regarding = Failed, "Conflict", Regarding{Kind: "SwarmService", Namespace: "n", Name: "web", UID: "u"}
			}, nil,
		},
		"no such host": {func(r *Record) { r.Host.UID = "" }, nil},
		"a long name": {
			func(r *Record) { r.Actor.User, r.Object.Name = strings.Repeat("u", 2000), strings.Repeat("n", 2000) },
			[]string{"Normal EngineActionSucceeded StartContainer: " + strings.Repeat("u", maxName-len(cutMark)) + cutMark + ": start Container " +
				strings.Repeat("n", maxNote-maxName-len(": start Container ")-len(cutMark)) + cutMark},
		},
	} {
		t.Run(name, func(t *testing.T) {
			list := &eventList{}
			r := testRecord(1)
			tc.change(&r)
			if err := NewNotifier(list).Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, list.all()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestNotifierBoundsItsRate(t *testing.T) {
	list := &eventList{}
	n := NewNotifier(list)
	now := time.Now()
	n.now = func() time.Time { return now }
	record := func(uid string, times int) int {
		t.Helper()
		before := len(list.all())
		r := testRecord(1)
		r.Host.UID = uid
		for range times {
			if err := n.Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		return len(list.all()) - before
	}
	if got := record("noisy", 1000); got != hostBurst {
		t.Errorf("a noisy host got %d Events at once, want %d", got, hostBurst)
	}
	if got := record("quiet", 1); got != 1 {
		t.Error("another host got none")
	}
	now = now.Add(hostInterval)
	if got := record("noisy", 5); got != 1 {
		t.Errorf("after %v it got %d Events, want 1", hostInterval, got)
	}
	all := list.all()
	if want := fmt.Sprintf("; %d more before it are in the audit trail only", 1000-hostBurst); !strings.HasSuffix(all[len(all)-1], want) {
		t.Errorf("got %q, want it to end in %q", all[len(all)-1], want)
	}
	total := 0
	for i := range 1000 {
		total += record(fmt.Sprint("host-", i), 1)
	}
	if total > eventsBurst {
		t.Errorf("a thousand hosts got %d Events at once, want at most %d", total, eventsBurst)
	}
}

// TestRepeatsBecomeASeries has client-go's recorder write to a fake API: what is
// alike becomes one Event with a series.
func TestRepeatsBecomeASeries(t *testing.T) {
	client := fake.NewClientset()
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		t.Fatal(err)
	}
	defer broadcaster.Shutdown()
	n := NewNotifier(broadcaster.NewRecorder(scheme.Scheme, "dockercontrol"))

	// The recorder takes Events in goroutines of its own: one at a time, or their
	// order is chance.
	for i, want := range []struct {
		events int
		series int32
	}{{1, 0}, {1, 2}, {2, 2}} {
		r := testRecord(i)
		r.Outcome = Denied
		if i == 2 {
			r.Verb = "remove"
		}
		if err := n.Record(ctx, r); err != nil {
			t.Fatal(err)
		}
		list := eventually(t, client, func(list []eventsv1.Event) bool { return len(list) == want.events && seriesOf(list) == want.series })
		for _, e := range list {
			if e.Regarding.Kind != "DockerHost" || e.Regarding.Name != "local" || e.Regarding.UID != "h-1" || e.Namespace != "default" {
				t.Errorf("the Event is about %+v in namespace %s", e.Regarding, e.Namespace)
			}
		}
	}
}

func seriesOf(list []eventsv1.Event) (count int32) {
	for _, e := range list {
		if e.Series != nil {
			count += e.Series.Count
		}
	}
	return count
}

func eventually(t *testing.T, client *fake.Clientset, ok func([]eventsv1.Event) bool) []eventsv1.Event {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		list, err := client.EventsV1().Events("default").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if ok(list.Items) {
			return list.Items
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s the Events are %+v", list.Items)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// references is an EventRecorder that keeps what Events are on.
type references struct{ on, related runtime.Object }

func (r *references) Eventf(on, related runtime.Object, _, _, _, _ string, _ ...any) {
	r.on, r.related = on, related
}

func TestNotifierOnAnotherObject(t *testing.T) {
	service := &corev1.ObjectReference{APIVersion: "dockercontrol.dev/v1alpha1", Kind: "SwarmService", Namespace: "default", Name: "web", UID: "s-1"}
	host := &corev1.ObjectReference{APIVersion: "dockercontrol.dev/v1alpha1", Kind: "DockerHost", Namespace: "default", Name: "local", UID: "h-1"}
	for name, tc := range map[string]struct {
		change func(*Record)
		want   references
	}{
		"the host":         {func(*Record) {}, references{on: host}},
		"a service":        {func(r *Record) { r.Regarding = Regarding{"SwarmService", "default", "web", "s-1"} }, references{service, host}},
		"without its host": {func(r *Record) { r.Regarding, r.Host = Regarding{"SwarmService", "default", "web", "s-1"}, Host{} }, references{on: service}},
		"no such service":  {func(r *Record) { r.Regarding = Regarding{Kind: "SwarmService", Namespace: "default", Name: "web"} }, references{on: host}},
		"neither":          {func(r *Record) { r.Host.UID = "" }, references{}},
	} {
		t.Run(name, func(t *testing.T) {
			var got references
			r := testRecord(1)
			tc.change(&r)
			if err := NewNotifier(&got).Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]runtime.Object{tc.want.on, tc.want.related}, []runtime.Object{got.on, got.related}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
