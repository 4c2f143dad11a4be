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
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

// run starts a container with labels until the test ends.
func (b *bed) run(t *testing.T, name string, labels map[string]string) (id string) {
	t.Helper()
	body := map[string]any{"Image": "busybox:test", "Cmd": []string{"sleep", "600"}, "Labels": labels, "StopSignal": "SIGKILL"}
	made := decode[struct{ ID string }](t, b.engine.Call(t, "POST", "/v1.41/containers/create?name="+name, body))
	b.engine.Call(t, "POST", "/v1.41/containers/"+made.ID+"/start", nil)
	t.Cleanup(func() {
		// The test may have removed it.
		_, _ = b.engine.TryCall("DELETE", "/v1.41/containers/"+made.ID+"?force=1&v=1", nil)
	})
	return made.ID
}

// testLists lists one host, and merges those that a caller may see.
func (b *bed) testLists(t *testing.T, u, fleet *httpUser) {
	web := b.run(t, "web", map[string]string{"app": "web", "com.example/odd key": "v"})
	b.run(t, "db", map[string]string{"app": "db"})
	ns := engineAPI + "/namespaces/" + b.namespace
	for path, want := range map[string]int{b.typed("containers"): 2, ns + "/containers": 2, engineAPI + "/containers": 2} {
		u.eventually(t, 200, "GET", path, nil, has(2))
		a := u.eventually(t, 200, "GET", path+"?labelSelector="+url.QueryEscape("app=web"), nil, has(1))
		l := decode[list](t, a.body)
		got := l.Items[0]
		docker := decode[struct {
			ID    string
			Image string
		}](t, got.Docker)
		if l.Kind != "ContainerList" || got.Kind != "Container" || got.Metadata.Name != "web" || got.Metadata.UID != web || got.Metadata.Namespace != b.namespace ||
			got.Host != "prod" || docker.ID != web || docker.Image != "busybox:test" {
			t.Errorf("%s: %s", path, a.body)
		}
		u.eventually(t, 200, "GET", path+"?labelSelector="+url.QueryEscape("app!=web"), nil, has(want-1))
		u.do(t, 400, "GET", path+"?labelselector=app", nil)
	}
	// Whoever may see both hosts gets both, which have the same containers here.
	fleet.eventually(t, 200, "GET", ns+"/containers", nil, has(4))
	fleet.eventually(t, 200, "GET", engineAPI+"/containers?hostSelector="+url.QueryEscape("no=such"), nil, has(0))
	fleet.do(t, 403, "GET", b.typed("images"), nil)
	u.do(t, 403, "GET", ns+"/dockerhosts/spare/containers", nil)
	u.do(t, 403, "GET", ns+"/dockerhosts/nobody/containers", nil)
	for _, segment := range []string{"images", "volumes", "networks"} {
		u.do(t, 200, "GET", b.typed(segment), nil)
	}
	info := decode[struct{ Docker struct{ ID string } }](t, u.do(t, 200, "GET", b.typed("info"), nil).body)
	if want := b.engine.Info(t)["ID"]; info.Docker.ID != want {
		t.Errorf("info is of the engine %q, want %q", info.Docker.ID, want)
	}
	one := decode[item](t, u.eventually(t, 200, "GET", b.typed("containers/"+web), nil).body)
	if one.Metadata.Name != "web" {
		t.Errorf("one container is %+v", one)
	}
}

// testPages reads a list in pages, each at the next replica.
func (b *bed) testPages(t *testing.T, u *httpUser) {
	want := map[string]bool{}
	for i := range 5 {
		want[b.run(t, fmt.Sprintf("page-%d", i), map[string]string{"of": "pages"})] = true
	}
	path := b.typed("containers") + "?labelSelector=of%3Dpages"
	// Both replicas have to know all: they are asked in turn.
	agreed := 0
	u.eventually(t, 200, "GET", path, nil, func(a answer) error {
		if err := has(len(want))(a); err != nil {
			agreed = 0
			return err
		}
		if agreed++; agreed < 2 {
			return errors.New("one replica is to be asked yet")
		}
		return nil
	})
	var got []string
	for next, pages := "", 1; ; pages++ {
		page := decode[list](t, u.do(t, 200, "GET", path+"&limit=2&continue="+url.QueryEscape(next), nil).body)
		for _, item := range page.Items {
			got = append(got, item.Metadata.UID)
		}
		if next = page.Metadata.Continue; next == "" {
			if pages != 3 {
				t.Errorf("5 containers are %d pages of 2", pages)
			}
			break
		}
	}
	slices.Sort(got)
	if distinct := slices.Compact(slices.Clone(got)); len(got) != 5 || len(distinct) != 5 || !want[got[0]] || !want[got[4]] {
		t.Errorf("the pages have %v", got)
	}
	u.do(t, 400, "GET", path+"&continue=nonsense", nil)
}

// event is a line of a watch.
type watchEvent struct {
	Type   string
	Object struct {
		item
		Metadata struct {
			Name, UID   string
			Annotations map[string]string
		}
	}
}

// watch opens a watch. Its events come until it ends, and then what ended it.
func (u *httpUser) watch(t *testing.T, path string) (events <-chan watchEvent, ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+u.b.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = u.header
	client := *u.client
	client.Timeout = 0
	resp, err := client.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		cancel()
		t.Fatalf("watching %s: %v, %v", path, resp, err)
	}
	lines, end, done := make(chan watchEvent), make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = resp.Body.Close() }()
		decoder := json.NewDecoder(bufio.NewReader(resp.Body))
		for {
			var e watchEvent
			if err := decoder.Decode(&e); err != nil {
				end <- err
				return
			}
			select {
			case lines <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return lines, end
}

// until waits for an event that is looked for.
func until(t *testing.T, events <-chan watchEvent, what string, is func(watchEvent) bool) {
	t.Helper()
	deadline := time.After(patient)
	for {
		select {
		case e := <-events:
			if is(e) {
				return
			}
		case <-deadline:
			t.Fatalf("the watch did not tell of %s within %s", what, patient)
		}
	}
}

// testWatch sees containers come and go.
func (b *bed) testWatch(t *testing.T, u *httpUser) {
	events, _ := u.watch(t, b.typed("containers")+"?watch=true")
	until(t, events, "the end of the initial events", func(e watchEvent) bool {
		return e.Type == "BOOKMARK" && e.Object.Metadata.Annotations["k8s.io/initial-events-end"] == "true"
	})
	began := time.Now()
	if r := runCommand(t, b.direct(t).command(t, "docker", "run", "--detach", "--name", "seen", "busybox:test", "sleep", "600")); r.Code != 0 {
		t.Fatal(r)
	}
	ran := time.Since(began)
	until(t, events, "the container", func(e watchEvent) bool { return e.Type == "ADDED" && e.Object.Metadata.Name == "seen" })
	if took := time.Since(began) - ran; took > time.Second {
		t.Logf("docker run was seen %s after it, and should be within a second", took)
	}
	until(t, events, "its start", func(e watchEvent) bool {
		return e.Object.Metadata.Name == "seen" && decode[struct{ State string }](t, e.Object.Docker).State == "running"
	})
	b.engine.RemoveContainer(t, "seen")
	until(t, events, "its removal", func(e watchEvent) bool { return e.Type == "DELETED" && e.Object.Metadata.Name == "seen" })
}
