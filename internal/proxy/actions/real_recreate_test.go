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
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
)

// box is what the tests look at in a container.
type box struct {
	ID, Name, Image string
	State           struct {
		Status    string
		StartedAt string
	}
	Config struct {
		Image, Hostname, User string
		Env, Cmd              []string
		Labels                map[string]string
		MacAddress            string
	}
	HostConfig struct {
		Memory        int64
		RestartPolicy struct{ Name string }
	}
	Mounts []struct {
		Type, Name, Source, Destination string
		RW                              bool
	}
	NetworkSettings struct {
		Networks map[string]struct {
			IPAddress, MacAddress string
			Aliases               []string
		}
	}
}

func (b *engineBed) box(id string) box {
	b.Helper()
	var c box
	b.inspect("containers", id, &c)
	return c
}

func (c box) volume(destination string) string {
	for _, m := range c.Mounts {
		if m.Destination == destination {
			return m.Name + m.Source
		}
	}
	return ""
}

// web creates a container with something of everything.
func (b *engineBed) web(name, ref string) box {
	b.Helper()
	for i, network := range []string{"front", "back"} {
		b.must(200, "POST", "networks", map[string]any{
			"Name": network + "-" + name, "IPAM": map[string]any{"Config": []any{map[string]any{"Subnet": "10.9." + string(rune('1'+i)) + ".0/24"}}},
		})
		b.Cleanup(func() {
			b.request("Admin", "DELETE", "containers/"+name+"?force=true&volumes=true", nil)
			b.must(200, "DELETE", "networks/"+network+"-"+name, nil)
		})
	}
	b.must(200, "POST", "containers", map[string]any{"name": name, "config": map[string]any{
		"Image": ref, "Env": []string{"MINE=yes"}, "Labels": map[string]string{"mine": "yes"},
		"Volumes": map[string]any{"/anonymous": map[string]any{}},
		"HostConfig": map[string]any{
			"Binds": []string{"named-" + name + ":/named", "/tmp:/host:ro"}, "NetworkMode": "front-" + name, "Memory": 64 << 20,
			"RestartPolicy": map[string]any{"Name": "on-failure", "MaximumRetryCount": 3},
			"Mounts":        []any{map[string]any{"Type": "volume", "Target": "/mounted"}},
		},
		"NetworkingConfig": map[string]any{"EndpointsConfig": map[string]any{
			"front-" + name: map[string]any{"IPAMConfig": map[string]any{"IPv4Address": "10.9.1.77"}, "Aliases": []string{"www"}},
		}},
	}})
	b.must(200, "POST", "networks/back-"+name+"/connect", map[string]any{"container": name, "endpoint": map[string]any{"Aliases": []string{"db-client"}}})
	b.must(200, "POST", "containers/"+name+"/start", nil)
	return b.box(name)
}

// same checks that a container is as another one was, but for its image.
func (b *engineBed) same(old, fresh box) {
	b.Helper()
	for _, d := range []string{"/anonymous", "/named", "/host", "/mounted"} {
		if old.volume(d) == "" || fresh.volume(d) != old.volume(d) {
			b.Errorf("the mount of %s was %q and is %q", d, old.volume(d), fresh.volume(d))
		}
	}
	if len(fresh.Mounts) != len(old.Mounts) {
		b.Errorf("the mounts were %+v and are %+v", old.Mounts, fresh.Mounts)
	}
	if !slices.Equal(slices.Sorted(maps.Keys(old.NetworkSettings.Networks)), slices.Sorted(maps.Keys(fresh.NetworkSettings.Networks))) {
		b.Errorf("the networks were %+v and are %+v", old.NetworkSettings, fresh.NetworkSettings)
	}
	for name, was := range old.NetworkSettings.Networks {
		is := fresh.NetworkSettings.Networks[name]
		if name[:5] == "front" && is.IPAddress != was.IPAddress {
			b.Errorf("the static address on %s was %s and is %s", name, was.IPAddress, is.IPAddress)
		}
		for _, alias := range was.Aliases {
			if alias != old.ID[:12] && !slices.Contains(is.Aliases, alias) {
				b.Errorf("on %s the alias %s is lost: %v", name, alias, is.Aliases)
			}
		}
		if slices.Contains(is.Aliases, old.ID[:12]) && old.ID != fresh.ID {
			b.Errorf("on %s the old id is an alias: %v", name, is.Aliases)
		}
	}
	if fresh.HostConfig != old.HostConfig || fresh.Name != old.Name || !slices.Contains(fresh.Config.Env, "MINE=yes") || fresh.Config.Labels["mine"] != "yes" {
		b.Errorf("the container was %+v and is %+v", old, fresh)
	}
}

