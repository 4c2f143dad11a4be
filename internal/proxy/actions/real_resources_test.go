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

package actions

import (
	"slices"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
)

func (b *engineBed) testRead(t *testing.T) {
	ref := b.image("read:1", "1", nil)
	b.pulled(ref)
	b.must(200, "POST", "containers", map[string]any{"name": "read", "start": true, "config": map[string]any{
		"Image": ref, "Cmd": []string{"sh", "-c", "echo x > /written; sleep 1000"},
	}})
	b.Cleanup(func() { b.must(200, "DELETE", "containers/read?force=true", nil) })
	var top struct {
		Titles    []string
		Processes [][]string
	}
	b.decode(b.as("Operator", 200, "GET", "containers/read/top", nil).body, &top)
	if len(top.Processes) == 0 || len(top.Titles) != len(top.Processes[0]) {
		t.Errorf("top is %+v", top)
	}
	b.eventually("the change to be told", func() bool {
		return strings.Contains(string(b.as("Operator", 200, "GET", "containers/read/changes", nil).body), `"/written"`)
	})
	var history []struct{ Id string }
	b.decode(b.must(200, "GET", "images/"+strings.ReplaceAll(ref, "/", "%2F")+"/history", nil).body, &history)
	if len(history) == 0 {
		t.Error("the image has no history")
	}
	b.as("Viewer", 403, "GET", "containers/read/top", nil)
	var usage DiskUsage
	b.decode(b.as("Viewer", 200, "GET", "system/df", nil).body, &usage)
	i := slices.IndexFunc(usage.Images.Items, func(i UsageItem) bool { return i.Name == ref })
	c := slices.IndexFunc(usage.Containers.Items, func(c UsageItem) bool { return c.Name == "read" })
	if i < 0 || c < 0 || !usage.Images.Items[i].InUse || !usage.Containers.Items[c].InUse || usage.Images.Size <= 0 || usage.Host != "prod" {
		t.Errorf("disk usage is %+v", usage)
	}
}

func (b *engineBed) testResources(t *testing.T) {
	b.must(200, "POST", "volumes", map[string]any{"Name": "data", "Labels": map[string]string{"a": "b"}})
	var v struct{ Labels map[string]string }
	if b.inspect("volumes", "data", &v); v.Labels["a"] != "b" {
		t.Errorf("the volume is %+v", v)
	}
	b.must(200, "POST", "volumes/data/remove", nil)
	b.must(404, "GET", "volumes/data/inspect", nil)
	id := string(b.must(200, "POST", "networks", map[string]any{"Name": "lan"}).status.Details.UID)
	b.must(409, "POST", "networks", map[string]any{"Name": "lan"})
	ref := b.image("res:1", "1", nil)
	b.pulled(ref)
	b.must(200, "POST", "containers", map[string]any{"name": "member", "start": true, "config": map[string]any{"Image": ref}})
	b.must(200, "POST", "networks/lan/connect", map[string]any{"container": "member"})
	b.must(409, "DELETE", "networks/lan", nil)
	b.must(200, "POST", "networks/lan/disconnect", map[string]any{"container": "member"})
	b.must(200, "DELETE", "networks/"+id, nil)
	b.must(200, "DELETE", "containers/member?force=true", nil)
	b.must(200, "DELETE", "images/"+strings.ReplaceAll(ref, "/", "%2F"), nil)
}

