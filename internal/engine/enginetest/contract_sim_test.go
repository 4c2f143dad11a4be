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

package enginetest

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// The simulation has no differences: what it does other than dockerd is a defect
// of it.

func simAlone(t *testing.T) Fixture { return simulated(t, sim.Options{}) }

func simSwarm(t *testing.T) Fixture {
	return simulated(t, sim.Options{Swarm: newSimSwarm(t)})
}

// simModern is like the newest engine.
func simModern(t *testing.T) Fixture {
	return simulated(t, sim.Options{Version: "29.0.0", APIVersion: "1.56", MinAPIVersion: "1.40", Swarm: newSimSwarm(t)})
}

func newSimSwarm(t *testing.T) *sim.Swarm {
	t.Helper()
	s := sim.NewSwarm(sim.SwarmOptions{})
	t.Cleanup(s.Close)
	return s
}

// simulated serves a simulated engine on a unix socket.
func simulated(t *testing.T, opts sim.Options) Fixture {
	t.Helper()
	dir, err := os.MkdirTemp("", "sim") // TempDir's names are too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "docker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	e := sim.New(opts)
	served := make(chan error, 1)
	go func() { served <- e.Serve(l) }()
	t.Cleanup(func() {
		e.Close()
		if err := <-served; err != nil {
			t.Errorf("serve the simulated engine: %v", err)
		}
	})
	open := opener(t, "unix://"+l.Addr().String(), nil)
	client, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if err := client.ImageImport(t.Context(), image, bytes.NewReader(testbed.BusyboxTar(t))); err != nil {
		t.Fatalf("import the image: %v", err)
	}
	return Fixture{Open: open, Image: image, Swarm: opts.Swarm != nil}
}
