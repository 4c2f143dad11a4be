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
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (s *suite) testExamine(t *testing.T) {
	subtests(t, []subtest{
		{"top", s.testTop},
		{"changes", s.testChanges},
		{"history", s.testHistory},
		{"MAC address", s.testNoMAC},
		{"create from JSON", s.testCreateRaw},
		{"resize", s.testContainerResize},
	})
}

func (s *suite) testTop(t *testing.T) {
	ctx := s.context(t)
	raw, err := s.e.Top(ctx, s.sleeper(t), "")
	s.must(t, "top", err)
	var top container.TopResponse
	if err := json.Unmarshal(raw, &top); err != nil {
		t.Fatal(err)
	}
	if len(top.Processes) != 1 || len(top.Titles) == 0 || !strings.Contains(strings.Join(top.Processes[0], " "), "sleep") {
		t.Errorf("top is %s; want one process, sleep", raw)
	}
	_, err = s.e.Top(ctx, unknownID(engine.Containers), "")
	s.want(t, "top of an unknown id", err, engine.ClassNotFound)
}

func (s *suite) testChanges(t *testing.T) {
	ctx := s.context(t)
	raw, err := s.e.Changes(ctx, s.create(t, box{cmd: []string{"true"}}))
	s.must(t, "changes", err)
	if text := string(raw); text != "null" && !strings.HasPrefix(text, "[") {
		t.Errorf("the changes are %s", raw)
	}
	_, err = s.e.Changes(ctx, unknownID(engine.Containers))
	s.want(t, "changes of an unknown id", err, engine.ClassNotFound)
}

func (s *suite) testHistory(t *testing.T) {
	ctx := s.context(t)
	raw, err := s.e.ImageHistory(ctx, s.Image)
	s.must(t, "history", err)
	var layers []struct{ Created int64 }
	if err := json.Unmarshal(raw, &layers); err != nil || len(layers) == 0 {
		t.Errorf("the history is %s, %v", raw, err)
	}
	_, err = s.e.ImageHistory(ctx, unknownID(engine.Images))
	s.want(t, "history of an unknown image", err, engine.ClassNotFound)
}

func (s *suite) testNoMAC(t *testing.T) {
	ctx := s.context(t)
	mac, err := s.e.ConfiguredMAC(ctx, s.sleeper(t))
	s.must(t, "the MAC address", err)
	if mac != "" {
		t.Errorf("a container without a MAC address of its own has %s", mac)
	}
	_, err = s.e.ConfiguredMAC(ctx, unknownID(engine.Containers))
	s.want(t, "the MAC address of an unknown id", err, engine.ClassNotFound)
}

func (s *suite) testCreateRaw(t *testing.T) {
	ctx := s.context(t)
	name := s.name("raw")
	body, err := json.Marshal(box{cmd: []string{"true"}, labels: map[string]string{"raw": "yes"}}.request(s.Image))
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.e.ContainerCreateRaw(ctx, name, body)
	s.must(t, "create", err)
	t.Cleanup(func() { s.remove(t, id) })
	if c := s.inspect(t, name); c.ID != id || c.Config.Labels["raw"] != "yes" {
		t.Errorf("the container is %+v; want %s", c, id)
	}
	_, err = s.e.ContainerCreateRaw(ctx, name, body)
	s.want(t, "create with a name in use", err, engine.ClassConflict)
}

func (s *suite) testContainerResize(t *testing.T) {
	id := s.start(t, box{cmd: []string{"sleep", "1000"}, tty: true})
	s.must(t, "resize", s.e.ContainerResize(s.context(t), id, engine.TTYSize{Height: 30, Width: 100}))
	s.want(t, "resize of an unknown id", s.e.ContainerResize(s.context(t), unknownID(engine.Containers), engine.TTYSize{Height: 1, Width: 1}), engine.ClassNotFound)
}

// testCleaning removes only what has a label of the test's own, for others look at the
// engine too.
func (s *suite) testCleaning(t *testing.T) {
	subtests(t, []subtest{
		{"disk usage", s.testDiskUsage},
		{"prune", s.testPrune},
	})
}

