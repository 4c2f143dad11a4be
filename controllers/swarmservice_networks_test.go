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

package controllers

import (
	"context"
	"testing"

	"github.com/moby/moby/api/types/network"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

// TestNetworksSim goes through what a service's networks may be; TestObjectsDockerd does
// so on real engines.
func TestNetworksSim(t *testing.T) {
	b := simBed(t)
	testNetworks(t, b)
	b.testNetworkKinds(t)
}

func (b *objectsBed) testNetworkKinds(t *testing.T) {
	b.testPredefinedNetworks(t)
	b.testLocalNetwork(t)
	b.testLeftNetwork(t)
	b.testNetworkMadeAgain(t)
}

// made names networks that are made where they are missing.
func made(names ...string) func(*dcv1.SwarmServiceSpec) {
	return func(s *dcv1.SwarmServiceSpec) {
		s.Networks = nil
		for _, name := range names {
			s.Networks = append(s.Networks, dcv1.SwarmNetwork{Name: name, CreateIfMissing: &dcv1.SwarmNetworkTemplate{}})
		}
	}
}

func (b *objectsBed) hasNetwork(name string) bool {
	b.Helper()
	n, err := findNetwork(b.ctx, b.engine, name)
	b.must("inspect the network", err)
	return n != nil
}

// end removes a service and its object, and releases what it had.
func (b *objectsBed) end(svc *dcv1.SwarmService) {
	b.Helper()
	have, err := inspectService(b.ctx, b.engine, svc.Name)
	b.must("inspect", err)
	b.must("remove the service", b.engine.ServiceRemove(b.ctx, have.ID))
	b.must("delete the object", b.kube.Delete(b.ctx, svc.DeepCopy()))
	gone := svc.DeepCopy()
	gone.DeletionTimestamp = ptr.To(metav1.NewTime(b.clock.Now()))
	b.eventually("the last task to let go of the networks", func() bool {
		return b.objects.Release(b.ctx, gone, b.access(gone), false) == nil
	})
}

// testPredefinedNetworks: host and bridge are the swarm's, which the engine writes into a
// service that names its own.
func (b *objectsBed) testPredefinedNetworks(t *testing.T) {
	for _, name := range []string{"host", "bridge"} {
		svc := b.service("on-"+name, func(s *dcv1.SwarmServiceSpec) { s.Networks = []dcv1.SwarmNetwork{{Name: name}} })
		b.apply(svc)
		b.restart()
		desired, err := swarm.Build(&svc.Spec, b.resolve(svc).Inputs)
		b.must("build", err)
		have, err := inspectService(b.ctx, b.engine, svc.Name)
		b.must("inspect", err)
		if diff := desired.Diff(have.Spec); !diff.Empty() {
			t.Errorf("a service on %s differs at once: %s", name, diff)
		}
		b.end(svc)
	}
}

// testLocalNetwork: a network of the manager's own is none of the swarm.
func (b *objectsBed) testLocalNetwork(t *testing.T) {
	const name = "own-net"
	id, err := b.engine.NetworkCreate(b.ctx, network.CreateRequest{Name: name, Driver: "bridge"})
	b.must("create a network", err)
	b.records.writes()
	named := b.service("named", func(s *dcv1.SwarmServiceSpec) { s.Networks = []dcv1.SwarmNetwork{{Name: name}} })
	b.wantFault(named, dcv1.ReasonNetworkNotFound, "spec.networks["+name+"]", "DockerHost box has one of its own")
	missing := b.service("missing", made(name))
	b.wantFault(missing, dcv1.ReasonNetworkNotFound, "spec.networks["+name+"]", "DockerHost box has one of its own")
	b.must("remove the network", b.engine.NetworkRemove(b.ctx, id))
	b.resolve(missing)
	if b.wantWrites("without the local one", "create Network"); !b.hasNetwork(name) {
		t.Errorf("the swarm has no network %s", name)
	}
	b.must("release", b.objects.Release(b.ctx, missing, b.access(missing), false))
	b.records.writes()
}

// testLeftNetwork: a network that the spec no longer names goes when no task is on it, and
// one that another service has goes with that one.
func (b *objectsBed) testLeftNetwork(t *testing.T) {
	svc, other := b.service("leaving", made("kept-net", "left-net", "shared-left-net")), b.service("staying", made("shared-left-net"))
	b.apply(svc)
	b.apply(other)
	b.settle("settle", svc)
	b.settle("settle", other)
	b.wantWrites("at first", "create Network", "create Network", "create Network")
	made("kept-net")(&svc.Spec)
	b.must("change the object", b.kube.Update(b.ctx, svc))
	b.resolve(svc)
	b.settle("settle too early", svc)
	if b.wantWrites("while the service is on it"); !b.hasNetwork("left-net") {
		t.Fatal("the network went too early")
	}
	b.restart() // as where the process ends between the change and the rollout's end
	b.apply(svc)
	b.eventually("the last task to let go", func() bool {
		again, err := b.objects.Settled(b.ctx, svc, b.access(svc))
		b.must("settle", err)
		return again == 0
	})
	b.wantWrites("settled", "remove Network")
	b.eventually("the network to go", func() bool { return !b.hasNetwork("left-net") })
	if !b.hasNetwork("kept-net") || !b.hasNetwork("shared-left-net") {
		t.Error("a network that is wanted went")
	}
	b.wantNoCalls(svc)
	b.end(other)
	b.wantWrites("the other's end", "remove Network")
	b.end(svc)
	b.wantWrites("the end", "remove Network")
}

// wantNoCalls settles what is settled: 5,000 services would each ask the engine.
func (b *objectsBed) wantNoCalls(svc *dcv1.SwarmService) {
	b.Helper()
	b.clock.SetTime(b.clock.Now().Add(shelfAge))
	b.resolve(svc)
	ctx, cancel := context.WithCancel(b.ctx)
	cancel() // no call succeeds
	again, err := b.objects.Settled(ctx, svc, b.access(svc))
	if err != nil || again != 0 {
		b.Errorf("what is settled asks the engine: %v, again %v", err, again)
	}
}

// testNetworkMadeAgain: an object is deleted and applied again at once. The manager tells
// of the removed network until the last task on it has stopped.
func (b *objectsBed) testNetworkMadeAgain(t *testing.T) {
	const name = "again-net"
	svc := b.service("again", made(name))
	b.apply(svc)
	before := b.resolve(svc).Networks[name]
	b.settle("settle", svc) // a service that is known to have no files is released without a list
	b.end(svc)
	svc.UID, svc.ResourceVersion = types.UID("uid-of-the-next"), ""
	b.must("create the object again", b.kube.Create(b.ctx, svc))
	b.eventually("the network to be made again", func() bool {
		in, err := b.objects.Resolve(b.ctx, svc, b.access(svc))
		if err != nil {
			if class := engine.ClassOf(err); class != engine.ClassServer {
				t.Fatalf("error = %v (%s), want one that passes", err, class)
			}
			return false
		}
		if in.Networks[name] == before {
			t.Fatalf("the network is still %s, which was removed", before)
		}
		return true
	})
	b.apply(svc)
	b.end(svc)
}
