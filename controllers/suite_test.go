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
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	ctrl "sigs.k8s.io/controller-runtime"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(funcr.New(logged.add, funcr.Options{Verbosity: 1}))
	os.Exit(testenv.Run(m))
}

// logged is what the managers of all tests write to their log, debug level included, while
// a test reads it.
var logged managerLog

type managerLog struct {
	mu      sync.Mutex
	readers []*strings.Builder
}

func (l *managerLog) add(prefix, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.readers {
		_, _ = r.WriteString(prefix + " " + args + "\n")
	}
}

// read returns what was logged from now on, when it is called.
func (l *managerLog) read() (lines func() string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &strings.Builder{}
	l.readers = append(l.readers, r)
	return func() string {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.readers = slices.DeleteFunc(l.readers, func(o *strings.Builder) bool { return o == r })
		return r.String()
	}
}

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

// connected is a manager with one connected host, which most tests begin with.
type connected struct {
	*testenv.Cluster
	mgr  *testenv.Manager
	box  *simHost
	host *dcv1.DockerHost
}

func connect(t *testing.T, opts sim.Options) *connected {
	t.Helper()
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	c := &connected{Cluster: cluster, mgr: cluster.StartManager(t, testenv.ManagerOptions(ns)), box: startSim(t, opts)}
	c.host = testenv.NewHost(ns, "box", c.box.endpoint())
	cluster.Create(t, c.host)
	cluster.WaitReady(t, c.host, "True/Connected", 5*time.Second)
	return c
}

// replace puts another engine behind the host's socket.
func (c *connected) replace(t *testing.T, opts sim.Options) {
	t.Helper()
	c.box.Close()
	c.WaitReady(t, c.host, "False/DialFailed", 4*time.Second)
	c.box.Engine = sim.New(opts)
	c.box.listen(t)
	c.WaitReady(t, c.host, "True/Connected", 4*time.Second)
}
