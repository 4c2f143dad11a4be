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

package bench

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

const (
	// swarmNodes is how many engines the simulated swarm has; three are managers.
	swarmNodes = 10
	// servicesLimit is how long all services together may take before something is broken.
	servicesLimit = 15 * time.Minute
	// tasksIdle is how often a swarm's tasks are listed while nothing moves.
	tasksIdle = 15 * time.Second
)

// The images that simulated engines have.
const (
	simImage, simNewImage = "app-0:1", "app-1:1"
)

// simSwarm is one swarm of simulated engines, each declared as a DockerHost.
type simSwarm struct {
	*cluster
	sim      *simulated
	hosts    *hostWatch
	services *serviceWatch
	m        *manager
}

// benchSimSwarm measures many services on one simulated swarm.
func benchSimSwarm(b *testing.B) {
	say("starting a simulated swarm of %d nodes", swarmNodes)
	n := strconv.Itoa(swarmNodes)
	s := &simSwarm{
		cluster: startCluster(b),
		sim:     startSim(b, swarmNodes, "--swarm", "--swarm-size", n, "--containers", "0", "--images", "2"),
	}
	s.hosts = s.watchHosts(b)
	s.services = s.watchServices(b, s.hosts.namespace)
	s.m = s.startManager(b)
	names, begun := make([]string, swarmNodes), time.Now()
	for i := range names {
		names[i] = "node-" + strconv.Itoa(i)
		if err := s.hosts.apply(b.Context(), names[i], s.sim.sockets[i], dcv1.DockerHostHealthCheck{}); err != nil {
			b.Fatal(err)
		}
	}
	s.hosts.wait(b, time.Minute, metav1.ConditionTrue, begun, names...)
	s.churn(b)
	s.keep(b)
	s.hosts.deleteAll(b)
	s.m.stop(b)
}

func serviceName(i int) string { return fmt.Sprintf("service-%04d", i) }

// phase is what was done to many services at once.
type phase struct {
	what string
	n    int
	// took is from the first request to the last service done.
	took, cpu time.Duration
	// calls are those of all engines, writes those of the API server; by what they ask.
	calls, writes map[string]float64
}

// do does something to n services at once, and waits until done says when the last was.
func (s *simSwarm) do(b *testing.B, what string, n int, act func(name string) error, done func() time.Time) phase {
	b.Helper()
	p := phase{what: what, n: n}
	calls, writes, cpu := s.sim.calls(b), s.writes(b), s.m.usage(b).cpu
	begun := time.Now()
	inParallel(b, n, writers, func(i int) error { return act(serviceName(i)) })
	p.took = done().Sub(begun)
	p.cpu = s.m.usage(b).cpu - cpu
	p.calls, p.writes = since(calls, s.sim.calls(b)), since(writes, s.writes(b))
	_, called := sumSince(nil, p.calls)
	_, wrote := sumSince(nil, p.writes)
	say("%d services %s in %s, with %s of the manager's CPU; engine calls: %s; writes: %s", n, what, seconds(p.took.Seconds()), seconds(p.cpu.Seconds()), called, wrote)
	return p
}

func since(before, after map[string]float64) map[string]float64 {
	grown := maps.Clone(after)
	for what := range grown {
		grown[what] -= before[what]
	}
	return grown
}

func (s *simSwarm) create(b *testing.B, n int) phase {
	b.Helper()
	return s.do(b, "created", n,
		func(name string) error { return s.services.create(b.Context(), name, "node-0", simImage) },
		func() time.Time { return s.services.wait(b, servicesLimit, n, 1) })
}

func (s *simSwarm) update(b *testing.B, n int) phase {
	b.Helper()
	return s.do(b, "updated", n,
		func(name string) error {
			return s.services.patch(b.Context(), name, `{"spec":{"image":"`+simNewImage+`"}}`)
		},
		func() time.Time { return s.services.wait(b, servicesLimit, n, 2) })
}

func (s *simSwarm) remove(b *testing.B, n int) phase {
	b.Helper()
	return s.do(b, "deleted", n,
		func(name string) error { return s.services.delete(b.Context(), name) },
		func() time.Time { return s.services.untilGone(b, servicesLimit, "the SwarmServices") })
}

