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

package stream

import (
	"context"
	"iter"
	"net/http"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// engineFeed takes events straight from an engine, from a moment before the call.
type engineFeed struct{ engine.Engine }

func (f engineFeed) Events(ctx context.Context, _ Key) (types.UID, iter.Seq[FeedItem], error) {
	es, err := f.Engine.Events(ctx, engine.EventsOptions{Since: time.Now()})
	if err != nil {
		return "", nil, err
	}
	return "real", func(yield func(FeedItem) bool) {
		defer func() { _ = es.Close() }()
		for {
			e, err := es.Next()
			if err != nil || !yield(FeedItem{Event: e}) {
				return
			}
		}
	}, nil
}

func TestDockerdEvents(t *testing.T) {
	t.Parallel()
	r := startEngine(t, false)
	h := newEventsHub(t, engineFeed{r.eng}, EventOptions{})
	id := r.RunContainer(t, "watched", busybox, "sleep", "100000")
	v := look(t, h, EventQuery{Hosts: []Key{hostOne}, Filter: EventFilter{
		Types: []string{"container"}, Actions: []string{"die", "start"}, Containers: []string{"watched"},
	}})
	start := nextEvent(t, v)
	if !start.Start || start.Gap {
		t.Fatalf("the first item is %+v", start)
	}
	other := r.RunContainer(t, "other", busybox, "sleep", "100000")
	r.Call(t, http.MethodPost, "/containers/"+id+"/kill", nil)
	died := nextEvent(t, v)
	if died.Event.Action != "die" || died.Event.Actor.ID != id {
		t.Fatalf("after a kill comes %+v", died.Event.Message)
	}
	v.Close()
	r.Call(t, http.MethodPost, "/containers/"+id+"/start", nil)
	r.RemoveContainer(t, other)
	again := look(t, h, EventQuery{Hosts: []Key{hostOne}, Since: map[Key]EventCursor{hostOne: died.Cursor}, Filter: EventFilter{Actions: []string{"start", "destroy"}}})
	if item := nextEvent(t, again); !item.Start || item.Gap {
		t.Errorf("resuming begins with %+v", item)
	}
	if item := nextEvent(t, again); item.Event.Action != "start" || item.Event.Actor.ID != id {
		t.Errorf("after resuming comes %+v", item.Event.Message)
	}
	if item := nextEvent(t, again); item.Event.Action != "destroy" || item.Event.Actor.ID != other {
		t.Errorf("then comes %+v", item.Event.Message)
	}
}
