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

package sim

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// rootfs is a tar of one file.
func rootfs(t *testing.T, content string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestImages(t *testing.T) {
	c := serve(t, Options{})
	body := c.must(200, "POST", "/images/create?fromSrc=-&repo=demo&tag=1&changes=CMD+sleep+1000&changes=LABEL+a%3Db", rootfs(t, "hello"))
	var made struct{ Status string }
	if err := json.Unmarshal(body, &made); err != nil || !strings.HasPrefix(made.Status, "sha256:") {
		t.Fatalf("the import says %q: %v", body, err)
	}
	var list []struct {
		ID       string
		RepoTags []string
		Size     int64
		Labels   map[string]string
	}
	c.read("/images/json", &list)
	if len(list) != 1 || list[0].ID != made.Status || !slices.Equal(list[0].RepoTags, []string{"demo:1"}) || list[0].Size != 5 || list[0].Labels["a"] != "b" {
		t.Errorf("the images are %+v", list)
	}
	c.must(201, "POST", "/images/demo:1/tag?repo=other&tag=2", nil)
	for _, ref := range []string{"demo:1", "other:2", made.Status, made.Status[7:19]} {
		var one struct {
			ID       string
			RepoTags []string
		}
		c.read("/images/"+ref+"/json", &one)
		if one.ID != made.Status || len(one.RepoTags) != 2 {
			t.Errorf("%s is %+v", ref, one)
		}
	}
	id := c.create("c1", map[string]any{"Image": "demo:1"}) // its command is the image's
	c.must(409, "DELETE", "/images/"+made.Status, nil)
	c.must(200, "DELETE", "/images/other:2", nil)
	if status, b := c.call("DELETE", "/images/demo:1", nil); status != 409 || !strings.Contains(string(b), "must force") {
		t.Errorf("remove of an image in use: %d %s", status, b)
	}
	c.must(204, "DELETE", "/containers/"+id, nil)
	if got := string(c.must(200, "DELETE", "/images/demo:1", nil)); got != `[{"Untagged":"demo:1"},{"Deleted":"`+made.Status+`"}]`+"\n" {
		t.Errorf("the removal says %s", got)
	}
	for path, want := range map[string]int{"repo=bad%20name": 400, "repo=Upper": 400, "repo=fine": 500} {
		if got, b := c.call("POST", "/images/create?fromSrc=-&"+path, strings.NewReader(strings.Repeat("no tar. ", 100))); got != want {
			t.Errorf("%s: %d %s", path, got, b)
		}
	}
	want := []string{
		"image tag", "image import", "image tag", "container create", "image untag", "container destroy", "image untag", "image delete",
	}
	if got := told(t, c, "/events?since=1", "image delete"); !slices.Equal(got, want) {
		t.Errorf("the events are %q; want %q", got, want)
	}
}

func TestVolumes(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.must(201, "POST", "/volumes/create", map[string]any{"Name": "v1", "Labels": map[string]string{"a": "b"}})
	c.must(201, "POST", "/volumes/create", map[string]any{"Name": "v1"})
	c.must(201, "POST", "/volumes/create", map[string]any{})
	c.must(400, "POST", "/volumes/create", map[string]any{"Name": "a b"})
	c.must(404, "POST", "/volumes/create", map[string]any{"Name": "v2", "Driver": "nope"})
	names := func(query string) []string {
		var list struct {
			Volumes []struct {
				Name   string
				Labels map[string]string
			}
		}
		c.read("/volumes"+strings.ReplaceAll(query, `"`, "%22"), &list)
		var got []string
		for _, v := range list.Volumes {
			got = append(got, v.Name)
		}
		return got
	}
	if got := names(""); len(got) != 2 {
		t.Errorf("the volumes are %q", got)
	}
	if got := names(`?filters={"label":["a=b"]}`); !slices.Equal(got, []string{"v1"}) {
		t.Errorf("by label: %q", got)
	}
	id := c.create("c1", map[string]any{"Cmd": []string{"true"}, "Volumes": map[string]any{"/anon": map[string]any{}}, "HostConfig": map[string]any{
		"Binds": []string{"v1:/data:ro", "/tmp:/tmp"}, "Mounts": []map[string]any{{"Type": "tmpfs", "Target": "/t"}},
	}})
	if got := names(""); len(got) != 3 {
		t.Errorf("with a container's own the volumes are %q", got)
	}
	c.must(409, "DELETE", "/volumes/v1", nil)
	c.must(204, "DELETE", "/containers/"+id+"?v=1", nil)
	if got := names(""); len(got) != 2 || !slices.Contains(got, "v1") {
		t.Errorf("after the container the volumes are %q", got)
	}
	c.must(204, "DELETE", "/volumes/v1", nil)
	c.must(404, "GET", "/volumes/v1", nil)
	c.must(204, "DELETE", "/volumes/v1?force=1", nil)
}

func TestNetworks(t *testing.T) {
	c := serve(t, Options{Images: 1})
	var made struct{ ID string }
	if err := json.Unmarshal(c.must(201, "POST", "/networks/create", map[string]any{"Name": "n1", "Labels": map[string]string{"a": "b"}}), &made); err != nil {
		t.Fatal(err)
	}
	c.must(409, "POST", "/networks/create", map[string]any{"Name": "n1", "CheckDuplicate": true})
	c.must(403, "POST", "/networks/create", map[string]any{"Name": "bridge"})
	c.must(404, "POST", "/networks/create", map[string]any{"Name": "n2", "Driver": "nope"})
	id := c.create("c1", map[string]any{"Cmd": []string{"sleep", "1000"}, "HostConfig": map[string]any{"NetworkMode": "n1"}})
	c.must(204, "POST", "/containers/c1/start", nil)
	var n struct {
		Name string
		IPAM struct {
			Config []struct{ Subnet, Gateway string }
		}
		Containers map[string]struct{ Name, IPv4Address string }
	}
	c.read("/networks/"+made.ID, &n)
	if n.Name != "n1" || n.IPAM.Config[0].Subnet != "172.18.0.0/16" || n.Containers[id].IPv4Address != "172.18.0.2/16" || n.Containers[id].Name != "c1" {
		t.Errorf("the network is %+v", n)
	}
	c.must(403, "DELETE", "/networks/n1", nil)
	c.must(200, "POST", "/networks/bridge/connect", map[string]any{"Container": "c1"})
	c.must(403, "POST", "/networks/bridge/connect", map[string]any{"Container": "c1"})
	c.must(200, "POST", "/networks/bridge/disconnect", map[string]any{"Container": "c1"})
	c.must(500, "POST", "/networks/bridge/disconnect", map[string]any{"Container": "c1"})
	c.must(204, "DELETE", "/containers/c1?force=1", nil)
	c.must(204, "DELETE", "/networks/n1", nil)
	c.must(404, "DELETE", "/networks/n1", nil)
	c.create("lost", map[string]any{"Cmd": []string{"true"}, "HostConfig": map[string]any{"NetworkMode": "nosuch"}})
	if got := string(c.must(http.StatusNotFound, "POST", "/containers/lost/start", nil)); !strings.Contains(got, "network nosuch not found") {
		t.Errorf("start on no network: %s", got)
	}
	var list []struct{ Name string }
	c.read("/networks?filters=%7B%22driver%22%3A%5B%22host%22%5D%7D", &list)
	if len(list) != 1 || list[0].Name != "host" {
		t.Errorf("by driver: %+v", list)
	}
}
