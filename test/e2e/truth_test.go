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

package e2e

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// realEngine is what tests do with any real engine.
type realEngine interface {
	Endpoint() string
	Info(testing.TB) map[string]any
	ImportBusybox(t testing.TB, ref string)
	RunContainer(t testing.TB, name, image string, command ...string) string
	RemoveContainer(t testing.TB, id string)
}

// TestTrueNumbers compares the status with the engine's own /info, read past the
// code under test, while containers come and go.
func TestTrueNumbers(t *testing.T) {
	engines := map[string]func(*testing.T) realEngine{
		"debian": func(t *testing.T) realEngine { return testbed.StartDockerd(t, testbed.DockerdOptions{}) },
		"modern": func(t *testing.T) realEngine { return testbed.StartDockerd(t, testbed.DockerdOptions{Modern: true}) },
		"podman": func(t *testing.T) realEngine { return testbed.StartPodman(t) },
	}
	for name, start := range engines {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			e := start(t)
			e.ImportBusybox(t, "busybox:test")
			host := testenv.NewHost(b.namespace, "local", e.Endpoint())
			// Podman has no daemon that knows: its /info starts programs to find out.
			host.Spec.HealthCheck.Timeout = &metav1.Duration{Duration: 30 * time.Second}
			b.Create(t, host)
			b.WaitReady(t, host, "True/Connected", promptly)
			compareInfo(t, host, e.Info(t))

			id := e.RunContainer(t, "one", "busybox:test", "sleep", "600")
			t.Logf("container started: seen after %s", b.WaitCounts(t, host, 1, 0, promptly))
			compareInfo(t, host, e.Info(t))
			e.RemoveContainer(t, id)
			t.Logf("container removed: seen after %s", b.WaitCounts(t, host, 0, 0, promptly))
			compareInfo(t, host, e.Info(t))
		})
	}
}

func compareInfo(t *testing.T, host *dcv1.DockerHost, info map[string]any) {
	t.Helper()
	s := host.Status
	for what, pair := range map[string][2]any{
		"containers running": {*s.Containers.Running, info["ContainersRunning"]},
		"containers paused":  {*s.Containers.Paused, info["ContainersPaused"]},
		"containers stopped": {*s.Containers.Stopped, info["ContainersStopped"]},
		"containers":         {*s.Containers.Total, info["Containers"]},
		"images":             {*s.Images, info["Images"]},
		"name":               {s.Engine.Name, info["Name"]},
		"version":            {s.Engine.Version, info["ServerVersion"]},
		"kernel":             {s.Engine.Kernel, info["KernelVersion"]},
		"storage driver":     {s.Engine.StorageDriver, info["Driver"]},
		"os":                 {s.Engine.OSImage, info["OperatingSystem"]},
		"arch":               {s.Engine.Arch, info["Architecture"]},
		"cpus":               {s.Capacity.CPUs, info["NCPU"]},
		"memory":             {float64(s.Capacity.Memory.Value()), info["MemTotal"]},
	} {
		if got, want := fmt.Sprint(pair[0]), fmt.Sprint(pair[1]); got != want {
			t.Errorf("status says %s = %s, the engine says %s", what, got, want)
		}
	}
}

// TestSwarmManager reports a real engine's place in its swarm.
func TestSwarmManager(t *testing.T) {
	b := newBed(t)
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Swarm: true})
	host := testenv.NewHost(b.namespace, "manager", d.Endpoint())
	b.Create(t, host)
	b.WaitReady(t, host, "True/Connected", promptly)
	s := host.Status.Swarm
	if s == nil || s.Role != dcv1.SwarmManager || s.NodeID == "" || s.ClusterID == "" || *s.Managers != 1 || *s.Nodes != 1 || !*s.ControlAvailable {
		t.Errorf("swarm = %+v, want the manager of a swarm of one", s)
	}
}
