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

package masking

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"
	"go.uber.org/goleak"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/mask"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// question is a request of a masked operation.
type question struct {
	operation, path string
	// into reads the answer as the SDK does.
	into func([]byte) error
	// holds are places whose canaries the engine's own answer must hold, or the test would prove nothing.
	holds []string
}

func TestMasking(t *testing.T) {
	for name, modern := range map[string]bool{"debian": false, "modern": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBed(t, modern)
			t.Run("no canary", func(t *testing.T) { b.testNoCanary(t) })
			t.Run("items of lists", func(t *testing.T) { b.testItems(t) })
			t.Run("what is not masked holds none", func(t *testing.T) { b.testNotMasked(t) })
			t.Run("docker CLI", func(t *testing.T) { b.testCLI(t) })
		})
	}
}

// testNoCanary asks for everything that is masked.
func (b *bed) testNoCanary(t *testing.T) {
	asked := []string{"GET /plugins", "GET /plugins/{name}/json"} // there are none without a registry
	for _, q := range b.questions() {
		asked = append(asked, q.operation)
		t.Run(q.path, func(t *testing.T) { b.ask(t, q) })
	}
	for _, operation := range access.MaskedOperations() {
		if !slices.Contains(asked, operation) {
			t.Errorf("%s was not asked for", operation)
		}
	}
}

func (b *bed) ask(t *testing.T, q question) {
	answer := b.stream(t, http.MethodGet, q.path, nil)
	found := b.found(answer)
	for _, place := range q.holds {
		if !slices.Contains(found, place) {
			t.Errorf("the engine's answer does not hold the canary of %q: %s", place, answer)
		}
	}
	request := classify(t, q.path)
	if request.Operation != q.operation {
		t.Errorf("it is %s, want %s", request.Operation, q.operation)
	}
	p, ok := mask.For(request.Operation)
	if !ok {
		t.Fatalf("there is no policy for %s", q.path)
	}
	var masked bytes.Buffer
	if err := p.Copy(&masked, bytes.NewReader(answer)); err != nil {
		t.Fatal(err)
	}
	if left := b.found(masked.Bytes()); len(left) > 0 {
		t.Errorf("the masked answer holds the canaries of %q: %s", left, masked.Bytes())
	}
	if err := q.into(masked.Bytes()); err != nil && q.into(answer) == nil {
		t.Errorf("the SDK can read the engine's answer, and not the masked one: %v: %s", err, masked.Bytes())
	}
}

