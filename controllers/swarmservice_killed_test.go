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

package controllers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/controllers"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

var errKilled = errors.New("the process was killed")

// killer counts the calls of a process to engines and its writes to the API server, and
// kills it at one of them: before it is done, or after, when its answer is lost.
type killer struct {
	mu    sync.Mutex
	at    int // 0: never
	after bool
	calls int
	dead  bool
}

// do does one call, unless the process is dead.
func (k *killer) do(call func() error) error {
	k.mu.Lock()
	if k.dead {
		k.mu.Unlock()
		return errKilled
	}
	k.calls++
	now := k.calls == k.at
	k.dead = now
	k.mu.Unlock()
	if now && !k.after {
		return errKilled
	}
	if err := call(); err != nil || !now {
		return err
	}
	return errKilled
}

func (k *killer) isDead() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dead
}

// mortalHosts are a host cache whose engines may be the last thing a process calls.
type mortalHosts struct {
	*hostcache.Cache
	killer *killer
}

func (h mortalHosts) Engine(key hostcache.Key) (engine.Engine, error) {
	eng, err := h.Cache.Engine(key)
	if err != nil {
		return nil, err
	}
	return mortalEngine{eng, h.killer}, nil
}

type mortalEngine struct {
	engine.Engine
	killer *killer
}

func (e mortalEngine) Inspect(ctx context.Context, kind engine.Kind, id string) (raw json.RawMessage, err error) {
	err = e.killer.do(func() error { raw, err = e.Engine.Inspect(ctx, kind, id); return err })
	return raw, err
}

func (e mortalEngine) ServiceCreate(ctx context.Context, spec engineswarm.ServiceSpec, opts ...engine.ServiceOption) (id string, err error) {
	err = e.killer.do(func() error { id, err = e.Engine.ServiceCreate(ctx, spec, opts...); return err })
	return id, err
}

func (e mortalEngine) ServiceUpdate(ctx context.Context, id string, version uint64, spec engineswarm.ServiceSpec, opts ...engine.ServiceOption) error {
	return e.killer.do(func() error { return e.Engine.ServiceUpdate(ctx, id, version, spec, opts...) })
}

func (e mortalEngine) ServiceRemove(ctx context.Context, id string) error {
	return e.killer.do(func() error { return e.Engine.ServiceRemove(ctx, id) })
}

// mortalClient is a client of the API server that dies with its process.
type mortalClient struct {
	client.Client
	killer *killer
}

func (c mortalClient) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return c.killer.do(func() error { return c.Client.Patch(ctx, obj, patch, opts...) })
}

func (c mortalClient) Status() client.SubResourceWriter {
	return mortalStatus{c.Client.Status(), c.killer}
}

type mortalStatus struct {
	client.SubResourceWriter
	killer *killer
}

func (c mortalStatus) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return c.killer.do(func() error { return c.SubResourceWriter.Patch(ctx, obj, patch, opts...) })
}

// processes run one reconciler after the other against one swarm.
type processes struct {
	*swarmBed
	cache *hostcache.Cache
	// inputs are a process's own; nil are SwarmNames.
	inputs func() controllers.SwarmInputs
	calls  int // of the process that ran to the end
}

func startProcesses(t *testing.T) *processes {
	t.Helper()
	cluster := testenv.Start(t)
	b := &swarmBed{Cluster: cluster, t: t, ns: cluster.Namespace(t)}
	p := &processes{swarmBed: b, cache: hostcache.New(hostcache.Options{Connector: moby.Connector{}})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.cache.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	b.swarm("m", 1, 0)
	for i, host := range b.hosts {
		ep, err := engine.ParseEndpoint(b.nodes[i].endpoint())
		if err != nil {
			t.Fatal(err)
		}
		p.cache.Set(hostcache.Host{
			Key: client.ObjectKeyFromObject(host), UID: host.UID, Generation: host.Generation,
			Config: engine.Config{Endpoint: ep, Timeout: 10 * time.Second},
		})
	}
	testenv.Eventually(t, 5*time.Second, func(context.Context) error {
		_, err := p.cache.List(client.ObjectKeyFromObject(b.hosts[0]), engine.Tasks)
		return err
	})
	return p
}

// live runs a process until done, or until it is killed, which it reports.
func (p *processes) live(k *killer, svc *dcv1.SwarmService, done func(*dcv1.SwarmService, error) error) (killed bool) {
	p.t.Helper()
	var inputs controllers.SwarmInputs = controllers.SwarmNames{}
	if p.inputs != nil {
		inputs = p.inputs()
	}
	r := &controllers.SwarmServiceReconciler{
		Client: mortalClient{p.Client, k}, Hosts: mortalHosts{p.cache, k}, Inputs: inputs,
		Audit: audit.Multi(), Recorder: events.NewFakeRecorder(1000),
	}
	r.Init()
	key := client.ObjectKeyFromObject(svc)
	testenv.Eventually(p.t, soonEnough, func(ctx context.Context) error {
		_, err := r.Reconcile(ctx, ctrl.Request{NamespacedName: key})
		if k.isDead() {
			return nil
		}
		if err != nil {
			return err
		}
		now := &dcv1.SwarmService{}
		return done(now, p.Client.Get(ctx, key, now))
	})
	p.calls = k.calls
	return k.isDead()
}

func converged(svc *dcv1.SwarmService, err error) error {
	if err != nil {
		return err
	}
	ready := meta.FindStatusCondition(svc.Status.Conditions, dcv1.ConditionReady)
	if ready == nil || ready.Reason != dcv1.ReasonConverged || ready.ObservedGeneration != svc.Generation {
		return fmt.Errorf("Ready is %+v", ready)
	}
	return nil
}

func gone(_ *dcv1.SwarmService, err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("it is still there (%v)", err)
}

// TestSwarmServiceKilled: wherever a manager is killed, the next one has one service in
// the end, which is what the spec says.
func TestSwarmServiceKilled(t *testing.T) {
	t.Parallel()
	p := startProcesses(t)
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			if !p.killedAt(fmt.Sprintf("web-%t-%d", after, at), at, after) {
				break // nothing was left to be killed at
			}
			if at > 100 {
				t.Fatal("the process never comes to its end")
			}
		}
	}
}

// killedAt takes a service through its life with a process that is killed at one of its
// calls in each part, and one after it that is not.
func (p *processes) killedAt(name string, at int, after bool) (killed bool) {
	p.t.Helper()
	svc := p.newService(name, nil)
	p.Create(p.t, svc)
	step := func(what string, done func(*dcv1.SwarmService, error) error, want string) {
		p.t.Helper()
		killed = p.live(&killer{at: at, after: after}, svc, done) || killed
		p.live(&killer{}, svc, done)
		var images []string
		for _, v := range p.engineServices() {
			if v.Spec.Labels[dcv1.LabelOwnerUID] == string(svc.UID) {
				images = append(images, v.Spec.TaskTemplate.ContainerSpec.Image)
			}
		}
		if fmt.Sprint(images) != want {
			p.t.Fatalf("%s, killed at call %d (after: %t): the services have images %v, want %s", what, at, after, images, want)
		}
	}
	step("creation", converged, "[app-0:1]")
	p.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Image = "app-1:1" })
	step("update", converged, "[app-1:1]")
	p.Delete(p.t, svc)
	step("deletion", gone, "[]")
	return killed
}
