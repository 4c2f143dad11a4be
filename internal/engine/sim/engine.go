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
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/api/types/swarm"
)

// Options say what an engine is. The zero value is an empty engine like Docker
// 20.10, alone.
type Options struct {
	// Name is the engine's host name. Default "sim".
	Name string
	// Seed is what ids are derived from: the same seed gives the same engine ID,
	// images and generated containers. Default Name.
	Seed string
	// Version is the engine's, default "20.10.24"; APIVersion (default "1.41") and
	// MinAPIVersion (default "1.12") bound what it answers to.
	Version, APIVersion, MinAPIVersion string
	// Containers and Images are how many the engine has at its start. The
	// generated containers run `sleep infinity`.
	Containers, Images int
	// Swarm is the swarm this engine is a node of, in that Role; nil for none.
	Swarm *Swarm
	Role  swarm.NodeRole
}

func (o Options) withDefaults() Options {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&o.Name, "sim")
	set(&o.Seed, o.Name)
	set(&o.Version, "20.10.24")
	set(&o.APIVersion, "1.41")
	set(&o.MinAPIVersion, "1.12")
	if o.Role == "" {
		o.Role = swarm.NodeRoleManager
	}
	return o
}

// Engine is one simulated engine. It is an http.Handler; Serve gives it
// listeners that faults can close and open again.
type Engine struct {
	opts  Options
	clock clock
	// booted is when the simulated machine was, a day before its engine.
	booted int64

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	bus    bus
	faults faults
	calls  calls
	net    networking

	mu         sync.Mutex
	id         string
	containers containerStore
	images     []*imageObject
	volumes    map[string]*volumeObject
	networks   []*networkObject
	execs      execStore
	nextPID    int

	group sync.WaitGroup // scripts, floods and Serve
}

// New makes an engine. Close ends it.
func New(opts Options) *Engine {
	opts = opts.withDefaults()
	e := &Engine{opts: opts, id: engineID(opts.Seed), nextPID: 1000}
	e.booted = e.clock.tick() - int64(24*time.Hour)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.populate()
	if opts.Swarm != nil {
		opts.Swarm.join(e)
	}
	return e
}

// Close ends everything the engine does: listeners, streams and processes.
func (e *Engine) Close() {
	e.mu.Lock()
	e.cancel()
	var all []*process
	for _, c := range e.containers.order {
		if c.endRestart(); c.proc != nil {
			all = append(all, c.proc)
		}
		for _, x := range c.execs {
			all = append(all, x.proc)
		}
	}
	e.mu.Unlock()
	for _, p := range all {
		p.abandon()
	}
	if e.opts.Swarm != nil {
		e.opts.Swarm.setAway(e, true, true)
	}
	e.group.Wait()
}

// ID is the engine's ID as /info tells it.
func (e *Engine) ID() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.id
}

func itoa(i int) string { return strconv.Itoa(i) }
