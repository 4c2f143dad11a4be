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
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestOutages takes a real engine away in every way there is. Status follows
// there and back, with one Event each way.
func TestOutages(t *testing.T) {
	outages := map[string]struct {
		away, back func(*testing.T, *testbed.Dockerd)
		reason     string
		// within is (interval + timeout) x threshold of a black hole, and a second
		// of slack; a refused connection is found in about 2 s.
		within time.Duration
	}{
		"stopped": {
			func(t *testing.T, d *testbed.Dockerd) { d.Stop(t) }, func(t *testing.T, d *testbed.Dockerd) { d.Start(t) },
			"DialFailed", 4 * time.Second,
		},
		"killed": {
			func(t *testing.T, d *testbed.Dockerd) { d.Kill(t) }, func(t *testing.T, d *testbed.Dockerd) { d.Start(t) },
			"DialFailed", 4 * time.Second,
		},
		"frozen": {
			func(t *testing.T, d *testbed.Dockerd) { d.Pause(t) }, func(t *testing.T, d *testbed.Dockerd) { d.Resume(t) },
			"Timeout", 13 * time.Second,
		},
		"cut off": {
			func(t *testing.T, d *testbed.Dockerd) { d.CutNetwork(t) }, func(t *testing.T, d *testbed.Dockerd) { d.HealNetwork(t) },
			"Timeout", 13 * time.Second,
		},
	}
	for name, o := range outages {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			d := testbed.StartDockerd(t, testbed.DockerdOptions{TCP: true})
			host := b.insecureHost("remote", d.TCPEndpoint())
			b.Create(t, host)
			b.WaitReady(t, host, "True/Connected", promptly)
			o.away(t, d)
			lost := b.WaitReady(t, host, "False/"+o.reason, o.within)
			if host.Status.Containers != nil {
				t.Error("counts of an engine that is away are still shown")
			}
			o.back(t, d)
			t.Logf("lost after %s, back after %s", lost, b.WaitReady(t, host, "True/Connected", 5*time.Second))
			b.WaitEvents(t, host, "Normal Connected", "Warning "+o.reason, "Normal Connected")
		})
	}
}

// TestNoFlappingUnderTheThreshold freezes a real engine for a probe or two of six:
// nothing is written.
func TestNoFlappingUnderTheThreshold(t *testing.T) {
	b := newBed(t)
	d := testbed.StartDockerd(t, testbed.DockerdOptions{})
	host := testenv.NewHost(b.namespace, "remote", d.Endpoint())
	host.Spec.HealthCheck.Timeout = &metav1.Duration{Duration: 2 * time.Second}
	host.Spec.HealthCheck.FailureThreshold = 6
	b.Create(t, host)
	b.WaitReady(t, host, "True/Connected", promptly)
	b.WaitEvents(t, host, "Normal Connected")
	writes := b.manager.Writes()
	d.Pause(t)
	hold(5 * time.Second) // at least one probe fails; six take more than 12 s
	d.Resume(t)
	hold(2 * time.Second)
	if n := b.manager.Writes() - writes; n != 0 {
		t.Errorf("%d writes over an outage under the threshold", n)
	}
	b.WaitReady(t, host, "True/Connected", promptly)
}

// hold lets time pass, for tests that nothing happens.
func hold(d time.Duration) { <-time.After(d) }

// TestAnotherEngineAtTheEndpoint swaps one real engine for another behind the
// same socket path: an engine installed anew has a new ID. Its clock is not
// tested on a real engine, whose clock is this machine's; a simulated one has its
// own (TestEngineClockJumps in controllers).
func TestAnotherEngineAtTheEndpoint(t *testing.T) {
	b := newBed(t)
	first := testbed.StartDockerd(t, testbed.DockerdOptions{Name: "first"})
	second := testbed.StartDockerd(t, testbed.DockerdOptions{Name: "second"})
	link := filepath.Join(t.TempDir(), "docker.sock")
	if err := os.Symlink(first.Socket(), link); err != nil {
		t.Fatal(err)
	}
	host := testenv.NewHost(b.namespace, "local", "unix://"+link)
	b.Create(t, host)
	b.WaitReady(t, host, "True/Connected", promptly)
	if host.Status.Engine.Name != "first" {
		t.Fatalf("engine = %+v, want the first", host.Status.Engine)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(second.Socket(), link); err != nil {
		t.Fatal(err)
	}
	first.Kill(t)
	// The host is connected anew, which a status may show or be too late for: then
	// there are two Events Connected.
	b.WaitEvent(t, host, "Warning EngineReplaced")
	b.WaitReady(t, host, "True/Connected", promptly)
	if host.Status.Engine.Name != "second" {
		t.Errorf("engine = %+v, want the second", host.Status.Engine)
	}
}
