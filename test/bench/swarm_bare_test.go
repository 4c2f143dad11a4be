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
	"fmt"
	"net/http"
	"testing"
	"time"
)

// bareSwarm is the API server and the simulated swarm without a manager between them.
type bareSwarm struct {
	objects *serviceWatch
	engine  *bare
	n       int
	wrote   int // requests, so that each changes something
}

// bareChurn does what each phase came to without a manager: as many writes of objects
// like its own, then as many calls of the swarm like its own. It returns how long each
// took, and leaves nothing.
func (s *simSwarm) bareChurn(b *testing.B, phases []phase) []time.Duration {
	b.Helper()
	r := &bareSwarm{objects: s.watchServices(b, s.Namespace(b)), engine: newBare(s.sim.sockets[0], true, 0), n: phases[0].n}
	defer r.engine.http.CloseIdleConnections()
	inParallel(b, r.n, writers, func(i int) error { return r.objects.create(b.Context(), serviceName(i), "none", simImage) })
	var took []time.Duration
	for i, change := range []func(name string) error{r.create, r.update, r.remove} {
		p := phases[i]
		wrote, _ := sumSince(nil, p.writes)
		begun := time.Now()
		r.write(b, int(wrote))
		r.list(b, p)
		inParallel(b, r.n, writers, func(i int) error { return change(serviceName(i)) })
		r.list(b, p)
		took = append(took, time.Since(begun))
		say("the bare parts of %d services %s took %s", r.n, p.what, seconds(took[i].Seconds()))
	}
	inParallel(b, r.n, writers, func(i int) error { return r.objects.delete(b.Context(), serviceName(i)) })
	return took
}

// write changes objects as often as that.
func (r *bareSwarm) write(b *testing.B, times int) {
	b.Helper()
	from := r.wrote
	inParallel(b, times, writers, func(i int) error {
		return r.objects.patch(b.Context(), serviceName(i%r.n), fmt.Sprintf(`{"metadata":{"annotations":{"bench":"%d"}}}`, from+i))
	})
	r.wrote += times
}

// list makes half of the lists that the phase made: it is called while the swarm has few
// services, and when it has many.
func (r *bareSwarm) list(b *testing.B, p phase) {
	b.Helper()
	for _, path := range []string{"/services", "/tasks", "/nodes"} {
		for range int(p.calls["GET "+path]) / 2 {
			r.engine.must(b, path)
		}
	}
}

// bareSpec is the spec of a service like those that SwarmServices make.
func bareSpec(name, image string) []byte {
	return []byte(`{"Name":"` + name + `","TaskTemplate":{"ContainerSpec":{"Image":"` + image +
		`","Command":["sleep"],"Args":["100000"],"StopGracePeriod":0}},"Mode":{"Replicated":{"Replicas":1}},"UpdateConfig":{"Parallelism":1,"Monitor":100000000}}`)
}

func (r *bareSwarm) create(name string) error {
	_, err := r.engine.post("/services/create", bareSpec(name, simImage))
	return err
}

func (r *bareSwarm) update(name string) error {
	body, err := r.engine.call(http.MethodGet, "/services/"+name)
	if err != nil {
		return err
	}
	var service struct{ Version struct{ Index uint64 } }
	if err := json.Unmarshal(body, &service); err != nil {
		return err
	}
	_, err = r.engine.post(fmt.Sprintf("/services/%s/update?version=%d", name, service.Version.Index), bareSpec(name, simNewImage))
	return err
}

func (r *bareSwarm) remove(name string) error {
	_, err := r.engine.call(http.MethodDelete, "/services/"+name)
	return err
}
