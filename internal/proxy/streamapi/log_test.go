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
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// nextLine reads one line of a chunked answer.
func nextLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("reading a line: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

func TestLogText(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	b.ran(e, key, "web", "sh", "-c", "echo one; echo two >&2; echo three")
	for query, want := range map[string]string{
		"":                                "one\ntwo\nthree\n",
		"?tailLines=1":                    "three\n",
		"?stderr=true":                    "two\n",
		"?stdout&follow=true":             "one\nthree\n",
		"?filter=t&invert":                "one\n",
		"?pattern=%5Et":                   "two\nthree\n",
		"?limitBytes=6":                   "one\ntw",
		"?tailLines=0":                    "",
		"?sinceTime=2100-01-01T00:00:00Z": "",
	} {
		resp := b.get("ann", b.path(key, "log/web"+query))
		if got := b.read(resp); resp.StatusCode != http.StatusOK || got != want {
			t.Errorf("%q: %d %q; want %q", query, resp.StatusCode, got, want)
		}
		if h := resp.Header; h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") != "sandbox" {
			t.Errorf("%q: headers %v", query, h)
		}
	}
	timed := b.read(b.get("ann", b.path(key, "log/web?timestamps=true&tailLines=1")))
	if at, text, _ := strings.Cut(timed, " "); text != "three\n" || len(at) != len("2006-01-02T15:04:05.000000000Z") {
		t.Errorf("with timestamps: %q", timed)
	}
}

// TestLogJSON goes on from each line's cursor, and finds every later line once.
func TestLogJSON(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	b.ran(e, key, "web", "sh", "-c", `i=0; while [ $i -lt 9 ]; do i=$((i+1)); echo "line $i"; done; printf 'no newline'`)
	type line struct {
		Type, Stream, Text, Cursor string
	}
	read := func(query string) (lines []line) {
		resp := b.get("ann", b.path(key, "log/web?format=json"+query))
		if resp.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s", resp.Header.Get("Content-Type"))
		}
		for text := range strings.Lines(b.read(resp)) {
			var l line
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if l.Type == "" {
				lines = append(lines, l)
			}
		}
		return lines
	}
	all := read("")
	if len(all) != 10 || all[0].Text != "line 1" || all[0].Stream != "stdout" || all[9].Text != "no newline" {
		t.Fatalf("got %+v", all)
	}
	for i, l := range all {
		rest := read("&cursor=" + url.QueryEscape(l.Cursor))
		if len(rest) != len(all)-i-1 {
			t.Errorf("behind line %d there are %d lines: %+v", i+1, len(rest), rest)
		}
	}
}

// TestLogRefusals: what is wrong is said before anything is answered.
func TestLogRefusals(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	a := b.run(e, key, "web-1", "sleep", "infinity")
	b.run(e, key, "web-2", "sleep", "infinity")
	other := key
	other.Name = "other"
	b.rights.deny("eve", key, access.Log, true)
	b.rights.deny("eve", other, access.Log, true)
	for _, tc := range []struct {
		who, path string
		code      int
		says      string
	}{
		{"ann", b.path(key, "log/db"), 404, `no container "db"`},
		{"ann", b.path(other, "log/db"), 404, "other"},
		{"eve", b.path(key, "log/db"), 403, "log"},
		{"eve", b.path(other, "log/db?tailLines=x"), 403, "log"},
		{"ann", b.path(key, "log/web-1?tailLines=x"), 400, "tailLines"},
		{"ann", b.path(key, "log/web-1?tail=3"), 400, `"tail"`},
		{"ann", b.path(key, "log/web-1?follow=1&follow=0"), 400, "twice"},
		{"ann", b.path(key, "log/web-1?pattern=("), 400, "RE2"},
		{"ann", b.path(key, "log/web-1?invert"), 400, "invert"},
		{"ann", b.path(key, "log/web-1?cursor=17"), 400, "cursor"},
		{"ann", b.path(key, "log/web-1?sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z"), 400, "take one"},
		{"ann", b.path(key, "log/web-1?container=web-2"), 400, "container"},
		{"ann", b.path(key, "log/web-1?format=xml"), 400, "format"},
	} {
		if s := b.status(b.get(tc.who, tc.path), tc.code); !strings.Contains(s.Message, tc.says) {
			t.Errorf("%s %s: %q does not say %q", tc.who, tc.path, s.Message, tc.says)
		}
	}
	// Two ids that begin alike are rare: the one character that all 16 share at the 17th.
	for i := 0; ; i++ {
		id := b.run(e, key, fmt.Sprintf("more-%d", i), "sleep", "infinity")
		if id[0] != a[0] {
			continue
		}
		s := b.status(b.get("ann", b.path(key, "log/"+a[:1])), http.StatusConflict)
		if s.Details == nil || len(s.Details.Causes) < 2 || !strings.Contains(s.Message, a) {
			t.Errorf("an ambiguous prefix: %+v", s)
		}
		break
	}
	denied := 0
	for _, r := range b.trail.Records() {
		if r.Actor.User == "eve" && r.Verb == "log" && r.Outcome == "denied" {
			denied++
		}
	}
	if denied != 2 {
		t.Errorf("%d denials of eve's are on record, want 2: %+v", denied, b.trail.Records())
	}
}

// TestLogFollow follows, is interrupted by a revoked right, and ends by a reset, so that
// nobody takes that for the log's end.
func TestLogFollow(t *testing.T) {
	t.Run("HTTP/1.1", func(t *testing.T) { testLogFollow(t, false) })
	t.Run("HTTP/2.0", func(t *testing.T) { testLogFollow(t, true) })
}

