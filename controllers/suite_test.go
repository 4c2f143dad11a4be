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

package controllers_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Run(m)) }

// simHost is a simulated engine on a unix socket.
type simHost struct {
	*sim.Engine
	socket   string
	listener net.Listener
}

func startSim(t *testing.T, opts sim.Options) *simHost {
	t.Helper()
	// Not t.TempDir: a socket's path may have 108 bytes at most.
	dir, err := os.MkdirTemp("", "sim")
	if err != nil {
		t.Fatal(err)
	}
	h := &simHost{Engine: sim.New(opts), socket: filepath.Join(dir, "docker.sock")}
	h.listen(t)
	t.Cleanup(func() {
		h.Close()
		_ = os.RemoveAll(dir)
	})
	return h
}

func (h *simHost) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	h.listener = l
	go func() { _ = h.Serve(l) }() // ends with Close
}

func (h *simHost) endpoint() string { return "unix://" + h.socket }

func newHost(namespace, name, endpoint string) *dcv1.DockerHost {
	return &dcv1.DockerHost{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: dcv1.DockerHostSpec{
			Endpoint: endpoint,
			HealthCheck: dcv1.DockerHostHealthCheck{
				Interval: &metav1.Duration{Duration: time.Second}, Timeout: &metav1.Duration{Duration: time.Second},
			},
		},
	}
}

func create(t *testing.T, c *testenv.Cluster, obj client.Object) {
	t.Helper()
	if err := c.Client.Create(t.Context(), obj); err != nil {
		t.Fatalf("creating %s: %v", obj.GetName(), err)
	}
}

// update changes an object as a user would, again when somebody else was first.
func update(t *testing.T, c *testenv.Cluster, host *dcv1.DockerHost, change func(*dcv1.DockerHost)) {
	t.Helper()
	testenv.Eventually(t, 5*time.Second, func(ctx context.Context) error {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(host), host); err != nil {
			return err
		}
		change(host)
		return c.Client.Update(ctx, host)
	})
}

// waitReady waits for Ready to be status/reason at the host's newest generation.
func waitReady(t *testing.T, c *testenv.Cluster, host *dcv1.DockerHost, want string, within time.Duration) {
	t.Helper()
	waitHost(t, c, host, within, func(h *dcv1.DockerHost) error {
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

// waitHost reads host until check is content with it.
func waitHost(t *testing.T, c *testenv.Cluster, host *dcv1.DockerHost, within time.Duration, check func(*dcv1.DockerHost) error) {
	t.Helper()
	testenv.Eventually(t, within, func(ctx context.Context) error {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(host), host); err != nil {
			return err
		}
		return check(host)
	})
}