func classify(t *testing.T, path string) access.Request {
	t.Helper()
	path, query, _ := strings.Cut(path, "?")
	request, err := access.Classify(http.MethodGet, path, query, access.Headers{})
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// as reads an answer as a T.
func as[T any](answer []byte) error {
	var v T
	return json.Unmarshal(answer, &v)
}

// asEvents reads a sequence.
func asEvents(answer []byte) error {
	values := json.NewDecoder(bytes.NewReader(answer))
	for {
		var event events.Message
		if err := values.Decode(&event); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if event.Type == "" || event.Action == "" || event.TimeNano == 0 {
			return fmt.Errorf("an event is %+v", event)
		}
	}
}

func (b *bed) questions() []question {
	containerPlaces := []string{"command", "label", "compose hash", "compose files"}
	inspectPlaces := append([]string{
		"env", "health output", "health command", "log option", "extra host", "dns search", "dns option", "bind source",
		"mount device", "mount label", "endpoint option", "image env", "image label",
	}, containerPlaces...)
	info := []string{"engine label", "mirror", "swarm label"}
	if b.modern {
		inspectPlaces = append(inspectPlaces, "annotation")
		info = append(info, "no proxy")
	}
	volumePlaces := []string{"volume label", "volume device", "volume password"}
	networkPlaces := []string{"network label", "network option", "ipam option"}
	imagePlaces := []string{"image env", "image label", "image healthcheck", "image command", "image author", "image comment"}
	usage := append([]string{"image label", "plain volume label"}, containerPlaces...)
	var spec, current []string
	for _, place := range []string{"label", "command", "argument", "env", "container label", "host", "health command", "dns search",
		"mount label", "mount device", "log option", "constraint"} {
		spec = append(spec, "before service "+place)
		current = append(current, "service "+place)
	}
	taskPlaces := current[1:] // without the service's own label

	return []question{
		{"GET /containers/json", "/containers/json?all=1", as[[]container.Summary], append(containerPlaces, "failed command")},
		{"GET /containers/{name}/json", "/containers/web/json", as[container.InspectResponse], inspectPlaces},
		{"GET /containers/{name}/json", "/containers/failed/json?size=1", as[container.InspectResponse], []string{"failed command"}},
		{"GET /images/json", "/images/json?all=1", as[[]image.Summary], []string{"image label"}},
		{"GET /images/{name}/json", "/images/" + reference + "/json", as[image.InspectResponse], imagePlaces},
		{"GET /images/{name}/json", "/images/localhost/built:1/json", as[image.InspectResponse], []string{"image env", "image onbuild"}},
		{"GET /images/{name}/history", "/images/" + reference + "/history", as[[]image.HistoryResponseItem],
			[]string{"image env", "image label", "image build step", "image command", "image comment"}},
		{"GET /volumes", "/volumes", as[volume.ListResponse], append(volumePlaces, "mount device", "service mount device")},
		{"GET /volumes/{name}", "/volumes/share", as[volume.Volume], volumePlaces},
		{"GET /networks", "/networks", as[[]network.Summary], networkPlaces},
		{"GET /networks/", "/networks/", as[[]network.Summary], networkPlaces},
		{"GET /networks/{id}", "/networks/front?verbose=1", as[network.Inspect], networkPlaces},
		{"GET /events", fmt.Sprintf("/events?since=0&until=%d", time.Now().Unix()), asEvents, []string{"exec command", "label", "image label"}},
		{"GET /info", "/info", as[system.Info], info},
		{"GET /system/df", "/v1.41/system/df", as[object], usage},
		{"GET /system/df", "/system/df", as[system.DiskUsage], nil},
		{"GET /system/df", "/system/df?verbose=1", as[system.DiskUsage], usage},
		{"GET /swarm", "/swarm", as[swarm.Swarm], []string{"swarm label", "worker token", "manager token"}},
		{"GET /services", "/services?status=1", as[[]swarm.Service], append(append(spec, current...), "failing task command")},
		{"GET /services/{id}", "/services/web", as[swarm.Service], append(spec, current...)},
		{"GET /tasks", "/tasks", as[[]swarm.Task], append(taskPlaces, "failing task command")},
		{"GET /tasks/{id}", "/tasks/" + b.task, as[swarm.Task], taskPlaces},
		{"GET /tasks/{id}", "/tasks/" + b.failedTask, as[swarm.Task], []string{"failing task command"}},
		{"GET /nodes", "/nodes", as[[]swarm.Node], []string{"node label", "engine label"}},
		{"GET /nodes/{id}", "/nodes/" + b.node, as[swarm.Node], []string{"node label", "engine label"}},
		{"GET /secrets", "/secrets", as[[]swarm.Secret], []string{"secret label"}},
		{"GET /secrets/{id}", "/secrets/" + b.secret, as[swarm.Secret], []string{"secret label"}},
		{"GET /configs", "/configs", as[[]swarm.Config], []string{"config label", "config data"}},
		{"GET /configs/{id}", "/configs/" + b.config, as[swarm.Config], []string{"config label", "config data"}},
	}
}

// testItems masks lists as a merged list does, item by item.
func (b *bed) testItems(t *testing.T) {
	paths := map[engine.Kind]string{
		engine.Containers: "/containers/json?all=1", engine.Images: "/images/json", engine.Volumes: "/volumes",
		engine.Networks: "/networks", engine.Services: "/services", engine.Tasks: "/tasks", engine.Nodes: "/nodes",
	}
	for _, kind := range slices.Concat(engine.LocalKinds, engine.SwarmKinds) {
		answer := b.Call(t, http.MethodGet, paths[kind], nil)
		var items []json.RawMessage
		if kind == engine.Volumes {
			var list struct{ Volumes []json.RawMessage }
			if err := json.Unmarshal(answer, &list); err != nil {
				t.Fatal(err)
			}
			items = list.Volumes
		} else if err := json.Unmarshal(answer, &items); err != nil {
			t.Fatal(err)
		}
		if len(items) == 0 || len(b.found(answer)) == 0 {
			t.Errorf("the list of %s has %d items, and the canaries of %q", kind, len(items), b.found(answer))
		}
		p, ok := mask.ForItem(kind)
		if !ok {
			t.Fatalf("there is no policy for %s", kind)
		}
		for _, item := range items {
			before, err := engine.ParseObject(kind, item)
			if err != nil {
				t.Fatal(err)
			}
			masked, err := p.Append(nil, item)
			if err != nil {
				t.Fatal(err)
			}
			if left := b.found(masked); len(left) > 0 {
				t.Errorf("an item of %s holds the canaries of %q: %s", kind, left, masked)
			}
			after, err := engine.ParseObject(kind, masked)
			if err != nil || after.ID != before.ID || after.Name != before.Name || after.State != before.State || !after.Created.Equal(before.Created) {
				t.Errorf("an item of %s became %+v, %v; before %+v", kind, after, err, before)
			}
		}
	}
}

// testNotMasked: a Viewer gets these as they are.
func (b *bed) testNotMasked(t *testing.T) {
	for _, path := range []string{"/version", "/_ping", "/containers/web/stats?stream=0", "/containers/web/stats?stream=0&one-shot=1"} {
		if request := classify(t, path); request.Masked || !access.Grants(access.Viewer, request.Right) {
			t.Errorf("%s is masked or not a Viewer's", path)
		}
		if left := b.found(b.stream(t, http.MethodGet, path, nil)); len(left) > 0 {
			t.Errorf("%s holds the canaries of %q", path, left)
		}
	}
}
