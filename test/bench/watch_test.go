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

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// hostWatch follows the DockerHosts of a namespace, and notes when each change of
// Ready arrived here.
type hostWatch struct{ *board[sighting] }

// sighting is what was last seen of a host: when it came, and its Ready condition,
// "" for none yet, with the time of its last change.
type sighting struct {
	added time.Time
	ready metav1.ConditionStatus
	at    time.Time
}

// watchHosts watches a new namespace until the benchmark ends.
func (c *cluster) watchHosts(b *testing.B) *hostWatch {
	b.Helper()
	return &hostWatch{watched(b, c, c.Namespace(b), &dcv1.DockerHostList{}, learnHost)}
}

func learnHost(o client.Object, seen sighting, now time.Time) sighting {
	var ready metav1.ConditionStatus
	if c := meta.FindStatusCondition(o.(*dcv1.DockerHost).Status.Conditions, dcv1.ConditionReady); c != nil {
		ready = c.Status
	}
	if seen.added.IsZero() {
		seen.added = now
	}
	if seen.ready != ready {
		seen.ready, seen.at = ready, now
	}
	return seen
}

// wait waits until every named host is seen with that Ready status, and returns
// how long after since each was.
func (w *hostWatch) wait(b *testing.B, limit time.Duration, ready metav1.ConditionStatus, since time.Time, names ...string) []time.Duration {
	b.Helper()
	took := make([]time.Duration, 0, len(names))
	w.until(b, limit, fmt.Sprintf("Ready=%s of %d hosts", ready, len(names)), func() bool {
		took = took[:0]
		for _, name := range names {
			seen, ok := w.seen[name]
			if !ok || seen.ready != ready || seen.at.Before(since) {
				return false
			}
			took = append(took, seen.at.Sub(since))
		}
		return true
	})
	return took
}

// addedAt is when the watch told of a new host.
func (w *hostWatch) addedAt(name string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[name].added
}

// apply creates a DockerHost.
func (w *hostWatch) apply(ctx context.Context, name, socket string, health dcv1.DockerHostHealthCheck) error {
	host := &dcv1.DockerHost{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       dcv1.DockerHostSpec{Endpoint: engine.SchemeUnix + "://" + socket, HealthCheck: health},
	}
	if err := w.client.Create(ctx, host); err != nil {
		return fmt.Errorf("making DockerHost %s: %w", name, err)
	}
	return nil
}

// deleteAll deletes every DockerHost and waits for their end.
func (w *hostWatch) deleteAll(b *testing.B) {
	b.Helper()
	if err := w.client.DeleteAllOf(b.Context(), &dcv1.DockerHost{}, client.InNamespace(w.namespace)); err != nil {
		b.Fatal(err)
	}
	w.untilGone(b, 2*time.Minute, "the DockerHosts")
}
