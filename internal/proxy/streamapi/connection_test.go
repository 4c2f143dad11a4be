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
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// subscribeLog asks for a container's log.
func subscribeLog(id uint32, key hostcache.Key, name string, more map[string]any) map[string]any {
	m := map[string]any{"type": "subscribe", "id": id, "topic": "log", "namespace": key.Namespace, "host": key.Name, "containers": []string{name}}
	for k, v := range more {
		m[k] = v
	}
	return m
}

// ended waits for the end of a subscription, and tells what else came.
func (s *socket) ended(id uint32) (how reply, before []said) {
	s.t.Helper()
	for {
		m := s.next()
		if m.Type == "ended" && m.ID == id {
			return m.reply, before
		}
		before = append(before, m)
	}
}

// TestManySubscriptions reads two logs of two hosts side by side, ends one of them, and
// takes its id anew.
func TestManySubscriptions(t *testing.T) {
	b := newBed(t)
	one, first := b.simulate("one", sim.Options{})
	two, second := b.simulate("two", sim.Options{})
	const talk = `i=0; while true; do i=$((i+1)); echo "NAME $i"; sleep 0.01; done`
	b.run(one, first, "web", "sh", "-c", strings.ReplaceAll(talk, "NAME", "one"))
	b.run(two, second, "web", "sh", "-c", strings.ReplaceAll(talk, "NAME", "two"))
	s := b.dial("ann", Path)
	s.send(subscribeLog(1, first, "web", nil))
	s.send(subscribeLog(4_000_000_000, second, "web", nil))
	next := map[uint32]int{1: 1, 4_000_000_000: 1}
	names := map[uint32]string{1: "one", 4_000_000_000: "two"}
	for next[1] < 100 || next[4_000_000_000] < 100 {
		m := s.next()
		if m.kind != frameLog {
			continue
		}
		for _, l := range records(t, m.body) {
			if want := fmt.Sprintf("%s %d", names[m.subscription], next[m.subscription]); string(l.Text) != want {
				t.Fatalf("subscription %d got %q, want %q", m.subscription, l.Text, want)
			}
			next[m.subscription]++
		}
	}
	s.send(map[string]any{"type": "unsubscribe", "id": 1})
	if how, _ := s.ended(1); how.Status.Status != "Success" {
		t.Errorf("unsubscribed: %+v", how.Status)
	}
	s.send(subscribeLog(1, first, "web", map[string]any{"follow": false, "tailLines": 3, "filter": "one"}))
	_, before := s.ended(1)
	lines := 0
	for _, m := range before {
		if m.subscription == 1 && m.kind == frameLog {
			lines += m.header.Count
		}
	}
	if lines != 3 {
		t.Errorf("a subscription of the last 3 lines got %d", lines)
	}
	b.eventually("the log that nobody reads is let go", func() bool { return b.handler.logs.Upstreams() == 1 })
}

// TestSubscriptionRefusals: what cannot be subscribed to ends at once, and the others go on.
func TestSubscriptionRefusals(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	b.run(e, key, "web", "sleep", "infinity")
	b.rights.deny("eve", key, access.Log, true)
	for name, tc := range map[string]struct {
		who     string
		message map[string]any
		code    int32
	}{
		"a topic that is none":        {"ann", map[string]any{"type": "subscribe", "topic": "weather"}, 400},
		"a container that is none":    {"ann", subscribeLog(0, key, "db", nil), 404},
		"a host that is none":         {"ann", subscribeLog(0, hostcache.Key{Namespace: "prod", Name: "other"}, "web", nil), 404},
		"a right that is missing":     {"eve", subscribeLog(0, key, "web", nil), 403},
		"statistics of no host":       {"ann", map[string]any{"type": "subscribe", "topic": "stats"}, 400},
		"a cursor that is none":       {"ann", subscribeLog(0, key, "web", map[string]any{"cursors": map[string]string{"prod/one/" + b.id(key, "web"): "17"}}), 400},
		"a negative number of lines":  {"ann", subscribeLog(0, key, "web", map[string]any{"tailLines": -1}), 400},
		"a pattern that is none":      {"ann", subscribeLog(0, key, "web", map[string]any{"pattern": "("}), 400},
		"containers and a service":    {"ann", subscribeLog(0, key, "web", map[string]any{"service": "x"}), 400},
		"a container of no host":      {"ann", map[string]any{"type": "subscribe", "topic": "log", "containers": []string{"web"}}, 400},
		"a host selector with a host": {"ann", subscribeLog(0, key, "web", map[string]any{"hostSelector": "a=b"}), 400},
	} {
		s := b.dial(tc.who, Path)
		s.send(tc.message)
		how, before := s.ended(0)
		if how.Status == nil || how.Status.Code != tc.code || how.Status.Message == "" || len(before) > 0 {
			t.Errorf("%s: %+v after %v, want %d", name, how.Status, before, tc.code)
		}
		s.send(map[string]any{"type": "unsubscribe", "id": 7}) // the connection lives
		s.send(tc.message)
		s.ended(0)
		_ = s.ws.Close()
	}
}

