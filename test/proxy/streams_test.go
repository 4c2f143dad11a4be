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
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/remotecommand"
	"github.com/dockercontrol/dockercontrol/internal/proxy/streamapi"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// streamCase is a stream that goes on until it is ended.
type streamCase struct {
	name, path string
	protocol   string // of a WebSocket; "" is a chunked answer
	right      access.Right
	// topic is subscribed to on /stream.
	topic string
}

func (b *bed) streamCases() []streamCase {
	var cases []streamCase
	for _, s := range []struct {
		topic, query string
		right        access.Right
	}{
		{"log", "log/box?follow=true", access.Right{Subresource: access.Log, Verb: access.Get}},
		{"stats", "stats/box", access.Right{Subresource: access.Stats, Verb: access.Get}},
		{"events", "events", access.Right{Subresource: access.Events, Verb: access.Get}},
	} {
		cases = append(cases,
			streamCase{name: s.topic, path: b.typed(s.query), right: s.right},
			streamCase{name: s.topic + " by WebSocket", path: b.typed(s.query), protocol: streamapi.Protocol, right: s.right},
			streamCase{name: s.topic + " by subscription", path: streamapi.Path, protocol: streamapi.Protocol, right: s.right, topic: s.topic})
	}
	return append(cases,
		streamCase{name: "exec", path: b.typed("exec/box?command=sh&command=-c&command=while+echo+talk%3B+do+sleep+0.1%3B+done&stdout=true"), protocol: remotecommand.Protocol,
			right: access.Right{Subresource: access.Exec, Verb: access.Create}},
		streamCase{name: "attach", path: b.typed("attach/box?stdout=true"), protocol: remotecommand.Protocol,
			right: access.Right{Subresource: access.Attach, Verb: access.Create}})
}

// openStream is one that was let in: next waits for something to come, and its error is the
// end.
type openStream struct {
	next  func() error
	close func()
}

// openCase opens a stream as the owner of a token; code is the HTTP status, or that of the
// Status that refused a subscription. Streams that were closed before it may not be free yet.
func (b *bed) openCase(t *testing.T, token string, c streamCase) (s *openStream, code int) {
	t.Helper()
	testenv.Eventually(t, patient, func(context.Context) error {
		if s, code = b.tryCase(t, token, c); code == http.StatusTooManyRequests {
			return fmt.Errorf("%s: the user has too many streams", c.name)
		}
		return nil
	})
	return s, code
}

func (b *bed) tryCase(t *testing.T, token string, c streamCase) (s *openStream, code int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	if c.protocol == "" {
		client := b.httpClient(t)
		client.Timeout = 0
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+b.address+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		buffer := make([]byte, 4<<10)
		return &openStream{next: func() error { _, err := resp.Body.Read(buffer); return err }, close: cancel}, resp.StatusCode
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.ca.Cert)
	d := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}, HandshakeTimeout: patient, Subprotocols: []string{c.protocol}}
	ws, resp, err := d.DialContext(ctx, "wss://"+b.address+c.path, http.Header{"Authorization": {"Bearer " + token}})
	if resp == nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	if err != nil {
		body, _ := io.ReadAll(resp.Body)
		var status metav1.Status
		if json.Unmarshal(body, &status) != nil || int(status.Code) != resp.StatusCode {
			t.Errorf("%s: %d with %q, want a Status", c.name, resp.StatusCode, body)
		}
		return nil, resp.StatusCode
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	s = &openStream{next: func() error { return nextMessage(ws) }, close: func() { _ = ws.Close() }}
	if c.topic == "" {
		return s, http.StatusOK
	}
	m := map[string]any{"type": "subscribe", "topic": c.topic, "namespace": b.namespace, "host": b.host.Name}
	if c.topic != "events" {
		m["containers"] = []string{"box"}
	}
	if err := ws.WriteJSON(m); err != nil {
		t.Fatal(err)
	}
	_ = ws.SetReadDeadline(time.Now().Add(patient))
	_, data, err := ws.ReadMessage()
	var answer struct {
		Type   string
		Status metav1.Status
	}
	if err != nil || json.Unmarshal(data, &answer) != nil {
		t.Fatalf("%s: %q, %v", c.name, data, err)
	}
	_ = ws.SetReadDeadline(time.Time{})
	if answer.Type == "subscribed" {
		return s, http.StatusOK
	}
	return s, int(answer.Status.Code)
}