func (s *suite) testDiskUsage(t *testing.T) {
	raw, err := s.e.DiskUsage(s.context(t))
	s.must(t, "disk usage", err)
	var v map[string]json.RawMessage
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if v["Images"] == nil && v["ImageUsage"] == nil || v["Volumes"] == nil && v["VolumeUsage"] == nil {
		t.Errorf("the disk usage is %.500s", raw)
	}
}

func (s *suite) testPrune(t *testing.T) {
	ctx := s.context(t)
	label := s.name("prune")
	labels, filters := map[string]string{label: "1"}, func(more ...string) map[string][]string {
		f := map[string][]string{"label": {label + "=1"}}
		for i := 0; i < len(more); i += 2 {
			f[more[i]] = []string{more[i+1]}
		}
		return f
	}
	volume, used := s.createVolume(t, labels), s.createVolume(t, labels)
	network := s.name("net")
	networkID := s.createNetwork(t, network, labels)
	gone := s.create(t, box{cmd: []string{"true"}, labels: labels})
	kept := s.start(t, box{cmd: []string{"sleep", "1000"}, labels: labels, mounts: []mount.Mount{{Type: mount.TypeVolume, Source: used, Target: "/x"}}})
	prune := func(kind engine.PruneKind, f map[string][]string) []string {
		t.Helper()
		report, err := s.e.Prune(ctx, kind, f)
		s.must(t, "prune "+string(kind), err)
		return report.Deleted
	}
	if got := prune(engine.PruneContainers, filters()); !slices.Equal(got, []string{gone}) {
		t.Errorf("the prune of containers removed %v; want %s", got, gone)
	}
	s.inspect(t, kept)
	version, err := s.e.Version(ctx)
	s.must(t, "version", err)
	every := filters()
	if engine.CompareAPIVersions(version.APIVersion, "1.42") >= 0 {
		if got := prune(engine.PruneVolumes, filters()); len(got) > 0 {
			t.Errorf("the prune of anonymous volumes removed %v", got)
		}
		every = filters("all", "true")
	}
	if got := prune(engine.PruneVolumes, every); !slices.Equal(got, []string{volume}) {
		t.Errorf("the prune of volumes removed %v; want %s", got, volume)
	}
	if got := prune(engine.PruneNetworks, filters()); len(got) != 1 || got[0] != network && got[0] != networkID {
		t.Errorf("the prune of networks removed %v; want %s", got, network)
	}
	if got := prune(engine.PruneImages, filters("dangling", "true")); len(got) > 0 {
		t.Errorf("the prune of images removed %v", got)
	}
	_, err = s.e.Prune(ctx, "secrets", nil)
	s.want(t, "prune of what is not pruned", err, engine.ClassInvalid)
}

// testNetworkMembers is a part of Networks.
func (s *suite) testNetworkMembers(t *testing.T) {
	ctx := s.context(t)
	own, other := s.name("net"), s.name("net")
	s.createNetwork(t, own, nil)
	id := s.createNetwork(t, other, nil)
	c := s.start(t, box{cmd: []string{"sleep", "1000"}, network: own})
	t.Cleanup(func() { s.remove(t, c) })
	endpoint := json.RawMessage(`{"Aliases":["also"]}`)
	s.must(t, "connect", s.e.NetworkConnect(ctx, id, c, endpoint))
	var v struct {
		NetworkSettings struct {
			Networks map[string]struct{ Aliases []string }
		}
	}
	s.inspectInto(t, engine.Containers, c, &v)
	if !slices.Contains(v.NetworkSettings.Networks[other].Aliases, "also") {
		t.Errorf("the container is on the networks %+v; want also %s", v.NetworkSettings.Networks, other)
	}
	s.must(t, "disconnect", s.e.NetworkDisconnect(ctx, id, c, false))
	s.must(t, "remove the network", s.e.NetworkRemove(ctx, id))
	// A swarm's engine looks for an unknown network for 16 s: that is left out here.
	s.want(t, "connect an unknown container", s.e.NetworkConnect(ctx, own, unknownID(engine.Containers), nil), engine.ClassNotFound)
}