// id is a container's.
func (b *bed) id(key hostcache.Key, name string) string {
	b.Helper()
	found, err := b.handler.container(b.Context(), key, name)
	if err != nil {
		b.Fatal(err)
	}
	return found.id
}

// TestMistakes: who breaks the protocol is told so, and loses the connection.
func TestMistakes(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	b.run(e, key, "web", "sleep", "infinity")
	text := func(m any) []byte {
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	subscribe := text(subscribeLog(1, key, "web", nil))
	for name, tc := range map[string]struct {
		path     string
		kind     int
		messages [][]byte
		code     int
	}{
		"binary":            {Path, websocket.BinaryMessage, [][]byte{subscribe}, websocket.CloseUnsupportedData},
		"no JSON":           {Path, websocket.TextMessage, [][]byte{[]byte("{")}, websocket.CloseProtocolError},
		"another type":      {Path, websocket.TextMessage, [][]byte{[]byte(`{"type":"shout"}`)}, websocket.CloseProtocolError},
		"a number too big":  {Path, websocket.TextMessage, [][]byte{[]byte(`{"type":"ack","id":4294967296}`)}, websocket.CloseProtocolError},
		"an id in use":      {Path, websocket.TextMessage, [][]byte{subscribe, subscribe}, websocket.CloseProtocolError},
		"too long":          {Path, websocket.TextMessage, [][]byte{slices.Repeat([]byte(" "), maxMessage+1)}, websocket.CloseMessageTooBig},
		"a second of one":   {b.path(key, "log/web?follow"), websocket.TextMessage, [][]byte{subscribe}, websocket.CloseProtocolError},
		"no UTF-8":          {Path, websocket.TextMessage, [][]byte{[]byte("\"\xff\"")}, websocket.CloseProtocolError},
		"an empty message":  {Path, websocket.TextMessage, [][]byte{{}}, websocket.CloseProtocolError},
		"a list of objects": {Path, websocket.TextMessage, [][]byte{[]byte(`[{"type":"ack"}]`)}, websocket.CloseProtocolError},
	} {
		s := b.dial("ann", tc.path)
		for _, m := range tc.messages {
			if err := s.ws.WriteMessage(tc.kind, m); err != nil {
				t.Fatal(err)
			}
		}
		for {
			_, err := s.read()
			if err == nil {
				continue
			}
			var closed *websocket.CloseError
			if !errors.As(err, &closed) || closed.Code != tc.code {
				t.Errorf("%s: %v, want the code %d", name, err, tc.code)
			}
			break
		}
	}
}

// TestTooManySubscriptions: the one above the limit is refused, and a connection counts as
// one stream.
func TestTooManySubscriptions(t *testing.T) {
	b := newBed(t, func(o *Options) { o.Streams = limit.NewCounter(1); o.Limits.Viewers = MaxSubscriptions + 1 })
	e, key := b.simulate("one", sim.Options{})
	b.run(e, key, "web", "sleep", "infinity")
	s := b.dial("ann", Path)
	for id := range uint32(MaxSubscriptions + 1) {
		s.send(subscribeLog(id, key, "web", nil))
	}
	if how, _ := s.ended(MaxSubscriptions); how.Status.Code != http.StatusTooManyRequests {
		t.Errorf("one more than %d: %+v", MaxSubscriptions, how.Status)
	}
	if _, resp, err := b.tryDial("ann", Path); err == nil || resp == nil || resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a second connection: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
}

// TestWindow: a client that does not acknowledge gets no more than its window, and then a
// gap that says exactly what it missed, while another one loses nothing.
func TestWindow(t *testing.T) {
	b := newBed(t, func(o *Options) { o.Limits.QueueBytes = 2 << 20 }) // some 500 lines, which is less than it lags behind
	e, key := b.simulate("one", sim.Options{})
	b.run(e, key, "web", "sh", "-c", `i=0; while true; do i=$((i+1)); echo "$i `+strings.Repeat("x", 4<<10)+`"; sleep 0.001; done`)
	const window = 64 << 10
	s := b.dial("ann", Path)
	s.send(subscribeLog(1, key, "web", map[string]any{"window": window}))
	s.send(subscribeLog(2, key, "web", map[string]any{"tailLines": 0}))
	var got, largest, acked int
	next, nextOther, gaps := 1, 0, 0
	for gaps < 3 {
		m := s.next()
		if m.kind != frameLog {
			if m.kind == frameJSON && m.subscription == 1 {
				got += m.length
			}
			continue
		}
		for _, l := range records(t, m.body) {
			if m.subscription == 2 {
				nextOther = b.follows(nextOther, l)
				continue
			}
			if l.Kind == stream.LineGap {
				if l.Lost == 0 {
					t.Fatal("a gap of nobody knows how many lines")
				}
				next, gaps = next+int(l.Lost), gaps+1
				continue
			}
			next = b.follows(next, l)
		}
		if m.subscription == 1 {
			got, largest = got+m.length, max(largest, m.length)
		}
		if got-acked > window+largest {
			t.Fatalf("%d bytes are under way that were not acknowledged", got-acked)
		}
		// The other one is read on until the first has missed something for sure.
		if m.subscription == 2 && nextOther > next+1000 && acked < got {
			acked = got
			s.send(map[string]any{"type": "ack", "id": 1, "bytes": acked})
		}
	}
}

// follows checks a line's number, where one is expected.
func (b *bed) follows(want int, l stream.Line) (next int) {
	b.Helper()
	number, _, _ := strings.Cut(string(l.Text), " ")
	n, err := strconv.Atoi(number)
	if l.Kind != stream.LineText || err != nil || want != 0 && n != want {
		b.Fatalf("got %q of kind %d, want line %d", l.Text, l.Kind, want)
	}
	return n + 1
}

// TestStreamEnds: a right that is gone ends a subscription or a connection with the reason,
// and so does a shutdown.
func TestStreamEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		why  error
		code int
	}{
		"revoked": {authz.ErrRevoked, websocket.ClosePolicyViolation},
		"expired": {authz.ErrExpired, websocket.ClosePolicyViolation},
		"nobody":  {nil, websocket.CloseGoingAway},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			e, key := b.simulate("one", sim.Options{})
			b.run(e, key, "web", "sleep", "infinity")
			sockets := []*socket{b.dial("ann", Path), b.dial("ann", b.path(key, "log/web?follow"))}
			sockets[0].send(subscribeLog(1, key, "web", nil))
			for _, s := range sockets {
				for m := s.next(); m.Type != "subscribed"; m = s.next() {
				}
			}
			if tc.why == nil {
				close(b.stopping)
			} else {
				b.rights.revoke("ann", tc.why)
			}
			for _, s := range sockets {
				var err error
				for err == nil {
					_, err = s.read()
				}
				var closed *websocket.CloseError
				if !errors.As(err, &closed) || closed.Code != tc.code || closed.Text == "" {
					t.Errorf("ended with %v, want the code %d", err, tc.code)
				}
			}
		})
	}
}

