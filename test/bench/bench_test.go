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
	"net/http"
	"testing"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// BenchmarkHost measures one real engine: how soon its coming, its end and its
// return are seen.
func BenchmarkHost(b *testing.B) {
	say("starting a real engine")
	engine := testbed.StartDockerd(b, testbed.DockerdOptions{Name: "bench"})
	engine.ImportBusybox(b, "bench:1")
	for i := range engineContainers {
		engine.Call(b, http.MethodPost, fmt.Sprintf("/containers/create?name=c%d", i), map[string]any{"Image": "bench:1", "Cmd": []string{"true"}})
	}
	c := startCluster(b)
	h := &hostBench{hostWatch: c.watchHosts(b), engine: engine}
	c.startManager(b)
	h.create(b, 1, dcv1.DockerHostHealthCheck{}) // the first waits for the manager's start
	h.deleteAll(b)

	figures := h.applied(b)
	figures = append(figures, h.outages(b)...)
	figures = append(figures, h.blackHoles(b)...)
	figures = append(figures, h.longOutages(b)...)
	add("One real host", figures...)
	b.ReportMetric(0, "ns/op") // the table is the result
}

// BenchmarkFleet measures what simulated engines cost the manager: its start, and
// its steady state.
func BenchmarkFleet(b *testing.B) {
	say("starting %d simulated engines with %d containers each", *hosts, *containers)
	sim := startSim(b, *hosts)
	c := startCluster(b)
	w := c.watchHosts(b)
	ping, list, size := bareFleet(b, sim.sockets)

	var runs []fleetRun
	for _, n := range []int{0, 10, 100} {
		if n < *hosts {
			runs = append(runs, c.measureFleet(b, w, sim, n, min(smallSteady, *steady)))
		}
	}
	runs = append(runs, c.measureFleet(b, w, sim, *hosts, *steady))
	full := runs[len(runs)-1]
	add(fmt.Sprintf("A fleet of %d simulated hosts with %d containers each", full.hosts, *containers),
		figure{
			name: "the manager's start to all hosts Ready", unit: seconds, aim: 20, judge: worst, samples: []float64{full.start.Seconds()},
			reference: (full.create + list).Seconds(), of: "as many bare creates and bare lists of containers",
		},
		figure{
			name: "the steady manager's CPU", unit: cores, aim: 0.15, judge: worst, samples: []float64{full.cores},
			reference: ping, of: "a bare GET /_ping a host each 10 s",
		},
		figure{
			name: "the steady manager's memory (RSS)", unit: megabytes, aim: 400e6, judge: worst, samples: []float64{full.rss},
			reference: size, of: "the inventory as the engines' JSON",
		},
		figure{
			name: "writes to the API server a minute, Leases aside", unit: number, aim: 0, judge: worst, samples: []float64{full.writesPerMinute},
		},
	)
	addRows("What fleets of several sizes cost the manager", costs(runs))
	b.ReportMetric(0, "ns/op") // the tables are the result
}

// BenchmarkEvents measures how long a container's event takes from a healthy
// engine, by that engine's own clock, until a watcher of the inventory has the
// container as it is now; first with every host well, then from the moment on
// that a tenth of them stops answering.
func BenchmarkEvents(b *testing.B) {
	dead := max(1, int(float64(*hosts)*deadShare))
	say("starting %d simulated engines with %d containers each", *hosts, *containers)
	healthy, victims := startSim(b, *hosts-dead), startSim(b, dead)
	hand := byHand(b, healthy.sockets[0])
	e := &eventBench{seen: map[string]*sent{}}
	e.connect(b, healthy.sockets, victims.sockets)

	e.follow(b)
	well := e.make(b, "all hosts well", 0, *eventCount/3)
	victims.blackHole(b)
	holes := e.make(b, fmt.Sprintf("%d hosts black-holed", dead), *eventCount/3, *eventCount)
	e.checkLost(b, dead)

	of := "a bare event stream and a bare list of that container, one host"
	add(fmt.Sprintf("Events of %d simulated hosts with %d containers each", *hosts, *containers),
		figure{name: "container event to inventory, all hosts well", unit: seconds, samples: well, reference: hand, of: of},
		figure{
			name: fmt.Sprintf("container event on a healthy host to inventory, %d hosts black-holed", dead), unit: seconds,
			aim: 0.1, judge: p99, samples: holes, reference: hand, of: of,
		},
	)
	b.ReportMetric(0, "ns/op") // the table is the result
}
