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

package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/dockercontrol/dockercontrol/internal/manager"
)

// replicaEnv makes the test binary a manager, which can be killed as one in the test's
// own process cannot. It names a file with a replicaConfig.
const replicaEnv = "DOCKERCONTROL_TEST_REPLICA"

type replicaConfig struct {
	Host    string
	TLS     rest.TLSClientConfig
	Options manager.Options
}

// replica is a manager in a process of its own.
type replica struct {
	cmd   *exec.Cmd
	stdin io.Closer
	kill  func()
}

// startReplica runs a manager until it is killed, or the test or its process ends.
func startReplica(t *testing.T, cluster *rest.Config, o manager.Options) *replica {
	t.Helper()
	config, err := json.Marshal(replicaConfig{Host: cluster.Host, TLS: cluster.TLSClientConfig, Options: o})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "config.json"), config)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), replicaEnv+"="+filepath.Join(dir, "config.json"))
	cmd.Stdout, cmd.Stderr = log, log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &replica{cmd: cmd, stdin: stdin}
	r.kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
	})
	t.Cleanup(func() {
		r.kill()
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("the end of the second replica's log:\n%s", text[max(0, len(text)-4<<10):])
		}
	})
	return r
}

// runReplica is the process. It ends with its standard input, thus with its parent.
func runReplica(file string) int {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	ctrl.SetLogger(zap.New())
	err := func() error {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var config replicaConfig
		if err := json.Unmarshal(data, &config); err != nil {
			return err
		}
		return manager.Run(ctx, &rest.Config{Host: config.Host, TLSClientConfig: config.TLS, QPS: -1}, config.Options)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// second is the other replica of a bed, and the balancer before both.
type second struct {
	*balancer
	*replica
	address string
}

// balance adds a replica in a process of its own, and sends clients to a balancer before
// both until the test ends. token is of somebody who may look at the host.
func (b *bed) balance(t *testing.T, token string) *second {
	t.Helper()
	o := b.options(t)
	s := &second{replica: startReplica(t, b.Config, o), address: o.ProxyAddress}
	b.trails = append(b.trails, o.AuditFile)
	b.waitServing(t, o.ProxyAddress)
	s.balancer = startBalancer(t, b.addresses[0], o.ProxyAddress)
	before := b.address
	b.address = s.balancer.address
	t.Cleanup(func() { b.address = before })
	// A replica that has just started connects to the host, and knows the caller's rights,
	// a moment later.
	for i := range s.backends {
		s.pin(i)
		b.as(t, token).eventually(t, 200, "GET", b.path()+"/_ping", nil)
	}
	s.pin(roundRobin)
	return s
}

// modes runs a test through one manager, and then through two behind a balancer. The
// test calls midway once: with two, one of them is killed there.
func (b *bed) modes(t *testing.T, token string, run func(t *testing.T, midway func())) {
	t.Run("one manager", func(t *testing.T) { run(t, func() {}) })
	t.Run("two managers", func(t *testing.T) { run(t, b.balance(t, token).kill) })
}

// begin is called by a test once its bed stands, with the token of somebody who may look at
// the host and before anybody's client is made. The test calls what it returns midway.
type begin func(b *bed, token string) (midway func())

// inBothModes is modes for tests that need a bed of their own for each.
func inBothModes(t *testing.T, run func(t *testing.T, begin begin)) {
	t.Run("one manager", func(t *testing.T) {
		run(t, func(*bed, string) func() { return func() {} })
	})
	t.Run("two managers", func(t *testing.T) {
		run(t, func(b *bed, token string) func() { return b.balance(t, token).kill })
	})
}