// churn measures services that come, change and go.
func (s *simSwarm) churn(b *testing.B) {
	b.Helper()
	n := *services
	phases := []phase{s.create(b, n), s.update(b, n), s.remove(b, n)}
	// The references are the bare parts' alone.
	s.m.stop(b)
	bare := s.bareChurn(b, phases)
	s.m = s.startManager(b)
	var figures []figure
	for i, p := range phases {
		figures = append(figures, p.figures(bare[i])...)
	}
	add(fmt.Sprintf("%d SwarmServices on a simulated swarm of %d nodes", n, swarmNodes), figures...)
}

// figures are a phase's, beside how long its bare parts took.
func (p phase) figures(bare time.Duration) []figure {
	n := float64(p.n)
	swarm, hosts := p.count()
	wrote, _ := sumSince(nil, p.writes)
	return []figure{
		{
			name: "services " + p.what + ", to the last one done", unit: perSecond, aim: 100, judge: least, samples: []float64{n / p.took.Seconds()},
			reference: n / bare.Seconds(), of: "as many bare writes to the API server, then as many bare calls of the swarm",
		},
		{name: p.what + ": calls of the swarm a service", unit: number, aim: 3, judge: worst, samples: []float64{swarm / n}},
		{name: p.what + ": other engine calls a service (the nodes' containers, their health)", unit: number, samples: []float64{hosts / n}},
		{name: p.what + ": writes to the API server a service, the user's included", unit: number, samples: []float64{wrote / n}},
		{name: p.what + ": the manager's CPU a service", unit: seconds, samples: []float64{p.cpu.Seconds() / n}},
	}
}

// swarmPaths begin the paths of what is a swarm's, not an engine's own.
var swarmPaths = []string{"/services", "/tasks", "/nodes", "/secrets", "/configs", "/swarm", "/networks/create", "/distribution"}

// count tells the calls of the swarm from those of its engines' own inventories.
func (p phase) count() (swarm, hosts float64) {
	for what, n := range p.calls {
		_, path, _ := strings.Cut(what, " ")
		if slices.ContainsFunc(swarmPaths, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
			swarm += n
		} else {
			hosts += n
		}
	}
	return swarm, hosts
}

// keep measures many services of which none has anything to do.
func (s *simSwarm) keep(b *testing.B) {
	b.Helper()
	n, window := *steadyMany, *steady
	made := s.create(b, n)
	pause(b, min(settle, window))
	calls, writes, manager := s.sim.calls(b), s.writes(b), s.m.usage(b)
	pause(b, window)
	after := s.m.usage(b)
	p := phase{n: n, calls: since(calls, s.sim.calls(b)), writes: since(writes, s.writes(b))}
	_, called := sumSince(nil, p.calls)
	wrote, what := sumSince(nil, p.writes)
	say("%d services, steady for %v: %s, %s; engine calls: %s; writes: %s", n, window, cores(after.coresSince(manager)), megabytes(after.rss), called, what)
	gone := s.remove(b, n)

	minutes := window.Minutes()
	swarm, hosts := p.count()
	add(fmt.Sprintf("%d SwarmServices in steady state on a simulated swarm of %d nodes", n, swarmNodes),
		figure{name: "writes to the API server a minute, Leases aside", unit: number, aim: 0, judge: worst, samples: []float64{wrote / minutes}},
		figure{
			name: "lists of the swarm's tasks a minute", unit: number, aim: time.Minute.Seconds()/tasksIdle.Seconds() + 1/minutes, judge: worst,
			samples: []float64{p.calls["GET /tasks"] / minutes},
		},
		figure{name: "all calls of the swarm a minute", unit: number, samples: []float64{swarm / minutes}},
		figure{name: "other engine calls a minute (the nodes' pings, lists of containers)", unit: number, samples: []float64{hosts / minutes}},
		figure{name: "the manager's CPU a minute", unit: seconds, samples: []float64{(after.cpu - manager.cpu).Seconds() / minutes}},
		figure{name: "the manager's memory (RSS)", unit: megabytes, samples: []float64{after.rss}},
		figure{name: "services created before, to the last one Ready", unit: perSecond, samples: []float64{float64(n) / made.took.Seconds()}},
		figure{name: "services deleted after, to the last one gone", unit: perSecond, samples: []float64{float64(n) / gone.took.Seconds()}},
	)
}
