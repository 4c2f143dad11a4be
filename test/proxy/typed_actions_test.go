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

package proxy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/proxy/actions"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// state is a container's, as the engine itself says it.
func (b *bed) state(t *testing.T, name string) string {
	t.Helper()
	return decode[struct{ State struct{ Status string } }](t, b.engine.Call(t, "GET", "/v1.41/containers/"+name+"/json", nil)).State.Status
}

// testLife makes a container, and does to it what can be done.
func (b *bed) testLife(t *testing.T, u *httpUser) {
	u.do(t, 200, "POST", b.typed("containers"), map[string]any{
		"name": "life", "config": map[string]any{"Image": "busybox:test", "Cmd": []string{"sleep", "600"}, "Env": []string{"A=b"}, "StopSignal": "SIGKILL"},
	})
	for _, tt := range []struct{ action, state string }{
		{"start", "running"}, {"pause", "paused"}, {"unpause", "running"}, {"restart?timeout=1", "running"},
		{"stop", "exited"}, {"start", "running"}, {"kill", "exited"}, {"start", "running"},
	} {
		u.do(t, 200, "POST", b.typed("containers/life/"+tt.action), nil)
		if got := b.state(t, "life"); tt.action != "kill" && got != tt.state { // a kill is not waited for
			t.Errorf("after %s it is %s", tt.action, got)
		}
		if tt.action == "kill" {
			testbed.Eventually(t, patient, "the end of the container", func() bool { return b.state(t, "life") == tt.state })
		}
	}
	inspected := decode[struct{ Config struct{ Env []string } }](t, u.do(t, 200, "GET", b.typed("containers/life/inspect"), nil).body)
	if !slices.Contains(inspected.Config.Env, "A=b") {
		t.Errorf("inspect has %+v", inspected)
	}
	u.eventually(t, 200, "GET", b.typed("containers/life/top"), nil, func(a answer) error { // at first it is the runtime's
		if !strings.Contains(string(a.body), "sleep 600") {
			return fmt.Errorf("top is %s", a.body)
		}
		return nil
	})
	if r := runCommand(t, b.direct(t).command(t, "docker", "exec", "life", "touch", "/made")); r.Code != 0 {
		t.Fatal(r)
	}
	if changes := u.do(t, 200, "GET", b.typed("containers/life/changes"), nil); !strings.Contains(string(changes.body), "/made") {
		t.Errorf("changes are %s", changes.body)
	}
	u.do(t, 200, "POST", b.typed("containers/life/rename"), map[string]string{"name": "renamed"})
	u.do(t, 404, "POST", b.typed("containers/life/start"), nil)
	u.do(t, 400, "POST", b.typed("containers/renamed/stop"), map[string]int{"timout": 1})
	u.do(t, 405, "GET", b.typed("containers/renamed/start"), nil)
	u.do(t, 409, "DELETE", b.typed("containers/renamed"), nil) // it runs
	u.do(t, 200, "DELETE", b.typed("containers/renamed?force=true"), nil)
	u.eventually(t, 200, "GET", b.typed("containers"), nil, func(a answer) error {
		if strings.Contains(string(a.body), "renamed") {
			return fmt.Errorf("a removed container is in the list: %s", a.body)
		}
		return nil
	})
}

// push makes an image that sleeps, and says its version.
func push(t *testing.T, r *testbed.Registry, name, version string) (ref string) {
	t.Helper()
	config := map[string]any{"Env": []string{"PATH=/bin", "VERSION=" + version}, "Cmd": []string{"sleep", "600"}, "StopSignal": "SIGKILL"}
	// An image that the engine has by another name would need no pull.
	r.Push(t, name, config, testbed.BusyboxTar(t), testbed.FileTar(t, "version", version+" of "+t.Name()))
	return r.Address + "/" + name
}

// testPull pulls an image from a registry.
func (b *bed) testPull(t *testing.T, u *httpUser, r *testbed.Registry) {
	ref := push(t, r, "team/app:1", "1")
	v := b.job(t, u, "images/pull", map[string]string{"ref": ref})
	result := decode[actions.PullResult](t, v.Result)
	progress := decode[actions.PullProgress](t, v.Progress)
	if v.Type != "ImagePull" || result.Ref != ref || len(progress.Layers) != 2 {
		t.Errorf("the pull is %+v, %s", v, v.Result)
	}
	if v := b.follow(t, u, "images/pull", map[string]string{"ref": r.Address + "/team/app:none"}); v.State != jobs.Failed || v.Error == nil || v.Error.Code != 404 {
		t.Errorf("the pull of what is not there is %+v", v)
	}
	name := strings.ReplaceAll(ref, "/", "%2F")
	u.do(t, 200, "POST", b.typed("images/"+name+"/tag"), map[string]string{"ref": "local/app:tagged"})
	u.do(t, 200, "GET", b.typed("images/"+name+"/inspect"), nil)
	u.do(t, 200, "GET", b.typed("images/"+name+"/history"), nil)
	u.do(t, 200, "DELETE", b.typed("images/local%2Fapp:tagged"), nil)
	u.do(t, 200, "DELETE", b.typed("images/"+name), nil)
}

