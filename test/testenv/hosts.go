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

package testenv

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// Create creates an object as a user would.
func (c *Cluster) Create(t testing.TB, obj client.Object) {
	t.Helper()
	if err := c.Client.Create(t.Context(), obj); err != nil {
		t.Fatalf("creating %s: %v", obj.GetName(), err)
	}
}

// Delete deletes an object.
func (c *Cluster) Delete(t testing.TB, obj client.Object) {
	t.Helper()
	if err := c.Client.Delete(t.Context(), obj); err != nil {
		t.Fatalf("deleting %s: %v", obj.GetName(), err)
	}
}

// Update reads an object, changes it and writes it, again when somebody else was
// first.
func Update[T client.Object](t testing.TB, c *Cluster, obj T, change func(T)) {
	t.Helper()
	Eventually(t, 5*time.Second, func(ctx context.Context) error {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		change(obj)
		return c.Client.Update(ctx, obj)
	})
}

// NewHost is a DockerHost that is probed each second. A call may take three: a real
// engine on a busy machine does not always answer within one.
func NewHost(namespace, name, endpoint string) *dcv1.DockerHost {
	return &dcv1.DockerHost{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: dcv1.DockerHostSpec{
			Endpoint: endpoint,
			HealthCheck: dcv1.DockerHostHealthCheck{
				Interval: &metav1.Duration{Duration: time.Second}, Timeout: &metav1.Duration{Duration: 3 * time.Second},
			},
		},
	}
}

// WaitHost reads host until check is content with it, and returns how long that took.
func (c *Cluster) WaitHost(t testing.TB, host *dcv1.DockerHost, within time.Duration, check func(*dcv1.DockerHost) error) time.Duration {
	t.Helper()
	start := time.Now()
	Eventually(t, within, func(ctx context.Context) error {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(host), host); err != nil {
			return err
		}
		return check(host)
	})
	return time.Since(start)
}

// WaitReady waits until Ready is want, as "True/Connected", at the host's newest
// generation, and returns how long that took.
func (c *Cluster) WaitReady(t testing.TB, host *dcv1.DockerHost, want string, within time.Duration) time.Duration {
	t.Helper()
	return c.WaitHost(t, host, within, func(h *dcv1.DockerHost) error {
		ready := meta.FindStatusCondition(h.Status.Conditions, dcv1.ConditionReady)
		switch {
		case ready == nil:
			return fmt.Errorf("%s has no Ready condition, want %s", h.Name, want)
		case string(ready.Status)+"/"+ready.Reason != want || ready.ObservedGeneration != h.Generation:
			return fmt.Errorf("%s: Ready is %s/%s (%s) of generation %d, want %s of %d",
				h.Name, ready.Status, ready.Reason, ready.Message, ready.ObservedGeneration, want, h.Generation)
		}
		return nil
	})
}

// WaitMessage waits until Ready's message says something.
func (c *Cluster) WaitMessage(t testing.TB, host *dcv1.DockerHost, says string, within time.Duration) {
	t.Helper()
	c.WaitHost(t, host, within, func(h *dcv1.DockerHost) error {
		if ready := meta.FindStatusCondition(h.Status.Conditions, dcv1.ConditionReady); ready == nil || !strings.Contains(ready.Message, says) {
			return fmt.Errorf("%s: Ready is %+v, want it to say %q", h.Name, ready, says)
		}
		return nil
	})
}

// WaitCounts waits until the status counts so many containers.
func (c *Cluster) WaitCounts(t testing.TB, host *dcv1.DockerHost, running, stopped int32, within time.Duration) time.Duration {
	t.Helper()
	return c.WaitHost(t, host, within, func(h *dcv1.DockerHost) error {
		n := h.Status.Containers
		switch {
		case n == nil:
			return fmt.Errorf("%s has no counts, want %d running and %d stopped", h.Name, running, stopped)
		case *n.Running != running || *n.Stopped != stopped:
			return fmt.Errorf("%s has %d running and %d stopped, want %d and %d", h.Name, *n.Running, *n.Stopped, running, stopped)
		}
		return nil
	})
}

// WaitEvents waits until an object has exactly these Events, as "Warning DialFailed",
// each as often as it is named.
func (c *Cluster) WaitEvents(t testing.TB, obj client.Object, want ...string) {
	t.Helper()
	wanted := map[string]int{}
	for _, w := range want {
		wanted[w]++
	}
	Eventually(t, 10*time.Second, func(ctx context.Context) error {
		got, err := c.events(ctx, obj)
		if err == nil && fmt.Sprint(got) != fmt.Sprint(wanted) {
			err = fmt.Errorf("%s has events %v, want %v", obj.GetName(), got, wanted)
		}
		return err
	})
}

// WaitEvent waits until an object has an Event, whatever others it has.
func (c *Cluster) WaitEvent(t testing.TB, obj client.Object, want string) {
	t.Helper()
	Eventually(t, 10*time.Second, func(ctx context.Context) error {
		got, err := c.events(ctx, obj)
		if err == nil && got[want] == 0 {
			err = fmt.Errorf("%s has events %v, want %s", obj.GetName(), got, want)
		}
		return err
	})
}

func (c *Cluster) events(ctx context.Context, obj client.Object) (map[string]int, error) {
	var events eventsv1.EventList
	if err := c.Client.List(ctx, &events, client.InNamespace(obj.GetNamespace())); err != nil {
		return nil, err
	}
	got := map[string]int{}
	for _, e := range events.Items {
		if e.Regarding.UID != obj.GetUID() {
			continue
		}
		n := 1
		if e.Series != nil {
			n = int(e.Series.Count)
		}
		got[e.Type+" "+e.Reason] += n
	}
	return got, nil
}