// TestQuietClientLeaves: the stream of a client that has left ends at once, also where
// nothing is said.
func TestQuietClientLeaves(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	b.run(e, key, "web", "sleep", "infinity")
	for _, path := range []string{b.path(key, "log/web?follow"), b.path(key, "events"), Path} {
		s := b.dial("ann", path)
		if path == Path {
			s.send(subscribeLog(1, key, "web", nil))
		}
		for m := s.next(); m.Type != "subscribed"; m = s.next() {
		}
		_ = s.ws.Close()
		b.eventually(path+" is let go", func() bool { return b.openStreams("ann") == 0 })
	}
}

// TestSubprotocol: who does not ask for the protocol gets a Status, not a connection that
// speaks another.
func TestSubprotocol(t *testing.T) {
	b := newBed(t)
	b.status(b.get("ann", Path), http.StatusUpgradeRequired)
	d := websocket.Dialer{TLSClientConfig: b.client.Transport.(*http.Transport).TLSClientConfig, HandshakeTimeout: time.Minute}
	_, resp, err := d.DialContext(b.Context(), "wss://"+strings.TrimPrefix(b.server.URL, "https://")+Path, nil)
	if err == nil || resp == nil {
		t.Fatalf("without a subprotocol: %v, %v", resp, err)
	}
	b.status(resp, http.StatusBadRequest)
}