// nextMessage reads a message; the end of a subscription is an end, too.
func nextMessage(ws *websocket.Conn) error {
	kind, data, err := ws.ReadMessage()
	if err != nil {
		return err
	}
	if kind == websocket.TextMessage && strings.Contains(string(data), `"ended"`) {
		return fmt.Errorf("ended: %s", data)
	}
	return nil
}

// TestStreamsWithEveryRole opens each stream as each role and as nobody.
func TestStreamsWithEveryRole(t *testing.T) { inBothModes(t, testStreamsWithEveryRole) }

func testStreamsWithEveryRole(t *testing.T, begin begin) {
	b := newBed(t, testbed.DockerdOptions{})
	b.engine.RunContainer(t, "box", "busybox:test", "sh", "-c", "while sleep 0.2; do echo a line; done")
	tokens := map[access.Role]string{"": b.account(t, "nobody")}
	for _, role := range access.Roles() {
		tokens[role] = b.user(t, dcv1.HostRole(role))
	}
	midway := begin(b, tokens[access.Admin])
	for i, role := range append(access.Roles(), "") {
		if i == 1 {
			midway()
		}
		for _, c := range b.streamCases() {
			want := http.StatusForbidden
			if role != "" && access.Grants(role, c.right) {
				want = http.StatusOK
			}
			s, code := b.openCase(t, tokens[role], c)
			if code != want {
				t.Errorf("%s as %q: %d, want %d", c.name, role, code, want)
			}
			if s != nil {
				s.close()
			}
		}
	}
	if _, code := b.openCase(t, "a token that is none", streamCase{name: "a bad token", path: streamapi.Path, protocol: streamapi.Protocol}); code != http.StatusUnauthorized {
		t.Errorf("%s with a token that is none: %d", streamapi.Path, code)
	}
}

// TestStreamsEndWithTheRight deletes a HostPermission while each stream runs: all of them
// end.
func TestStreamsEndWithTheRight(t *testing.T) { inBothModes(t, testStreamsEndWithTheRight) }

func testStreamsEndWithTheRight(t *testing.T, begin begin) {
	b := newBed(t, testbed.DockerdOptions{})
	b.engine.RunContainer(t, "box", "busybox:test", "sh", "-c", "while sleep 0.2; do echo a line; done")
	other := b.user(t, dcv1.HostViewer)
	midway := begin(b, other)
	token := b.account(t, "leaver")
	grant := b.grant(t, dcv1.HostOperator, dcv1.HostPermissionSubject{Kind: dcv1.SubjectServiceAccount, Name: "leaver"})
	midway()
	stays, code := b.openCase(t, other, b.streamCases()[0])
	if code != http.StatusOK {
		t.Fatalf("somebody else: %d", code)
	}
	type end struct {
		name string
		at   time.Time
		err  error
	}
	cases := b.streamCases()
	if most := 10; len(cases) > most { // of a user on a replica
		cases = append(cases[:most-2:most-2], cases[len(cases)-2:]...)
	}
	ends := make(chan end, len(cases))
	for _, c := range cases {
		s, code := b.openCase(t, token, c)
		if code != http.StatusOK {
			t.Fatalf("%s: %d", c.name, code)
		}
		go func() {
			var err error
			for err == nil {
				err = s.next()
			}
			ends <- end{c.name, time.Now(), err}
		}()
	}
	since := time.Now()
	b.Delete(t, grant)
	var last time.Duration
	for range cases {
		select {
		case e := <-ends:
			if last = max(last, e.at.Sub(since)); e.at.Sub(since) < 0 {
				t.Errorf("%s ended before the right did: %v", e.name, e.err)
			}
		case <-time.After(revoked - time.Since(since)):
			t.Fatalf("streams go on %s after the right has gone", revoked)
		}
	}
	t.Logf("all ended within %s", last.Round(time.Millisecond))
	for range 5 {
		if err := stays.next(); err != nil {
			t.Fatalf("somebody else's stream ended: %v", err)
		}
	}
}
