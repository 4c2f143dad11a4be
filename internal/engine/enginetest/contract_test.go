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
	"testing"

	"go.uber.org/goleak"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// image is what the suite's containers are made of. Nothing answers at the
// registry that its name stands for, so a swarm does not wait for one.
const image = "localhost/contract-busybox:1"

// TestContract holds engines of every kind, over every kind of connection, to the
// contract.
func TestContract(t *testing.T) {
	fixtures := []struct {
		name  string
		start func(t *testing.T) Fixture
	}{
		{"dockerd-unix", dockerdUnix},
		{"dockerd-tls", dockerdTLS},
		{"dockerd-ssh", dockerdSSH},
		{"modern-unix", modernUnix},
		{"podman", podman},
		{"sim", simAlone},
		{"sim-swarm", simSwarm},
		{"sim-modern", simModern},
	}
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			Run(t, f.start(t))
		})
	}
}

// opener opens engines at an endpoint.
func opener(t testing.TB, endpoint string, change func(*engine.Config)) func() (engine.Engine, error) {
	t.Helper()
	ep, err := engine.ParseEndpoint(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	cfg := engine.Config{Endpoint: ep, Timeout: limit, Policy: engine.AddressPolicy{Loopback: true}}
	if change != nil {
		change(&cfg)
	}
	return func() (engine.Engine, error) {
		p, err := moby.Connector{}.Prepare(cfg)
		if err != nil {
			return nil, err
		}
		return p.Open(), nil
	}
}

func dockerdUnix(t *testing.T) Fixture {
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Swarm: true})
	d.ImportBusybox(t, image)
	return Fixture{Open: opener(t, d.Endpoint(), nil), Image: image, Swarm: true}
}

// dockerdTLS is in no swarm.
func dockerdTLS(t *testing.T) Fixture {
	ca := testbed.NewCA(t, "contract CA")
	d := testbed.StartDockerd(t, testbed.DockerdOptions{TCP: true, CA: ca})
	d.ImportBusybox(t, image)
	client := ca.Client(t)
	open := opener(t, d.TCPEndpoint(), func(cfg *engine.Config) {
		cfg.TLS = &engine.TLSConfig{CA: ca.Cert, Cert: client.Cert, Key: client.Key}
	})
	return Fixture{Open: open, Image: image}
}

func dockerdSSH(t *testing.T) Fixture {
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Swarm: true})
	d.ImportBusybox(t, image)
	sshd := testbed.StartSSHD(t, testbed.SSHDOptions{})
	open := opener(t, sshd.Endpoint(d.Socket()), func(cfg *engine.Config) {
		cfg.SSH = &engine.SSHConfig{PrivateKey: sshd.PrivateKey, KnownHosts: sshd.KnownHosts()}
	})
	return Fixture{Open: open, Image: image, Swarm: true}
}

func modernUnix(t *testing.T) Fixture {
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Modern: true, Swarm: true})
	d.ImportBusybox(t, image)
	return Fixture{Open: opener(t, d.Endpoint(), nil), Image: image, Swarm: true}
}