func (b *engineBed) testPrune(t *testing.T) {
	ref := b.image("prune:1", "1", nil)
	b.pulled(ref)
	b.must(200, "POST", "containers", map[string]any{"name": "stopped", "config": map[string]any{"Image": ref, "Labels": map[string]string{"prune": "me"}}})
	b.must(200, "POST", "containers", map[string]any{"name": "spared", "config": map[string]any{"Image": ref}})
	b.must(200, "POST", "networks", map[string]any{"Name": "lonely", "Labels": map[string]string{"prune": "me"}})
	b.must(200, "POST", "volumes", map[string]any{"Name": "unused", "Labels": map[string]string{"prune": "me"}})
	body := map[string]any{
		"kinds": []string{"containers", "networks", "volumes"}, "all": true, "preview": true, "filters": map[string][]string{"label": {"prune=me"}},
	}
	var preview PrunePreview
	b.decode(b.must(200, "POST", "prune", body).body, &preview)
	for kind, want := range map[engine.PruneKind]string{engine.PruneContainers: "stopped", engine.PruneNetworks: "lonely", engine.PruneVolumes: "unused"} {
		if items := preview.Kinds[kind].Items; len(items) != 1 || items[0].Name != want {
			t.Errorf("the preview of %s is %+v; want %s", kind, items, want)
		}
	}
	b.must(200, "GET", "containers/stopped/inspect", nil)
	body["preview"], body["token"] = false, preview.Token
	b.must(200, "POST", "volumes", map[string]any{"Name": "unused-too", "Labels": map[string]string{"prune": "me"}})
	if v := b.job("prune", body); v.State != jobs.Failed || v.Error.Code != 409 {
		t.Errorf("with a token that is not true any more it is %s, %+v", v.State, v.Error)
	}
	b.must(200, "DELETE", "volumes/unused-too", nil)
	v := b.job("prune", body)
	var done PruneProgress
	b.decode(v.Result, &done)
	if v.State != jobs.Succeeded || len(done.Kinds) != 3 {
		t.Fatalf("the prune is %s: %s, %+v", v.State, v.Result, v.Error)
	}
	for _, k := range done.Kinds {
		if k.Count != 1 {
			t.Errorf("of %s it removed %v", k.Kind, k.Deleted)
		}
	}
	for _, gone := range []string{"containers/stopped", "networks/lonely", "volumes/unused"} {
		b.must(404, "GET", gone+"/inspect", nil)
	}
	b.must(200, "DELETE", "containers/spared", nil)
	b.decode(b.must(200, "POST", "prune", map[string]any{"kinds": []string{"images", "buildCache"}, "all": true, "preview": true}).body, &preview)
	if !slices.ContainsFunc(preview.Kinds[engine.PruneImages].Items, func(i UsageItem) bool { return i.Name == ref }) {
		t.Errorf("the preview of images is %+v; want %s in it", preview.Kinds, ref)
	}
	if v := b.job("prune", map[string]any{"kinds": []string{"images", "buildCache"}, "all": true}); v.State != jobs.Succeeded {
		t.Errorf("the prune of images is %s: %+v", v.State, v.Error)
	}
	b.must(404, "GET", "images/"+strings.ReplaceAll(ref, "/", "%2F")+"/inspect", nil)
	b.as("Operator", 403, "POST", "prune", body)
}

func (b *engineBed) testSwarm(t *testing.T) {
	b.docker.ImportBusybox(t, "localhost/svc:1")
	spec := map[string]any{
		"Name": "svc", "Labels": map[string]string{"a": "b"}, "Mode": map[string]any{"Replicated": map[string]any{"Replicas": 1}},
		"TaskTemplate": map[string]any{"ContainerSpec": map[string]any{"Image": "localhost/svc:1", "Command": []string{"sleep", "1000"}, "StopSignal": "SIGKILL"}},
		"UpdateConfig": map[string]any{"Parallelism": 2, "Delay": 1000, "MaxFailureRatio": 0.25},
	}
	var created struct{ ID string }
	b.decode(b.docker.Call(t, "POST", "/services/create", spec), &created)
	b.Cleanup(func() { b.docker.Call(t, "DELETE", "/services/"+created.ID, nil) })
	type service struct {
		Version struct{ Index uint64 }
		Spec    struct {
			Labels       map[string]string
			Mode         struct{ Replicated struct{ Replicas int } }
			TaskTemplate struct{ ForceUpdate int }
			UpdateConfig struct {
				Parallelism, Delay int
				MaxFailureRatio    float64
			}
		}
	}
	look := func() (s service) { b.inspect("services", "svc", &s); return s }
	before := look()
	b.as("Viewer", 403, "POST", "services/svc/scale", map[string]int{"replicas": 2})
	b.as("Operator", 200, "POST", "services/svc/scale", map[string]int{"replicas": 2})
	after := look()
	if after.Spec.Mode.Replicated.Replicas != 2 || after.Spec.UpdateConfig != before.Spec.UpdateConfig || after.Spec.Labels["a"] != "b" {
		t.Errorf("after the scale the service is %+v, before %+v", after, before)
	}
	b.as("Operator", 200, "POST", "services/svc/rollback", nil)
	if s := look(); s.Spec.Mode.Replicated.Replicas != 1 {
		t.Errorf("after the rollback the service is %+v", s)
	}
	b.as("Operator", 200, "POST", "services/svc/force", nil)
	b.as("Operator", 200, "POST", "services/svc/force", nil)
	if s := look(); s.Spec.TaskTemplate.ForceUpdate != before.Spec.TaskTemplate.ForceUpdate+2 {
		t.Errorf("after two forced updates the service is %+v", s)
	}
	var nodes []struct{ ID string }
	b.decode(b.docker.Call(t, "GET", "/nodes", nil), &nodes)
	b.must(200, "POST", "nodes/"+nodes[0].ID, map[string]any{"labels": map[string]string{"zone": "a"}, "availability": "pause"})
	var node struct {
		Spec struct {
			Labels             map[string]string
			Availability, Role string
		}
	}
	b.inspect("nodes", nodes[0].ID, &node)
	if node.Spec.Labels["zone"] != "a" || node.Spec.Availability != "pause" || node.Spec.Role != "manager" {
		t.Errorf("the node is %+v", node)
	}
	b.must(404, "POST", "services/none/scale", map[string]int{"replicas": 2})
}