func (b *engineBed) testRecreate(t *testing.T) {
	ref := b.image("web:latest", "1", map[string]any{"Labels": map[string]string{"of": "one"}, "User": "0"})
	b.pulled(ref)
	old := b.web("web", ref)
	v := b.job("containers/web/recreate", map[string]any{"watchSeconds": 1})
	var result RecreateResult
	b.decode(v.Result, &result)
	if v.State != jobs.Succeeded || result.Result != "Unchanged" || b.box("web").State.StartedAt != old.State.StartedAt {
		t.Fatalf("without a newer image it is %s: %s, %+v", v.State, v.Result, v.Error)
	}

	b.image("web:latest", "2", map[string]any{"Labels": map[string]string{"of": "two"}, "Cmd": []string{"sleep", "2000"}})
	v = b.job("containers/web/recreate", map[string]any{"watchSeconds": 1})
	b.decode(v.Result, &result)
	if v.State != jobs.Succeeded || result.Result != "Recreated" || len(result.Warnings) > 0 {
		t.Fatalf("it is %s: %s, %+v", v.State, v.Result, v.Error)
	}
	fresh := b.box("web")
	b.same(old, fresh)
	if fresh.ID == old.ID || fresh.ID != result.Container || fresh.Image == old.Image || fresh.State.Status != "running" {
		t.Errorf("the new container is %+v", fresh)
	}
	if !slices.Contains(fresh.Config.Env, "VERSION=2") || slices.Contains(fresh.Config.Env, "VERSION=1") || fresh.Config.Labels["of"] != "two" ||
		!slices.Equal(fresh.Config.Cmd, []string{"sleep", "2000"}) || fresh.Config.User != "" || fresh.Config.Hostname != fresh.ID[:12] {
		t.Errorf("the new image's settings did not take the place of the old one's: %+v", fresh.Config)
	}
	b.must(404, "GET", "containers/"+old.ID+"/inspect", nil)
	// And once more, of the one that was recreated.
	v = b.job("containers/web/recreate", map[string]any{"watchSeconds": 1, "force": true, "pull": false})
	if v.State != jobs.Succeeded {
		t.Fatalf("by force it is %s: %+v", v.State, v.Error)
	}
	b.same(old, b.box("web"))
}

// testRecreateMAC: an address that a user gave is kept, and one that the engine made up
// is not taken for it.
func (b *engineBed) testRecreateMAC(t *testing.T) {
	ref := b.image("mac:latest", "1", nil)
	b.pulled(ref)
	const mac = "02:42:ac:00:00:99"
	body := map[string]any{"Image": ref, "MacAddress": mac} // as old clients say it
	b.docker.Call(t, "POST", "/v1.41/containers/create?name=mac", body)
	b.must(200, "POST", "containers", map[string]any{"name": "nomac", "config": map[string]any{"Image": ref}})
	addresses := map[string]string{}
	for _, name := range []string{"mac", "nomac"} {
		b.Cleanup(func() { b.must(200, "DELETE", "containers/"+name+"?force=true", nil) })
		b.must(200, "POST", "containers/"+name+"/start", nil)
		if v := b.job("containers/"+name+"/recreate", map[string]any{"watchSeconds": 0, "force": true}); v.State != jobs.Succeeded {
			t.Fatalf("%s is %s: %+v", name, v.State, v.Error)
		}
		addresses[name] = b.box(name).NetworkSettings.Networks["bridge"].MacAddress
	}
	if addresses["mac"] != mac || addresses["nomac"] == mac || addresses["nomac"] == "" {
		t.Errorf("the addresses are %v; want %s of mac", addresses, mac)
	}
	var v struct{ Config struct{ MacAddress string } }
	if b.decode(b.docker.Call(t, "GET", "/v1.41/containers/nomac/json", nil), &v); v.Config.MacAddress != "" {
		t.Errorf("an address that the engine made up is configured now: %s", v.Config.MacAddress)
	}
}

func (b *engineBed) testRecreateStopped(t *testing.T) {
	ref := b.image("idle:latest", "1", nil)
	b.pulled(ref)
	b.must(200, "POST", "containers", map[string]any{"name": "idle", "config": map[string]any{"Image": ref}})
	b.Cleanup(func() { b.must(200, "DELETE", "containers/idle", nil) })
	b.image("idle:latest", "2", nil)
	v := b.job("containers/idle/recreate", nil)
	c := b.box("idle")
	if v.State != jobs.Succeeded || c.State.Status != "created" || !slices.Contains(c.Config.Env, "VERSION=2") {
		t.Errorf("it is %s, %+v; the container is %+v", v.State, v.Error, c)
	}
}

