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
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/events"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/stream"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// feedLine is a line of events, of statistics or of several logs.
type feedLine struct {
	Type, Host, Name, Text string
	Docker                 *events.Message
	Status                 *struct{ Code int }
	raw                    string
}

// follow opens a stream of JSON lines, which comes until it ends.
func (u *httpUser) follow(t *testing.T, path string) <-chan feedLine {
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
		t.Fatalf("following %s: %v, %v", path, resp, err)
	}
	lines, done := make(chan feedLine), make(chan struct{})
	go func() {
		defer close(done)
		defer close(lines)
		defer func() { _ = resp.Body.Close() }()
		for in := bufio.NewReader(resp.Body); ; {
			text, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			l := feedLine{raw: string(text)}
			if json.Unmarshal(text, &l) != nil {
				l.Type = "nonsense"
			}
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return lines
}

// wantLine reads on to a line that is wanted.
func wantLine(t *testing.T, lines <-chan feedLine, what string, wanted func(feedLine) bool) feedLine {
	t.Helper()
	deadline := time.After(patient)
	for {
		select {
		case l, more := <-lines:
			if !more {
				t.Fatalf("the stream ends before: %s", what)
			}
			if wanted(l) {
				return l
			}
		case <-deadline:
			t.Fatalf("there is not within %s: %s", patient, what)
		}
	}
}

// TestFeeds looks at events, statistics and logs as a Viewer: what is secret is masked, and
// with its grant a host leaves what is merged, while what is of that host alone ends.
func TestFeeds(t *testing.T) {
	b := newBed(t, testbed.DockerdOptions{})
	token := b.account(t, "viewer")
	grant := b.grant(t, dcv1.HostViewer, dcv1.HostPermissionSubject{Kind: dcv1.SubjectServiceAccount, Name: "viewer"})
	u := b.as(t, token)
	namespace := engineAPI + "/namespaces/" + b.namespace
	u.eventually(t, 200, "GET", b.typed("containers"), nil)
	told := u.follow(t, namespace+"/events?type=container")
	logs := u.follow(t, namespace+"/log?labelSelector=app&format=json&follow=true")
	wantLine(t, told, "the beginning", func(l feedLine) bool { return l.Type == "start" })

	b.engine.Call(t, http.MethodPost, "/containers/create?name=web", map[string]any{
		"Image": "busybox:test", "Cmd": []string{"sh", "-c", "echo hello; sleep 100000"}, "StopSignal": "SIGKILL", "Labels": map[string]string{"app": "canary"},
	})
	b.engine.Call(t, http.MethodPost, "/containers/web/start", nil)
	b.engine.Call(t, http.MethodPost, "/containers/web/exec", map[string]any{"Cmd": []string{"sh", "-c", "canary"}})
	for _, action := range []string{"create", "start", "exec_create"} {
		l := wantLine(t, told, action, func(l feedLine) bool { return l.Docker != nil && strings.HasPrefix(string(l.Docker.Action), action) })
		if strings.Contains(l.raw, "canary") || l.Docker.Actor.Attributes["name"] != "web" {
			t.Errorf("a Viewer gets %s", l.raw)
		}
	}
	u.do(t, 403, "GET", b.typed("events?label=app%3Dcanary"), nil)
	wantLine(t, logs, "the line", func(l feedLine) bool { return l.Text == "hello" && l.Name == "web" && l.Host == "prod" })
	one := decode[struct {
		Name string
		stream.StatsItem
	}](t, u.do(t, 200, "GET", b.typed("stats/web?follow=false"), nil).body)
	if one.Name != "web" || one.State != stream.StatsRunning || one.Sample.CPUPercent == nil || one.Sample.MemoryBytes == 0 {
		t.Errorf("the statistics are %+v", one)
	}
	numbers := u.follow(t, b.typed("stats/web"))
	sum := u.follow(t, b.typed("stats"))
	wantLine(t, numbers, "statistics", func(l feedLine) bool { return l.Name == "web" })
	wantLine(t, sum, "the host's", func(l feedLine) bool { return l.Host == "prod" })

	b.Delete(t, grant)
	wantLine(t, told, "that the host is gone", func(l feedLine) bool { return l.Type == "gone" && l.Host == "prod" })
	for _, lines := range []<-chan feedLine{numbers, sum} {
		wantLine(t, lines, "why it ends", func(l feedLine) bool { return l.Type == "error" && l.Status.Code == http.StatusForbidden })
	}
	b.engine.Call(t, http.MethodPost, "/containers/web/restart?t=0", nil)
	b.grant(t, dcv1.HostViewer, dcv1.HostPermissionSubject{Kind: dcv1.SubjectServiceAccount, Name: "viewer"})
	if l := wantLine(t, told, "that the host is back", func(l feedLine) bool { return l.Type != "gone" }); l.Type != "start" {
		t.Errorf("while there is no right comes %s", l.raw)
	}
	wantLine(t, logs, "the line of the second run", func(l feedLine) bool { return l.Text == "hello" })
}