// testRecreate takes a container to the newest image of its tag.
func (b *bed) testRecreate(t *testing.T, u *httpUser, r *testbed.Registry) {
	ref := push(t, r, "web:latest", "1")
	b.job(t, u, "images/pull", map[string]string{"ref": ref})
	u.do(t, 200, "POST", b.typed("containers"), map[string]any{
		"name": "site", "start": true, "config": map[string]any{"Image": ref, "Env": []string{"MINE=kept"}},
	})
	push(t, r, "web:latest", "2")
	v := b.job(t, u, "containers/site/recreate", map[string]any{"watchSeconds": 1})
	if result := decode[actions.RecreateResult](t, v.Result); result.Result != "Recreated" || result.Name != "site" {
		t.Errorf("the recreation is %s", v.Result)
	}
	inspected := decode[struct{ Config struct{ Env []string } }](t, u.do(t, 200, "GET", b.typed("containers/site/inspect"), nil).body)
	if env := inspected.Config.Env; !slices.Contains(env, "VERSION=2") || !slices.Contains(env, "MINE=kept") || b.state(t, "site") != "running" {
		t.Errorf("the new container has %v", env)
	}
	u.do(t, 200, "DELETE", b.typed("containers/site?force=true"), nil)
}

// testPrune looks before it prunes.
func (b *bed) testPrune(t *testing.T, u *httpUser) {
	u.do(t, 200, "POST", b.typed("containers"), map[string]any{"name": "old", "config": map[string]any{"Image": "busybox:test", "Cmd": []string{"true"}}})
	kept := b.run(t, "kept", nil)
	preview := func() actions.PrunePreview {
		a := u.do(t, 200, "POST", b.typed("prune"), map[string]any{"kinds": []string{"containers"}, "preview": true})
		return decode[actions.PrunePreview](t, a.body)
	}
	p := preview()
	if items := p.Kinds["containers"].Items; len(items) != 1 || items[0].Name != "old" || p.Token == "" {
		t.Fatalf("the preview is %+v", p)
	}
	// What has changed since is not pruned by an old look.
	u.do(t, 200, "POST", b.typed("containers"), map[string]any{"name": "newer", "config": map[string]any{"Image": "busybox:test", "Cmd": []string{"true"}}})
	body := map[string]any{"kinds": []string{"containers"}, "token": p.Token}
	if v := b.follow(t, u, "prune", body); v.State != jobs.Failed || v.Error == nil || v.Error.Code != 409 {
		t.Errorf("a prune by an old preview is %+v", v)
	}
	body["token"] = preview().Token
	v := b.job(t, u, "prune", body)
	if result := decode[actions.PruneProgress](t, v.Result); len(result.Kinds) != 1 || result.Kinds[0].Count != 2 {
		t.Errorf("the prune is %s", v.Result)
	}
	left := decode[[]struct{ ID string }](t, b.engine.Call(t, "GET", "/v1.41/containers/json?all=1", nil))
	if len(left) != 1 || left[0].ID != kept {
		t.Errorf("the prune left %v, want %s", left, kept)
	}
}

// testResources makes volumes and networks, and asks for disk usage.
func (b *bed) testResources(t *testing.T, u *httpUser) {
	c := b.run(t, "member", nil)
	u.do(t, 200, "POST", b.typed("volumes"), map[string]any{"Name": "data", "Labels": map[string]string{"a": "b"}})
	u.do(t, 200, "POST", b.typed("networks"), map[string]any{"Name": "net", "Driver": "bridge"})
	u.eventually(t, 200, "GET", b.typed("volumes?labelSelector=a%3Db"), nil, has(1))
	u.do(t, 200, "GET", b.typed("volumes/data/inspect"), nil)
	u.do(t, 200, "POST", b.typed("networks/net/connect"), map[string]string{"container": c})
	network := decode[struct{ Containers map[string]json.RawMessage }](t, u.do(t, 200, "GET", b.typed("networks/net/inspect"), nil).body)
	if network.Containers[c] == nil {
		t.Errorf("the network has %v, want %s", network.Containers, c)
	}
	u.do(t, 200, "POST", b.typed("networks/net/disconnect"), map[string]string{"container": c})
	usage := decode[actions.DiskUsage](t, u.do(t, 200, "GET", b.typed("system/df"), nil).body)
	if usage.Volumes.Total != 1 || usage.Containers.Active != 1 {
		t.Errorf("the disk usage is %+v", usage)
	}
	u.do(t, 200, "DELETE", b.typed("networks/net"), nil)
	u.do(t, 200, "DELETE", b.typed("volumes/data"), nil)
	u.do(t, 404, "DELETE", b.typed("volumes/data"), nil)
}
