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

package swarm

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/manager"
)

// watchLimit is longer than any test here takes.
const watchLimit = 5 * time.Minute

// history is every status that a service had, one after another.
type history struct {
	ctx   context.Context
	watch watch.Interface
}

// watch begins after the object's version.
func (b *bed) watch(t *testing.T, svc *dcv1.SwarmService) *history {
	t.Helper()
	c, err := client.NewWithWatch(b.Config, client.Options{Scheme: manager.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), watchLimit)
	t.Cleanup(cancel)
	w, err := c.Watch(ctx, &dcv1.SwarmServiceList{}, client.InNamespace(svc.Namespace), client.MatchingFields{"metadata.name": svc.Name},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: svc.ResourceVersion}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return &history{ctx, w}
}

// wantSeen checks that Ready was want, and said something, at some moment so far.
func (h *history) wantSeen(t *testing.T, want, says string) {
	t.Helper()
	for {
		select {
		case e := <-h.watch.ResultChan():
			s, is := e.Object.(*dcv1.SwarmService)
			if !is {
				t.Fatalf("the watch ended with %+v", e)
			}
			if ready := meta.FindStatusCondition(s.Status.Conditions, dcv1.ConditionReady); readyIs(s, want) == nil && strings.Contains(ready.Message, says) {
				return
			}
		case <-h.ctx.Done():
			t.Fatalf("Ready has not been %s, and said %q", want, says)
		}
	}
}

// until returns what was seen until Ready is want at the object's newest generation.
func (h *history) until(t *testing.T, want string, generation int64) (seen []*dcv1.SwarmService) {
	t.Helper()
	for {
		select {
		case e, open := <-h.watch.ResultChan():
			s, is := e.Object.(*dcv1.SwarmService)
			if !open || !is {
				t.Fatalf("the watch ended with %+v after %d statuses", e, len(seen))
			}
			if s.Status.ObservedGeneration != generation {
				continue
			}
			seen = append(seen, s)
			if readyIs(s, want) == nil {
				return seen
			}
		case <-h.ctx.Done():
			last := "nothing"
			if len(seen) > 0 {
				last = readyIs(seen[len(seen)-1], want).Error()
			}
			t.Fatalf("after %d statuses: %s", len(seen), last)
		}
	}
}
