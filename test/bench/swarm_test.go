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
)

// BenchmarkSwarm measures SwarmServices: on a real swarm how soon one runs, beside
// docker's own; on a simulated one what many cost to make and to keep.
func BenchmarkSwarm(b *testing.B) {
	benchRealSwarm(b)
	benchSimSwarm(b)
	b.ReportMetric(0, "ns/op") // the tables are the result
}

// serviceWatch follows the SwarmServices of a namespace.
type serviceWatch struct {
	*board[serviceSighting]
}

// serviceSighting is the newest generation of a service that was seen Ready, and since
// when.
type serviceSighting struct {
	ready int64
	at    time.Time
}

// watchServices watches a namespace until the benchmark ends.
func (c *cluster) watchServices(b *testing.B, namespace string) *serviceWatch {
	b.Helper()
	return &serviceWatch{watched(b, c, namespace, &dcv1.SwarmServiceList{}, learnService)}
}

func learnService(o client.Object, seen serviceSighting, now time.Time) serviceSighting {
	svc := o.(*dcv1.SwarmService)
	c := meta.FindStatusCondition(svc.Status.Conditions, dcv1.ConditionReady)
	if c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == svc.Generation && seen.ready < svc.Generation {
		return serviceSighting{svc.Generation, now}
	}
	return seen
}

// wait waits until n services are Ready at a generation, and returns when the last of
// them was.
func (w *serviceWatch) wait(b *testing.B, limit time.Duration, n int, generation int64) (at time.Time) {
	b.Helper()
	w.until(b, limit, fmt.Sprintf("%d SwarmServices to be Ready at generation %d", n, generation), func() bool {
		ready := 0
		for _, seen := range w.seen {
			if seen.ready >= generation {
				ready++
				if seen.at.After(at) {
					at = seen.at
				}
			}
		}
		return ready == n
	})
	return at
}

// newService is a service of one sleeping task that is stopped without delay.
func (w *serviceWatch) newService(name, host, image string) *dcv1.SwarmService {
	svc := &dcv1.SwarmService{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: dcv1.SwarmServiceSpec{
			HostRef:      dcv1.LocalDockerHostReference{Name: host},
			UpdateConfig: &dcv1.SwarmUpdateConfig{Monitor: &metav1.Duration{Duration: 100 * time.Millisecond}},
		},
	}
	svc.Spec.Image, svc.Spec.Command, svc.Spec.Args = image, []string{"sleep"}, []string{"100000"}
	svc.Spec.StopGracePeriod = &metav1.Duration{}
	return svc
}

func (w *serviceWatch) create(ctx context.Context, name, host, image string) error {
	if err := w.client.Create(ctx, w.newService(name, host, image)); err != nil {
		return fmt.Errorf("making SwarmService %s: %w", name, err)
	}
	return nil
}

func (w *serviceWatch) delete(ctx context.Context, name string) error {
	svc := &dcv1.SwarmService{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	if err := w.client.Delete(ctx, svc); err != nil {
		return fmt.Errorf("deleting SwarmService %s: %w", name, err)
	}
	return nil
}

// patch merges JSON into a service.
func (w *serviceWatch) patch(ctx context.Context, name, json string) error {
	svc := &dcv1.SwarmService{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	if err := w.client.Patch(ctx, svc, client.RawPatch("application/merge-patch+json", []byte(json))); err != nil {
		return fmt.Errorf("patching SwarmService %s: %w", name, err)
	}
	return nil
}