func testLogFollow(t *testing.T, http2 bool) {
	b := newBed(t)
	b.client.Transport.(*http.Transport).ForceAttemptHTTP2 = http2
	e, key := b.simulate("one", sim.Options{})
	b.run(e, key, "web", "sh", "-c", `i=0; while true; do i=$((i+1)); echo "line $i"; sleep 0.01; done`)
	for path, end := range map[string]string{"log/web?follow": "", "log/web?follow&format=json": `"code":403`} {
		resp := b.get("ann", b.path(key, path))
		r := bufio.NewReader(resp.Body)
		for range 50 {
			nextLine(t, r)
		}
		b.rights.revoke("ann", authz.ErrRevoked)
		last := ""
		for {
			line, err := r.ReadString('\n')
			if err == nil {
				last = line
				continue
			}
			if clean := err.Error() == "EOF"; clean != (end != "") {
				t.Errorf("%s ended with %v after %q", path, err, last)
			}
			break
		}
		if !strings.Contains(last, end) {
			t.Errorf("%s ended with %q, want %q in it", path, last, end)
		}
	}
}

func TestStreamLimits(t *testing.T) {
	b := newBed(t, func(o *Options) { o.Streams = limit.NewCounter(2); o.Limits.Viewers = 1 })
	e, key := b.simulate("one", sim.Options{})
	b.run(e, key, "web", "sleep", "infinity")
	b.run(e, key, "db", "sleep", "infinity")
	first := b.get("ann", b.path(key, "log/web?follow"))
	b.status(b.get("bob", b.path(key, "log/web?follow")), http.StatusTooManyRequests)
	second := b.get("ann", b.path(key, "log/db?follow"))
	third := b.get("ann", b.path(key, "log/db?follow"))
	if s := b.status(third, http.StatusTooManyRequests); third.Header.Get("Retry-After") == "" || !strings.Contains(s.Message, "--user-streams") {
		t.Errorf("over the limit: %+v, headers %v", s, third.Header)
	}
	_ = first.Body.Close()
	_ = second.Body.Close()
	b.eventually("the places are free again", func() bool {
		resp := b.get("ann", b.path(key, "log/web?tailLines=0"))
		b.read(resp)
		return resp.StatusCode == http.StatusOK
	})
}

func TestSearch(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	b.ran(e, key, "web", "sh", "-c", `i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "line $i"; done`)
	type page struct {
		Kind     string
		Metadata struct{ Continue string }
		Items    []struct{ Text string }
	}
	var got []string
	next := ""
	for range 10 {
		resp := b.get("ann", b.path(key, "log/web/search?filter=7&limit=20&before="+next))
		var p page
		text := b.read(resp)
		if err := json.Unmarshal([]byte(text), &p); err != nil || p.Kind != "LogLineList" {
			t.Fatalf("%d %s: %v", resp.StatusCode, text, err)
		}
		var lines []string
		for _, l := range p.Items {
			lines = append(lines, l.Text)
		}
		got = append(lines, got...)
		if next = p.Metadata.Continue; next == "" {
			break
		}
	}
	var want []string
	for i := 1; i <= 300; i++ {
		if line := fmt.Sprintf("line %d", i); strings.Contains(line, "7") {
			want = append(want, line)
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("found %d lines %v; want %d", len(got), got, len(want))
	}
	b.status(b.get("ann", b.path(key, "log/web/search?limit=0")), http.StatusBadRequest)
	b.status(b.get("ann", b.path(key, "log/nobody/search")), http.StatusNotFound)
}

// TestLogSocket reads frames, and goes on from their cursors.
func TestLogSocket(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	id := b.ran(e, key, "web", "sh", "-c", "echo one; echo two >&2; echo three")
	read := func(query string) (lines []stream.Line, cursors []string) {
		s := b.dial("ann", b.path(key, "log/web"+query))
		if m := s.next(); m.Type != "subscribed" || m.ID != 0 {
			t.Fatalf("first came %+v", m)
		}
		if m := s.next(); m.kind != frameJSON || !strings.Contains(string(m.body), `"container":"`+id+`"`) || !strings.Contains(string(m.body), `"name":"web"`) {
			t.Errorf("second came %+v %s", m, m.body)
		}
		for {
			m := s.next()
			if m.Type == "ended" {
				if m.Status == nil || m.Status.Status != "Success" {
					t.Errorf("ended with %+v", m.Status)
				}
				break
			}
			got := records(t, m.body)
			if m.kind != frameLog || m.header.Count != len(got) {
				t.Errorf("%d lines in a frame of %d, kind %d", len(got), m.header.Count, m.kind)
			}
			lines = append(lines, got...)
			cursors = append(cursors, m.header.Cursors[0])
		}
		if _, err := s.read(); err == nil {
			t.Error("something comes after the end")
		}
		return lines, cursors
	}
	lines, cursors := read("?follow=false")
	if len(lines) != 3 || string(lines[1].Text) != "two" || lines[1].Stream != stream.Stderr || lines[0].Stream != stream.Stdout || lines[0].Time == 0 {
		t.Errorf("got %+v", lines)
	}
	if rest, _ := read("?cursor=" + cursors[len(cursors)-1]); len(rest) != 0 {
		t.Errorf("behind the last line there are %+v", rest)
	}
}
