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
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

const bedImage = "busybox:1"

// objectsBed is a swarm, and a namespace of Secrets and ConfigMaps.
type objectsBed struct {
	testing.TB
	ctx     context.Context
	engine  engine.Engine
	version string
	kube    client.Client
	keys    *bedKeys
	clock   *clocktesting.FakePassiveClock
	objects *SwarmObjects
	records *bedRecords
}

// bedKeys sign with the first.
type bedKeys struct{ list []keyring.Key }

func (k *bedKeys) Current(keyring.Purpose) keyring.Key { return k.list[0] }
func (k *bedKeys) All(keyring.Purpose) []keyring.Key   { return k.list }

// bedRecords are the audit trail.
type bedRecords struct {
	mu   sync.Mutex
	list []audit.Record
}

func (r *bedRecords) Record(_ context.Context, record audit.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, record)
	return nil
}

// writes are what was done, each once.
func (r *bedRecords) writes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, record := range r.list {
		if record.Outcome == audit.Succeeded {
			list = append(list, record.Verb+" "+record.Object.Kind)
		}
	}
	r.list = nil
	return list
}

func newObjectsBed(t *testing.T, endpoint string) *objectsBed {
	t.Helper()
	ep, err := engine.ParseEndpoint(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p, err := moby.Connector{}.Prepare(engine.Config{Endpoint: ep, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	b := &objectsBed{TB: t, ctx: ctx, engine: p.Open(), records: &bedRecords{}, clock: clocktesting.NewFakePassiveClock(time.Now())}
	t.Cleanup(func() { _ = b.engine.Close() })
	ping, err := b.engine.Ping(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.version = ping.APIVersion
	if engine.CompareAPIVersions(b.version, engine.MaxAPIVersion) > 0 {
		b.version = engine.MaxAPIVersion
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, dcv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	b.kube = fake.NewClientBuilder().WithScheme(scheme).Build()
	b.keys = &bedKeys{list: []keyring.Key{{ID: "v1", Bytes: bytes.Repeat([]byte{1}, keyring.KeySize)}}}
	b.restart()
	return b
}

// restart forgets what a manager's process knows.
func (b *objectsBed) restart() { b.objects = &SwarmObjects{Live: b.kube, Keys: b.keys, Clock: b.clock} }

// simBed is a bed on a simulated swarm.
func simBed(t *testing.T) *objectsBed {
	t.Helper()
	s := sim.NewSwarm(sim.SwarmOptions{})
	t.Cleanup(s.Close)
	dir, err := os.MkdirTemp("", "sim") // TempDir's names are too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "docker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	e := sim.New(sim.Options{Swarm: s})
	go func() { _ = e.Serve(l) }() // ends with Close
	t.Cleanup(e.Close)
	b := newObjectsBed(t, "unix://"+l.Addr().String())
	if err := b.engine.ImageImport(b.ctx, bedImage, bytes.NewReader(testbed.BusyboxTar(t))); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *objectsBed) must(what string, err error) {
	b.Helper()
	if err != nil {
		b.Fatalf("%s: %v", what, err)
	}
}

// service is a SwarmService that the API server has.
func (b *objectsBed) service(name string, change func(*dcv1.SwarmServiceSpec)) *dcv1.SwarmService {
	b.Helper()
	svc := &dcv1.SwarmService{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-of-" + name)}}
	svc.Spec.Image, svc.Spec.Command, svc.Spec.HostRef.Name = bedImage, []string{"sleep", "1000"}, "box"
	svc.Spec.StopSignal = "SIGKILL"
	change(&svc.Spec)
	b.must("create the object", b.kube.Create(b.ctx, svc))
	return svc
}

func (b *objectsBed) secret(name string, data map[string]string) *corev1.Secret {
	b.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Data: map[string][]byte{}}
	for k, v := range data {
		secret.Data[k] = []byte(v)
	}
	if err := b.kube.Update(b.ctx, secret); err != nil {
		b.must("create a Secret", b.kube.Create(b.ctx, secret))
	}
	return secret
}

func (b *objectsBed) access(svc *dcv1.SwarmService) SwarmAccess {
	return SwarmAccess{
		Engine: b.engine, Swarm: hostcache.SwarmKey{Namespace: "ns", ClusterID: "c"}, Via: hostcache.Key{Namespace: "ns", Name: "box"},
		APIVersion: b.version, service: svc, audit: b.records,
	}
}

func (b *objectsBed) resolve(svc *dcv1.SwarmService) ResolvedInputs {
	b.Helper()
	in, err := b.objects.Resolve(b.ctx, svc, b.access(svc))
	b.must("resolve", err)
	return in
}

// apply resolves a service and writes it, and waits until its tasks are as it says.
func (b *objectsBed) apply(svc *dcv1.SwarmService) {
	b.Helper()
	in := b.resolve(svc)
	desired, err := swarm.Build(&svc.Spec, in.Inputs)
	b.must("build", err)
	have, err := inspectService(b.ctx, b.engine, svc.ServiceName())
	b.must("inspect", err)
	isNew := have == nil
	if isNew {
		_, err = b.engine.ServiceCreate(b.ctx, desired.Spec, engine.WithRegistryAuth(in.RegistryAuth))
		b.must("create the service", err)
	} else {
		merged, err := desired.Merge(have.Spec, desired.Diff(have.Spec))
		b.must("merge", err)
		b.must("update the service", b.engine.ServiceUpdate(b.ctx, have.ID, have.Version.Index, merged, engine.WithRegistryAuth(in.RegistryAuth)))
	}
	b.eventually("the rollout to end", func() bool {
		have, err := inspectService(b.ctx, b.engine, svc.ServiceName())
		b.must("inspect", err)
		// The engine says that an update runs a moment after it took it.
		if u := have.UpdateStatus; !isNew && (u == nil || u.State != engineswarm.UpdateStateCompleted) {
			return false
		}
		tasks, err := b.engine.List(b.ctx, engine.Tasks, engine.ListOptions{Service: have.ID})
		b.must("list tasks", err)
		running := 0
		for _, o := range tasks {
			var task engineswarm.Task
			b.must("read a task", json.Unmarshal(o.Raw, &task))
			switch {
			case task.Status.State == engineswarm.TaskStateRunning:
				running++
			case !hasEnded(task.Status.State):
				return false
			}
		}
		return running == 1
	})
}

func (b *objectsBed) eventually(what string, done func() bool) {
	b.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-b.ctx.Done():
			b.Fatalf("waiting for %s: %v", what, b.ctx.Err())
		}
	}
}

// files are the names of the swarm's secrets and configs that somebody owns.
func (b *objectsBed) files() []string {
	b.Helper()
	var names []string
	for _, kind := range []engine.Kind{engine.Secrets, engine.Configs} {
		objects, err := b.engine.List(b.ctx, kind, engine.ListOptions{Label: dcv1.LabelOwnerUID})
		b.must("list", err)
		for _, o := range objects {
			names = append(names, string(kind)+"/"+o.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (b *objectsBed) wantFiles(what string, want ...string) {
	b.Helper()
	slices.Sort(want)
	if got := b.files(); !slices.Equal(got, want) {
		b.Errorf("%s the swarm has %v, want %v", what, got, want)
	}
}

func (b *objectsBed) wantWrites(what string, want ...string) {
	b.Helper()
	if got := b.records.writes(); !slices.Equal(got, want) {
		b.Errorf("%s wrote %v, want %v", what, got, want)
	}
}

// wantFault resolves a service that cannot be.
func (b *objectsBed) wantFault(svc *dcv1.SwarmService, reason string, says ...string) {
	b.Helper()
	_, err := b.objects.Resolve(b.ctx, svc, b.access(svc))
	fault, ok := err.(*SpecFault)
	if !ok || fault.Reason != reason {
		b.Errorf("%s: error = %#v (%v), want the reason %s", svc.Name, err, err, reason)
		return
	}
	for _, s := range says {
		if !strings.Contains(fault.Message, s) {
			b.Errorf("%s: %q, want it to say %q", svc.Name, fault.Message, s)
		}
	}
}

func keyRef(name, key string) *dcv1.LocalKeyReference {
	return &dcv1.LocalKeyReference{Name: name, Key: key}
}

func fileOf(kind engine.Kind, o swarm.Object) string { return fmt.Sprintf("%s/%s", kind, o.Name) }

func (b *objectsBed) settle(what string, svc *dcv1.SwarmService) {
	b.Helper()
	_, err := b.objects.Settled(b.ctx, svc, b.access(svc))
	b.must(what, err)
}
