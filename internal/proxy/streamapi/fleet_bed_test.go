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
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	dockercontainer "github.com/moby/moby/api/types/container"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/mask"
)

// fleetBed is a bed whose hosts are declared as DockerHosts too, and whose answers are
// masked as the proxy does.
type fleetBed struct {
	*bed
	declared client.Client
}

func newFleetBed(t *testing.T) *fleetBed {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := dcv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	f := &fleetBed{declared: fake.NewClientBuilder().WithScheme(scheme).Build()}
	f.bed = newBed(t, func(o *Options) { o.Declared, o.Masker = f.declared, policies{} })
	return f
}

// host simulates an engine and declares it with labels.
func (f *fleetBed) host(name string, o sim.Options, labels map[string]string) (*sim.Engine, hostcache.Key) {
	f.Helper()
	e, key := f.simulate(name, o)
	f.save(key, labels)
	return e, key
}

func (f *fleetBed) save(key hostcache.Key, labels map[string]string) {
	f.Helper()
	if err := f.declared.Create(f.Context(), &dcv1.DockerHost{ObjectMeta: metaOf(key, labels)}); err != nil {
		f.Fatal(err)
	}
}

func metaOf(key hostcache.Key, labels ...map[string]string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}
	for _, l := range labels {
		m.Labels = l
	}
	return m
}

// policies is a Masker with the real policies.
type policies struct{}

func (policies) Mask(operation string, answer []byte) ([]byte, error) {
	policy, _ := mask.For(operation)
	var out bytes.Buffer
	err := policy.Copy(&out, bytes.NewReader(answer))
	return out.Bytes(), err
}

func (policies) AppendMasked(dst []byte, kind engine.Kind, item []byte) ([]byte, error) {
	policy, _ := mask.ForItem(kind)
	return policy.Append(dst, item)
}

// jsonLines reads an answer of JSON lines.
type jsonLines[T any] struct {
	t    *testing.T
	read *bufio.Reader
}

func linesOf[T any](t *testing.T, resp *http.Response) *jsonLines[T] {
	t.Helper()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%s: %s %s", resp.Request.URL, resp.Status, resp.Header.Get("Content-Type"))
	}
	return &jsonLines[T]{t, bufio.NewReader(resp.Body)}
}

// next returns a line; more is false at the answer's end.
func (l *jsonLines[T]) next() (v T, more bool) {
	l.t.Helper()
	text, err := l.read.ReadBytes('\n')
	if err != nil {
		return v, false
	}
	if err := json.Unmarshal(text, &v); err != nil {
		l.t.Fatalf("%v: %s", err, text)
	}
	return v, true
}

// until reads on to a line that is wanted.
func (l *jsonLines[T]) until(what string, wanted func(T) bool) T {
	l.t.Helper()
	for {
		v, more := l.next()
		if !more {
			l.t.Fatalf("the lines end before: %s", what)
		}
		if wanted(v) {
			return v
		}
	}
}

// all reads to the end.
func (l *jsonLines[T]) all() (all []T) {
	l.t.Helper()
	for v, more := l.next(); more; v, more = l.next() {
		all = append(all, v)
	}
	return all
}

// endOf waits for the end of a subscription, and tells what else came.
func (s *socket) endOf(id uint32) (how reply, before []said) {
	s.t.Helper()
	for {
		m := s.next()
		if m.Type == "ended" && m.ID == id {
			return m.reply, before
		}
		before = append(before, m)
	}
}

// create makes a container with labels.
func (f *fleetBed) create(key hostcache.Key, name string, labels map[string]string, command ...string) (id string) {
	f.Helper()
	e, err := f.cache.Engine(key)
	if err != nil {
		f.Fatal(err)
	}
	images, err := e.List(f.Context(), engine.Images, engine.ListOptions{})
	if err != nil || len(images) == 0 {
		f.Fatalf("%d images, %v", len(images), err)
	}
	config := &dockercontainer.Config{Image: images[0].ID, Cmd: command, Labels: labels}
	if id, err = e.ContainerCreate(f.Context(), name, dockercontainer.CreateRequest{Config: config}); err != nil {
		f.Fatal(err)
	}
	return id
}

// key is a host's of the bed.
func key(host string) hostcache.Key { return hostcache.Key{Namespace: "prod", Name: host} }

// inInventory waits until a host's inventory has so many containers that are no longer on
// their way.
func (f *fleetBed) inInventory(host string, n int) {
	f.Helper()
	f.eventually("the inventory is whole", func() bool {
		listing, _ := f.cache.List(key(host), engine.Containers)
		here := 0
		for _, o := range listing.Items {
			if o.State != "created" || o.Name == "never" {
				here++
			}
		}
		return here == n
	})
}

// stateOf is a container's, as the inventory has it.
func (f *fleetBed) stateOf(host, id string) string {
	listing, _ := f.cache.List(key(host), engine.Containers)
	for _, o := range listing.Items {
		if o.ID == id {
			return o.State
		}
	}
	return ""
}
