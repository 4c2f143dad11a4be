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
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

const (
	realSwarmHost  = "swarm"
	realSwarmImage = "bench:1"
)

// realSwarm is a swarm of one real engine.
type realSwarm struct {
	services *serviceWatch
	engine   *bare
	spec     map[string]any // of the service, as the operator makes it
}

// benchRealSwarm measures how soon the first task of a service runs: of a SwarmService,
// and in turn with it of the same service made by a call of the engine's own API.
func benchRealSwarm(b *testing.B) {
	say("starting a real swarm of one node")
	engine := testbed.StartDockerd(b, testbed.DockerdOptions{Name: "swarm", Swarm: true})
	engine.ImportBusybox(b, realSwarmImage)
	c := startCluster(b)
	hosts := c.watchHosts(b)
	r := &realSwarm{services: c.watchServices(b, hosts.namespace), engine: newBare(engine.Socket(), true, 0)}
	m := c.startManager(b)
	begun := time.Now()
	if err := hosts.apply(b.Context(), realSwarmHost, engine.Socket(), dcv1.DockerHostHealthCheck{}); err != nil {
		b.Fatal(err)
	}
	hosts.wait(b, time.Minute, metav1.ConditionTrue, begun, realSwarmHost)
	r.declared(b, "first") // the first waits for the engine's own first

	var running, ready, own []float64
	for range *rounds {
		run, all := r.declared(b, "declared")
		running, ready = append(running, run.Seconds()), append(ready, all.Seconds())
		own = append(own, r.byHand(b, "by-hand").Seconds())
	}
	hosts.deleteAll(b)
	m.stop(b)
	reference, of := quantile(own, 0.5), "docker's own: a bare POST /services/create of the same service to its first task running"
	say("a SwarmService's first task runs after %s, docker's own after %s", seconds(quantile(running, 0.5)), seconds(reference))
	add("A real swarm of one node",
		figure{name: "apply of a SwarmService to its first task running", unit: seconds, samples: running, reference: reference, of: of},
		figure{
			name: "how much later than docker's own that is, at p50", unit: seconds, aim: 0.1, judge: worst,
			samples: []float64{quantile(running, 0.5) - reference},
		},
		figure{name: "docker's own, beside it", unit: seconds, samples: own},
		figure{name: "apply of a SwarmService to Ready", unit: seconds, samples: ready, reference: reference, of: of},
	)
}

// declared makes a SwarmService, and returns how long after its first task ran, and how
// long after it was Ready. Nothing is left of it.
func (r *realSwarm) declared(b *testing.B, name string) (running, ready time.Duration) {
	b.Helper()
	begun := time.Now()
	if err := r.services.create(b.Context(), name, realSwarmHost, realSwarmImage); err != nil {
		b.Fatal(err)
	}
	running = r.running(b, name, begun)
	ready = r.services.wait(b, time.Minute, 1, 1).Sub(begun)
	if r.spec == nil {
		var service struct{ Spec map[string]any }
		if err := json.Unmarshal(r.engine.must(b, "/services/"+name), &service); err != nil {
			b.Fatal(err)
		}
		r.spec = service.Spec
		delete(r.spec, "Labels") // they say whose it is
	}
	if err := r.services.delete(b.Context(), name); err != nil {
		b.Fatal(err)
	}
	r.services.untilGone(b, time.Minute, "the SwarmService")
	r.empty(b)
	return running, ready
}

// byHand does so with the engine alone.
func (r *realSwarm) byHand(b *testing.B, name string) time.Duration {
	b.Helper()
	r.spec["Name"] = name
	body, err := json.Marshal(r.spec)
	if err != nil {
		b.Fatal(err)
	}
	begun := time.Now()
	if _, err := r.engine.post("/services/create", body); err != nil {
		b.Fatal(err)
	}
	running := r.running(b, name, begun)
	if _, err := r.engine.call(http.MethodDelete, "/services/"+name); err != nil {
		b.Fatal(err)
	}
	r.empty(b)
	return running
}

// running waits until a task of a service runs, as the swarm tells it.
func (r *realSwarm) running(b *testing.B, name string, begun time.Time) time.Duration {
	b.Helper()
	path := "/tasks?" + url.Values{"filters": {`{"service":["` + name + `"]}`}}.Encode()
	eventually(b, time.Minute, "a task of "+name+" to run", func() bool {
		var tasks []struct{ Status struct{ State string } }
		body, err := r.engine.call(http.MethodGet, path) // fails while there is no service
		return err == nil && json.Unmarshal(body, &tasks) == nil && len(tasks) > 0 && tasks[0].Status.State == "running"
	})
	return time.Since(begun)
}

// empty waits until the last service's container is gone, so that the next round finds
// the engine idle.
func (r *realSwarm) empty(b *testing.B) {
	b.Helper()
	eventually(b, time.Minute, "the tasks to be gone", func() bool {
		return string(r.engine.must(b, "/containers/json?all=1")) == "[]\n" && string(r.engine.must(b, "/tasks")) == "[]\n"
	})
}
