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

package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/moby/api/types/swarm"
)

// maxHosts is how many four-digit names there are.
const maxHosts = 10000

// FleetOptions say what a fleet is.
type FleetOptions struct {
	// Dir is where the sockets go: 0000.sock and on. It is made if it is missing.
	Dir string
	// Hosts is how many engines there are, at most 10,000.
	Hosts int
	// Engine is what each engine is like. Name and Seed are made from its number,
	// Swarm and Role from SwarmSize.
	Engine Options
	// SwarmSize puts so many engines each into swarms, whose first three are
	// managers. 0 is no swarms.
	SwarmSize int
	// Churn is how many containers of the whole fleet restart each second, at most
	// 10,000.
	Churn float64
}

const (
	swarmManagers = 3
	maxChurn      = 10_000
)

// Fleet is many engines in one process, each on a unix socket of its own.
type Fleet struct {
	opts    FleetOptions
	engines []*Engine
	swarms  []*Swarm

	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup
	mu     sync.Mutex
	failed error
}

// NewFleet makes the engines and begins to serve them. When it returns all of
// them listen. Close ends them and removes the sockets.
func NewFleet(opts FleetOptions) (*Fleet, error) {
	switch {
	case opts.Hosts < 1 || opts.Hosts > maxHosts:
		return nil, fmt.Errorf("a fleet has from 1 to %d hosts, not %d", maxHosts, opts.Hosts)
	case opts.Dir == "":
		return nil, fmt.Errorf("a fleet needs a directory for its sockets")
	case !(opts.Churn >= 0 && opts.Churn <= maxChurn):
		return nil, fmt.Errorf("a fleet's churn is from 0 to %d restarts a second", maxChurn)
	case opts.SwarmSize < 0:
		return nil, fmt.Errorf("a swarm's size is not negative")
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the sockets: %w", err)
	}
	f := &Fleet{opts: opts}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	for i := range opts.Hosts {
		if err := f.add(i); err != nil {
			f.Close()
			return nil, err
		}
	}
	if opts.Churn > 0 && opts.Engine.Containers > 0 {
		f.group.Go(f.churn)
	}
	return f, nil
}

// hostName is a host's four digits.
func hostName(i int) string { return fmt.Sprintf("%04d", i) }

// Path is where a host's socket is.
func (f *Fleet) Path(i int) string { return filepath.Join(f.opts.Dir, hostName(i)+".sock") }

// Hosts is how many engines there are.
func (f *Fleet) Hosts() int { return len(f.engines) }

// Engine is one of the engines.
func (f *Fleet) Engine(i int) *Engine { return f.engines[i] }

func (f *Fleet) add(i int) error {
	opts := f.opts.Engine
	opts.Name, opts.Seed = "sim-"+hostName(i), "sim-"+hostName(i)
	if size := f.opts.SwarmSize; size > 0 {
		if i%size == 0 {
			f.swarms = append(f.swarms, NewSwarm(SwarmOptions{Seed: itoa(i / size)}))
		}
		opts.Swarm, opts.Role = f.swarms[i/size], swarm.NodeRoleWorker
		if i%size < swarmManagers {
			opts.Role = swarm.NodeRoleManager
		}
	}
	l, err := listenUnix(f.Path(i))
	if err != nil {
		return err
	}
	e := New(opts)
	f.engines = append(f.engines, e)
	f.group.Go(func() {
		if err := e.Serve(l); err != nil {
			f.fail(fmt.Errorf("host %s: %w", hostName(i), err))
		}
	})
	return nil
}

// listenUnix listens on a socket in place of what a process that was killed left.
func listenUnix(path string) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("listen on %s: another process listens there", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", path, err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// ListenControl listens on control.sock beside the engines' sockets, for Control.
func (f *Fleet) ListenControl() (net.Listener, error) {
	return listenUnix(filepath.Join(f.opts.Dir, "control.sock"))
}

func (f *Fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = err
	}
}

// Close ends every engine, and returns the first that failed on its own.
func (f *Fleet) Close() error {
	f.cancel()
	var closing sync.WaitGroup
	for _, e := range f.engines {
		closing.Go(e.Close)
	}
	closing.Wait()
	for _, s := range f.swarms {
		s.Close()
	}
	f.group.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// churn restarts containers taken at random.
func (f *Fleet) churn() {
	const tick = 20 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	started, done := time.Now(), 0
	for {
		select {
		case <-ticker.C:
		case <-f.ctx.Done():
			return
		}
		for due := int(time.Since(started).Seconds() * f.opts.Churn); done < due && f.ctx.Err() == nil; done++ {
			f.engines[pick(len(f.engines))].restartSome()
		}
	}
}

// pick is a number below n, at random.
func pick(n int) int {
	return rand.IntN(n)
}

// restartSome kills and starts a container taken at random, if it runs.
func (e *Engine) restartSome() {
	e.mu.Lock()
	var c *containerObject
	if n := len(e.containers.order); n > 0 {
		c = e.containers.order[pick(n)]
	}
	if c == nil || !c.running() {
		e.mu.Unlock()
		return
	}
	end := c.end()
	e.mu.Unlock()
	if e.kill(c, sigKill) != nil {
		return
	}
	select {
	case <-end.done:
	case <-e.ctx.Done():
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.containers.byID[c.id] != nil {
		_ = e.startContainer(c)
	}
}
