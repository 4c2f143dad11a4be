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

package streamapi

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// TestServiceLogsOfDockerd follows a service of a real swarm while all of its tasks are
// replaced: every line that a task wrote comes once, in its order, and no task is missing.
func TestServiceLogsOfDockerd(t *testing.T) {
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Swarm: true})
	d.ImportBusybox(t, "busybox:test")
	b := &swarmBed{fleetBed: newFleetBed(t)}
	b.manager = b.declare("manager", d.Endpoint())
	b.save(b.manager, nil)
	b.eventually("the tasks are listed", func() bool { _, err := b.cache.List(b.manager, engine.Tasks); return err == nil })
	n, grace := uint64(2), time.Duration(0)
	id, err := b.live().ServiceCreate(t.Context(), swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: "web"}, Mode: swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &n}},
		TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{
			Image: "busybox:test", Command: []string{"sh", "-c", "i=0; while true; do i=$((i+1)); echo $i; sleep 0.05; done"}, StopGracePeriod: &grace,
		}},
		UpdateConfig: &swarm.UpdateConfig{Parallelism: 1, Monitor: 100 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.eventually("two tasks run", func() bool { return b.tasks(id, "running") == 2 })
	lines := b.logs("ann", b.path(b.manager, "log"), "service", "web", "follow", "true")
	next := map[string]int{}
	read := func(tasks int) {
		t.Helper()
		lines.until(strconv.Itoa(tasks)+" tasks", func(l lineSeen) bool {
			if l.Type == "gap" || l.Type == "interrupted" || l.Type == "error" {
				t.Fatalf("there comes %+v", l)
			}
			if l.Type != "" {
				return false
			}
			if next[l.Container]++; strconv.Itoa(next[l.Container]) != l.Text || l.Name != "web.1" && l.Name != "web.2" {
				t.Fatalf("%s %.12s wrote %q, want %d", l.Name, l.Container, l.Text, next[l.Container])
			}
			full := 0
			for _, lines := range next {
				if lines >= 20 {
					full++
				}
			}
			return full >= tasks
		})
	}
	read(2)
	first := slices.Collect(maps.Keys(next))
	b.force(id)
	read(4)
	b.force(id)
	read(6)
	// What was read of tasks that have ended is all there is.
	for _, container := range first {
		all := b.logs("ann", b.path(b.manager, "log/"+container)).all()
		if len(all) != next[container] {
			t.Errorf("%.12s wrote %d lines, %d were followed", container, len(all), next[container])
		}
	}
	if lines := b.logs("ann", b.path(b.manager, "log"), "service", "web").all(); len(lines) < 6*20 {
		t.Errorf("the service's logs have %d lines at the end", len(lines))
	}
}
