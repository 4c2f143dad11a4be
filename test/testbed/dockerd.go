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

package testbed

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// engineLimit is how long an engine may take to answer after its start; on two
// busy cores it took 3 s.
const engineLimit = 2 * time.Minute

// DockerdOptions say what engine to start. The zero value is Debian's, on a unix
// socket.
type DockerdOptions struct {
	// Name is the engine's host name; empty means "engine".
	Name string
	// Modern takes the newest engine, built from its Go module on first use.
	Modern bool
	// TCP listens on the machine's own address too: in plain text at port 2375,
	// or with TLS at port 2376.
	TCP bool
	// CA, when set, makes the TCP listener speak TLS with a certificate of this CA,
	// and let in clients of this CA only.
	CA *CA
	// ServerCert replaces the certificate that CA would issue, to be a bad one.
	ServerCert *KeyPair
	// Swarm makes the engine the manager of a swarm of one node.
	Swarm bool
	// Network, when set, connects the engine to others: see StartSwarm.
	Network *Network
	// Args are further arguments of dockerd.
	Args []string
}

// Dockerd is a real Docker engine in a machine of its own. What it keeps survives
// Kill, Stop and Start.
type Dockerd struct {
	*process
	*api
	machine *Machine
	opts    DockerdOptions
	program string
	address string
	// networkAddress is the one on opts.Network.
	networkAddress string
}

// StartDockerd starts an engine and waits until it answers. It ends with the test.
func StartDockerd(t testing.TB, opts DockerdOptions) *Dockerd {
	t.Helper()
	if opts.Name == "" {
		opts.Name = "engine"
	}
	d := &Dockerd{opts: opts, program: "dockerd"}
	requireRoot(t)
	require(t, "containerd", "containerd")
	require(t, "runc", "runc")
	require(t, "iptables", "iptables")
	if opts.Modern {
		d.program = filepath.Join(ModernEngine(t), "dockerd")
	} else {
		d.program = require(t, "dockerd", "docker.io")
	}
	d.machine = startMachine(t, opts.Name, true)
	d.api = newAPI(t, d.machine.path("docker.sock"))
	if opts.TCP {
		d.address = d.machine.cable(t)
	}
	if opts.Network != nil {
		d.networkAddress = opts.Network.plug(t, d.machine)
	}
	if opts.CA != nil {
		d.writeServerCertificate(t)
	}
	d.Start(t)
	if opts.Swarm {
		d.Call(t, http.MethodPost, "/swarm/init", map[string]any{"ListenAddr": "127.0.0.1:2377", "AdvertiseAddr": "127.0.0.1"})
	}
	return d
}

// Start starts the engine again after Kill or Stop.
func (d *Dockerd) Start(t testing.TB) {
	t.Helper()
	// Left by a killed engine, and by its containerd, which the kernel kills with it; in a
	// namespace of few processes their numbers may be others' by now, and the engine would
	// not start, or wait for a containerd that is none.
	_ = os.Remove(d.machine.path("docker.pid"))
	_ = os.Remove(d.machine.path("exec/containerd/containerd.pid"))
	d.process = d.machine.start(t, "dockerd", d.command())
	d.waitFor(t, engineLimit, d.Ready)
}

// Restart stops the engine and starts it again.
func (d *Dockerd) Restart(t testing.TB) {
	t.Helper()
	d.Stop(t)
	d.Start(t)
}

// CutNetwork drops every packet between the engine and the test without a word.
func (d *Dockerd) CutNetwork(t testing.TB) { t.Helper(); d.machine.CutNetwork(t) }

// HealNetwork undoes CutNetwork.
func (d *Dockerd) HealNetwork(t testing.TB) { t.Helper(); d.machine.HealNetwork(t) }

// Isolate leaves an engine with TCP no way but to the test. A swarm asks the registry for
// every image, also one that it has: without a way there, it has its answer at once.
func (d *Dockerd) Isolate(t testing.TB) {
	t.Helper()
	d.machine.run(t, "ip", "route", "delete", "default")
}

// TCPEndpoint is tcp://address:port of an engine with TCP.
func (d *Dockerd) TCPEndpoint() string {
	if d.opts.CA != nil {
		return "tcp://" + d.address + ":2376"
	}
	return "tcp://" + d.address + ":2375"
}

// Address is the engine's address without a port, "" without TCP.
func (d *Dockerd) Address() string { return d.address }

// SetServerCert changes the TLS certificate; the engine reads it at its next start.
func (d *Dockerd) SetServerCert(t testing.TB, pair KeyPair) {
	t.Helper()
	writeFile(t, d.machine.path("server.crt"), pair.Cert)
	writeFile(t, d.machine.path("server.key"), pair.Key)
}

func (d *Dockerd) writeServerCertificate(t testing.TB) {
	t.Helper()
	writeFile(t, d.machine.path("ca.crt"), d.opts.CA.Cert)
	if d.opts.ServerCert != nil {
		d.SetServerCert(t, *d.opts.ServerCert)
		return
	}
	d.SetServerCert(t, d.opts.CA.Server(t, d.address))
}

func (d *Dockerd) command() *exec.Cmd {
	m := d.machine
	args := []string{
		"--data-root", m.path("data"),
		"--exec-root", m.path("exec"),
		"--pidfile", m.path("docker.pid"),
		"--host", "unix://" + m.path("docker.sock"),
		"--cgroup-parent", "/" + m.slot.cgroup(),
		// systemd, where there is one, would be told process ids of another namespace.
		"--exec-opt", "native.cgroupdriver=cgroupfs",
	}
	if d.opts.TCP {
		args = append(args, "--host", d.TCPEndpoint())
		if d.opts.CA == nil {
			args = append(args, "--tls=false") // else a modern engine waits 15 s before it listens in plain text
		}
	}
	if d.opts.CA != nil {
		args = append(args, "--tlsverify", "--tlscacert", m.path("ca.crt"), "--tlscert", m.path("server.crt"), "--tlskey", m.path("server.key"))
	}
	if d.opts.Modern {
		args = append(args,
			"--userland-proxy-path", filepath.Join(filepath.Dir(d.program), "docker-proxy"),
			"--feature", "time-namespaces=false") // Debian's runc 1.1 knows none
	}
	return m.command(d.program, append(args, d.opts.Args...)...)
}

// ImportBusybox gives the engine an image made of busybox alone: every command of
// it is a link in /bin. It has a PATH and no command.
func (d *Dockerd) ImportBusybox(t testing.TB, ref string) {
	t.Helper()
	d.importImage(t, ref, BusyboxTar(t))
}

// ModernEngine is the directory of a dockerd and a docker-proxy of the newest
// release, built on first use by hack/modern-engine.sh.
func ModernEngine(t testing.TB) string {
	t.Helper()
	script := "hack/modern-engine.sh"
	root := repositoryRoot(t)
	cmd := exec.Command(filepath.Join(root, script))
	var problems bytes.Buffer
	cmd.Stderr = &problems
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, problems.String())
	}
	return strings.TrimSpace(string(out))
}

// repositoryRoot finds the go.mod above the package's folder: a test runs in the
// folder of its package.
func repositoryRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "hack", "modern-engine.sh")); err == nil {
			return dir
		}
	}
	t.Fatal("hack/modern-engine.sh is in no folder above the test's")
	return ""
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Info is the engine's own /info, read without the code under test.
func (a *api) Info(t testing.TB) map[string]any {
	t.Helper()
	var info map[string]any
	if err := json.Unmarshal(a.Call(t, http.MethodGet, "/info", nil), &info); err != nil {
		t.Fatalf("decode /info: %v", err)
	}
	return info
}