func (s *suite) testImageTag(t *testing.T) {
	ctx := s.context(t)
	ref := s.imageName()
	id := s.importImage(t, ref)
	s.must(t, "tag", s.e.ImageTag(ctx, ref, "localhost/contract-tagged", "x"))
	var v struct{ ID string }
	if s.inspectInto(t, engine.Images, "localhost/contract-tagged:x", &v); v.ID != id && v.ID != strings.TrimPrefix(id, "sha256:") {
		t.Errorf("by its further name the image is %s; want %s", v.ID, id)
	}
	s.must(t, "remove the further name", s.e.ImageRemove(ctx, "localhost/contract-tagged:x", false))
	s.want(t, "tag an unknown image", s.e.ImageTag(ctx, unknownID(engine.Images), "localhost/contract-tagged", "x"), engine.ClassNotFound)
}

// testPullFails: there is no registry; every engine says so in words of its own.
func (s *suite) testPullFails(t *testing.T) {
	ctx := s.context(t)
	pull := func(opts engine.PullOptions) error {
		stream, err := s.e.ImagePull(ctx, opts)
		for err == nil {
			_, err = stream.Next()
		}
		if stream != nil {
			_ = stream.Close()
		}
		return err
	}
	s.want(t, "pull without a tag", pull(engine.PullOptions{Name: "localhost/x"}), engine.ClassInvalid)
	// Port 9 of the engine's own machine is nobody's.
	if err := pull(engine.PullOptions{Name: "127.0.0.1:9/x", Tag: "1"}); engine.ClassOf(err) != engine.ClassServer && engine.ClassOf(err) != engine.ClassNotFound {
		t.Errorf("a pull from nowhere ends with %v (class %s)", err, engine.ClassOf(err))
	}
}

// testServiceRaw and testNodeUpdate are parts of Swarm.
func (s *suite) testServiceRaw(t *testing.T) {
	ctx := s.context(t)
	id := s.createService(t, s.serviceSpec(s.name("svc"), 0, map[string]string{"n": "1"}))
	type raw struct {
		Version struct{ Index uint64 }
		Spec    json.RawMessage
	}
	var before raw
	s.inspectInto(t, engine.Services, id, &before)
	changed := json.RawMessage(strings.Replace(string(before.Spec), `"n":"1"`, `"n":"2"`, 1))
	s.must(t, "update", s.e.ServiceUpdateRaw(ctx, id, before.Version.Index, changed, false))
	s.want(t, "update of an old version", s.e.ServiceUpdateRaw(ctx, id, before.Version.Index, changed, false), engine.ClassConflict)
	if v := s.service(t, id); v.Spec.Labels["n"] != "2" {
		t.Errorf("after the update the labels are %v", v.Spec.Labels)
	}
	eventually(t, "rollback to be taken", func() bool {
		var now raw
		s.inspectInto(t, engine.Services, id, &now)
		err := s.e.ServiceUpdateRaw(ctx, id, now.Version.Index, now.Spec, true)
		if err != nil && !engine.IsConflict(err) {
			t.Fatalf("rollback: %v", err)
		}
		return err == nil
	})
	if v := s.service(t, id); v.Spec.Labels["n"] != "1" {
		t.Errorf("after the rollback the labels are %v", v.Spec.Labels)
	}
}

func (s *suite) testNodeUpdate(t *testing.T) {
	ctx := s.context(t)
	nodes, err := s.e.List(ctx, engine.Nodes, engine.ListOptions{})
	s.must(t, "list nodes", err)
	type node struct {
		Version struct{ Index uint64 }
		Spec    json.RawMessage
	}
	var before, after node
	s.inspectInto(t, engine.Nodes, nodes[0].ID, &before)
	var spec map[string]any
	if err := json.Unmarshal(before.Spec, &spec); err != nil {
		t.Fatal(err)
	}
	spec["Labels"] = map[string]string{"zone": "a"}
	changed, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, "update", s.e.NodeUpdate(ctx, nodes[0].ID, before.Version.Index, changed))
	s.inspectInto(t, engine.Nodes, nodes[0].ID, &after)
	if !strings.Contains(string(after.Spec), `"zone":"a"`) {
		t.Errorf("after the update the node is %s", after.Spec)
	}
	s.want(t, "update of an old version", s.e.NodeUpdate(ctx, nodes[0].ID, before.Version.Index, changed), engine.ClassConflict)
	s.want(t, "update of an unknown node", s.e.NodeUpdate(ctx, unknownID(engine.Nodes), 1, changed), engine.ClassNotFound)
}