func (b *engineBed) testRollBack(t *testing.T) {
	ref := b.image("svc:latest", "1", nil)
	b.pulled(ref)
	old := b.web("svc", ref)
	for name, config := range map[string]map[string]any{
		"ends at once":  {"Cmd": []string{"sh", "-c", "exit 3"}},
		"no program":    {"Cmd": []string{"/no/such/program"}},
		"unhealthy":     {"Healthcheck": map[string]any{"Test": []string{"CMD", "false"}, "Interval": 1000000000, "Retries": 1}},
		"new anonymous": {"Cmd": []string{"false"}, "Volumes": map[string]any{"/more": map[string]any{}}},
	} {
		b.image("svc:latest", name, config)
		before := b.volumes()
		v := b.job("containers/svc/recreate", map[string]any{"watchSeconds": 45})
		if v.State != jobs.Failed || v.Error.Reason != rolledBack {
			t.Fatalf("%s: the job is %s, %s, %+v", name, v.State, v.Result, v.Error)
		}
		c := b.box("svc")
		b.same(old, c)
		if c.ID != old.ID || c.State.Status != "running" || c.Image != old.Image {
			t.Errorf("%s: the container is %+v; want the old one", name, c)
		}
		var all []struct{ Names []string }
		b.decode(b.docker.Call(t, "GET", "/containers/json?all=1", nil), &all)
		for _, other := range all {
			if strings.Contains(other.Names[0], "svc-") {
				t.Errorf("%s: %v is left", name, other.Names)
			}
		}
		if after := b.volumes(); !slices.Equal(before, after) {
			t.Errorf("%s: the volumes were %v and are %v", name, before, after)
		}
	}
	// The one who cancels while the new one is watched gets the old one back.
	b.image("svc:latest", "good", nil)
	begun := b.must(202, "POST", "containers/svc/recreate", map[string]any{"watchSeconds": 300})
	var v jobs.View
	b.decode(begun.body, &v)
	b.eventually("the new container to run", func() bool {
		b.decode(b.must(200, "GET", "jobs/"+v.Metadata.Name, nil).body, &v)
		return strings.Contains(string(v.Progress), "Watching")
	})
	b.must(202, "DELETE", "jobs/"+v.Metadata.Name, nil)
	if v = b.wait(begun); v.State != jobs.Canceled || !strings.Contains(v.Error.Message, jobs.ErrCanceled.Error()+"; ") {
		t.Errorf("the canceled job is %s, %+v", v.State, v.Error)
	}
	if c := b.box("svc"); c.ID != old.ID || c.State.Status != "running" {
		t.Errorf("after the cancellation the container is %+v", c)
	}
}

func (b *engineBed) volumes() []string {
	b.Helper()
	var all struct{ Volumes []struct{ Name string } }
	b.decode(b.docker.Call(b, "GET", "/volumes", nil), &all)
	var names []string
	for _, v := range all.Volumes {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	return names
}

func (b *engineBed) testRefused(t *testing.T) {
	ref := b.image("odd:latest", "1", nil)
	b.pulled(ref)
	create := func(name string, config map[string]any) string {
		config["Image"] = ref
		id := string(b.must(200, "POST", "containers", map[string]any{"name": name, "start": true, "config": config}).status.Details.UID)
		t.Cleanup(func() { b.request("Admin", "DELETE", "containers/"+id+"?force=true", nil) })
		return id
	}
	create("gone", map[string]any{"HostConfig": map[string]any{"AutoRemove": true}})
	create("net", map[string]any{})
	create("guest", map[string]any{"HostConfig": map[string]any{"NetworkMode": "container:net"}})
	create("paused", map[string]any{})
	b.must(200, "POST", "containers/paused/pause", nil)
	for name, says := range map[string]string{"gone": "--rm", "net": "guest", "paused": "is paused"} {
		if a := b.must(409, "POST", "containers/"+name+"/recreate", nil); !strings.Contains(a.status.Message, says) {
			t.Errorf("a recreation of %s is refused with %q; want %q", name, a.status.Message, says)
		}
	}
	b.as("puller", 403, "POST", "containers/guest/recreate", nil)
	b.image("odd:latest", "2", nil)
	if v := b.job("containers/guest/recreate", map[string]any{"watchSeconds": 0}); v.State != jobs.Succeeded {
		t.Errorf("one on another's network is %s: %+v", v.State, v.Error)
	}
}
