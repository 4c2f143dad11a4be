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

package enginetest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// swarmNetwork inspects a network of the swarm.
func (s *suite) swarmNetwork(t testing.TB, name string) network.Inspect {
	t.Helper()
	raw, err := s.e.InspectSwarmNetwork(s.context(t), name)
	s.must(t, "inspect the swarm's network "+name, err)
	var n network.Inspect
	if err := json.Unmarshal(raw, &n); err != nil {
		t.Fatal(err)
	}
	if n.Name != name || n.Scope != "swarm" {
		t.Errorf("the swarm's network %s is %s of scope %s", name, n.Name, n.Scope)
	}
	return n
}

func (s *suite) createOverlay(t testing.TB, name string, labels map[string]string) string {
	t.Helper()
	id, err := s.e.NetworkCreate(s.context(t), network.CreateRequest{Name: name, Driver: "overlay", Scope: "swarm", Labels: labels})
	s.must(t, "create a network of the swarm", err)
	s.cleanup(t, "remove the network", func(ctx context.Context) error { return s.e.NetworkRemove(ctx, id) })
	return id
}

// onNetwork is a service on a network.
func (s *suite) onNetwork(target string) swarm.ServiceSpec {
	spec := s.serviceSpec(s.name("svc"), 0, nil)
	spec.TaskTemplate.Networks = []swarm.NetworkAttachmentConfig{{Target: target}}
	return spec
}

// testSwarmPredefined: host and bridge are there twice, once for the engine and once for
// the swarm, and a service that names either is on the swarm's.
func (s *suite) testSwarmPredefined(t *testing.T) {
	for _, name := range []string{"host", "bridge"} {
		var own network.Inspect
		s.inspectInto(t, engine.Networks, name, &own)
		of := s.swarmNetwork(t, name)
		if own.Scope != "local" || own.ID == of.ID {
			t.Errorf("the engine's own %s is %s of scope %s; the swarm's is %s", name, own.ID, own.Scope, of.ID)
		}
		for _, target := range []string{name, own.ID, of.ID} {
			got := s.service(t, s.createService(t, s.onNetwork(target))).Spec.TaskTemplate.Networks
			if len(got) != 1 || got[0].Target != of.ID {
				t.Errorf("a service on %s is on %+v, want %s", target, got, of.ID)
			}
		}
		_, err := s.e.NetworkCreate(s.context(t), network.CreateRequest{Name: name, Driver: "overlay", Scope: "swarm"})
		s.want(t, "create another "+name, err, engine.ClassConflict)
	}
	all, err := s.e.List(s.context(t), engine.Networks, engine.ListOptions{Names: []string{"host"}})
	if s.must(t, "list", err); len(all) != 1 || strings.Contains(string(all[0].Raw), `"Scope":"swarm"`) {
		t.Errorf("listed are %+v, want the engine's own alone", all)
	}
	_, err = s.e.InspectSwarmNetwork(s.context(t), "none")
	s.want(t, "inspect the swarm's network none, which it has not", err, engine.ClassNotFound)
	_, err = s.e.ServiceCreate(s.context(t), s.onNetwork("none"))
	s.want(t, "create a service on none", err, engine.ClassNotFound)
	_, err = s.e.ServiceCreate(s.context(t), s.onNetwork("ingress"))
	s.want(t, "create a service on ingress", err, engine.ClassInvalid)
}

// testSwarmLocalNetwork: one of the engine's own is none of the swarm, and keeps the
// swarm from having one of its name.
func (s *suite) testSwarmLocalNetwork(t *testing.T) {
	ctx, name := s.context(t), s.name("local")
	id := s.createNetwork(t, name, nil)
	for _, ref := range []string{name, id} {
		_, err := s.e.InspectSwarmNetwork(ctx, ref)
		s.want(t, "inspect it as the swarm's", err, engine.ClassNotFound)
		_, err = s.e.ServiceCreate(ctx, s.onNetwork(ref))
		s.want(t, "create a service on it", err, engine.ClassConflict)
	}
	_, err := s.e.NetworkCreate(ctx, network.CreateRequest{Name: name, Driver: "overlay", Scope: "swarm"})
	s.want(t, "create one of the swarm beside it", err, engine.ClassConflict)
}

func (s *suite) testSwarmNetwork(t *testing.T) {
	ctx, name, label := s.context(t), s.name("overlay"), ownLabel+"/overlay"
	id := s.createOverlay(t, name, map[string]string{label: "x"})
	if n := s.swarmNetwork(t, name); n.ID != id || n.Labels[label] != "x" {
		t.Errorf("the network is %+v, want the id %s", n, id)
	}
	var n network.Inspect
	if s.inspectInto(t, engine.Networks, name, &n); n.ID != id {
		t.Errorf("without its scope the network is %+v, want the id %s", n, id)
	}
	listed, err := s.e.List(ctx, engine.Networks, engine.ListOptions{Label: label})
	if s.must(t, "list by label", err); len(listed) != 1 || listed[0].ID != id || listed[0].Name != name {
		t.Errorf("listed are %+v, want %s", listed, id)
	}
	for _, driver := range []string{"overlay", "bridge"} {
		_, err := s.e.NetworkCreate(ctx, network.CreateRequest{Name: name, Driver: driver})
		s.want(t, "create another, of driver "+driver, err, engine.ClassConflict)
	}
	service := s.createService(t, s.onNetwork(name))
	if got := s.service(t, service).Spec.TaskTemplate.Networks; len(got) != 1 || got[0].Target != id {
		t.Errorf("the service is on %+v, want %s", got, id)
	}
	s.want(t, "remove it in use", s.e.NetworkRemove(ctx, id), engine.ClassInvalid)
	s.must(t, "remove the service", s.e.ServiceRemove(ctx, service))
	s.must(t, "remove the network", s.e.NetworkRemove(ctx, id))
	s.want(t, "remove it again", s.e.NetworkRemove(ctx, id), engine.ClassNotFound)
	_, err = s.e.InspectSwarmNetwork(ctx, name)
	s.want(t, "inspect what is gone", err, engine.ClassNotFound)
	_, err = s.e.ServiceCreate(ctx, s.onNetwork(id))
	s.want(t, "create a service on what is gone", err, engine.ClassServer)
	_, err = s.e.InspectSwarmNetwork(ctx, "a/../b")
	s.want(t, "inspect a path", err, engine.ClassInvalid)
}
