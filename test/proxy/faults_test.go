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
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/proxy/remotecommand"
	"github.com/dockercontrol/dockercontrol/internal/proxy/streamapi"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestStreamFaults has clients of a real engine's streams and of a simulated one's do all
// that clients do wrong, while somebody follows a log who must not notice. Midway one of two
// managers is killed.
func TestStreamFaults(t *testing.T) { inBothModes(t, testStreamFaults) }

func testStreamFaults(t *testing.T, begin begin) {
	b := newBed(t, testbed.DockerdOptions{})
	b.simulate(t, "simulated")
	bad, good := b.user(t, dcv1.HostOperator), b.account(t, "good")
	b.permit(t, "all", dcv1.HostPermissionSpec{
		Role: dcv1.HostOperator, HostNames: []string{"prod", "simulated"},
		Subjects: []dcv1.HostPermissionSubject{{Kind: dcv1.SubjectServiceAccount, Name: "operator"}, {Kind: dcv1.SubjectServiceAccount, Name: "good"}},
	})
	b.engine.RunContainer(t, "box", "busybox:test", "sh", "-c", `i=0; while true; do i=$((i+1)); echo "$i `+strings.Repeat("x", 1<<10)+`"; [ $((i%100)) = 0 ] && sleep 0.1; done`)
	midway := begin(b, bad)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	f := &steadyFollower{bed: b, token: good}
	group.Go(func() { f.err = f.follow(ctx) })
	hosts := []string{"prod", "simulated"}
	for _, host := range hosts {
		b.badMessages(t, bad, host)
	}
	midway()
	for _, host := range hosts {
		b.badMessages(t, bad, host)
		b.ambiguous(t, bad, host)
	}
	b.allFree(t, bad)
	b.badReaders(t, bad, hosts)
	cancel()
	group.Wait()
	if f.err != nil || f.next < 1_000 {
		t.Errorf("who follows a log beside them has %d lines: %v", f.next, f.err)
	}
}

// simulate makes a host of a simulated engine with a container "box".
func (b *bed) simulate(t *testing.T, name string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	e := sim.New(sim.Options{Name: name, Images: 1})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = e.Serve(l) }()
	t.Cleanup(func() { e.Close(); <-served })
	id, _, err := e.Do("create", "box", "", []string{"sh", "-c", `while true; do echo "` + strings.Repeat("x", 4<<10) + `"; sleep 0.001; done`})
	if err == nil {
		_, _, err = e.Do("start", id, "", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	host := testenv.NewHost(b.namespace, name, "unix://"+filepath.Join(dir, "s"))
	b.Create(t, host)
	b.WaitReady(t, host, "True/Connected", patient)
}

// on is a path of one of the hosts.
func (b *bed) on(host, rest string) string {
	return engineAPI + "/namespaces/" + b.namespace + "/dockerhosts/" + host + "/" + rest
}

// dialer trusts the proxy's CA.
func (b *bed) dialer(protocol string) *websocket.Dialer {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.ca.Cert)
	return &websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}, HandshakeTimeout: patient, Subprotocols: []string{protocol}}
}

// socket opens a WebSocket, over another connection where one breaks.
func (b *bed) socket(t *testing.T, token, path, protocol string) *websocket.Conn {
	t.Helper()
	var ws *websocket.Conn
	testenv.Eventually(t, patient, func(ctx context.Context) error {
		c, resp, err := b.dialer(protocol).DialContext(ctx, "wss://"+b.address+path, http.Header{"Authorization": {"Bearer " + token}})
		if resp != nil {
			_ = resp.Body.Close()
		}
		ws = c
		return err
	})
	t.Cleanup(func() { _ = ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(patient))
	return ws
}

// badMessages sends what the protocols do not know, and expects to be told so.
func (b *bed) badMessages(t *testing.T, token, host string) {
	t.Helper()
	exec := b.on(host, "exec/box?command=cat&stdin=true&stdout=true")
	execTTY := b.on(host, "exec/box?command=cat&stdin=true&stdout=true&tty=true")
	for name, tc := range map[string]struct {
		path, protocol string
		kind           int
		message        string
		code           int
	}{
		"/stream: binary":          {streamapi.Path, streamapi.Protocol, websocket.BinaryMessage, `{}`, websocket.CloseUnsupportedData},
		"/stream: no JSON":         {streamapi.Path, streamapi.Protocol, websocket.TextMessage, `{`, websocket.CloseProtocolError},
		"/stream: too long":        {streamapi.Path, streamapi.Protocol, websocket.TextMessage, strings.Repeat(" ", 300<<10), websocket.CloseMessageTooBig},
		"log: a subscription":      {b.on(host, "log/box?follow=true"), streamapi.Protocol, websocket.TextMessage, `{"type":"subscribe"}`, websocket.CloseProtocolError},
		"exec: text":               {exec, remotecommand.Protocol, websocket.TextMessage, "\x00hello", websocket.CloseUnsupportedData},
		"exec: an empty message":   {exec, remotecommand.Protocol, websocket.BinaryMessage, "", websocket.CloseProtocolError},
		"exec: another's channel":  {exec, remotecommand.Protocol, websocket.BinaryMessage, "\x01hello", websocket.CloseProtocolError},
		"exec: channel 9":          {exec, remotecommand.Protocol, websocket.BinaryMessage, "\x09hello", websocket.CloseProtocolError},
		"exec: too long":           {exec, remotecommand.Protocol, websocket.BinaryMessage, "\x00" + strings.Repeat("x", 65<<10), websocket.CloseMessageTooBig},
		"exec: a size of 0":        {execTTY, remotecommand.Protocol, websocket.BinaryMessage, "\x04" + `{"Width":0,"Height":10}`, websocket.CloseProtocolError},
		"exec: a size of 65,536":   {execTTY, remotecommand.Protocol, websocket.BinaryMessage, "\x04" + `{"Width":65536,"Height":10}`, websocket.CloseProtocolError},
		"exec: a size that's none": {execTTY, remotecommand.Protocol, websocket.BinaryMessage, "\x04wide", websocket.CloseProtocolError},
	} {
		ws := b.socket(t, token, tc.path, tc.protocol)
		if err := ws.WriteMessage(tc.kind, []byte(tc.message)); err != nil {
			t.Fatalf("%s of %s: %v", name, host, err)
		}
		var err error
		for err == nil {
			_, _, err = ws.ReadMessage()
		}
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != tc.code || closed.Text == "" && tc.code != websocket.CloseMessageTooBig {
			t.Errorf("%s of %s: %v, want the code %d", name, host, err, tc.code)
		}
		_ = ws.Close()
	}
}

// ambiguous names containers badly.
func (b *bed) ambiguous(t *testing.T, token, host string) {
	t.Helper()
	u := b.as(t, token)
	for path, code := range map[string]int{
		"log/nobody": 404, "stats/nobody": 404, "exec/nobody?command=true&stdout=true": 404, "attach/nobody?stdout=true": 404,
		"log/box?tailLines=many": 400, "exec/box": 400,
	} {
		testenv.Eventually(t, patient, func(ctx context.Context) error {
			a, err := u.try(ctx, "GET", b.on(host, path), nil, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
				"Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==", "Sec-WebSocket-Protocol", streamapi.Protocol+", "+remotecommand.Protocol)
			switch {
			case err != nil:
				return err
			case a.code == http.StatusTooManyRequests:
				return errors.New("the streams of before are not free yet")
			case a.code != code:
				t.Errorf("%s: %d, want %d: %.1000s", path, a.code, code, a.body)
			}
			return nil
		})
	}
}

// badReaders has clients that never read, and expects that they are ended: their user may
// have as many streams as before.
func (b *bed) badReaders(t *testing.T, token string, hosts []string) {
	t.Helper()
	var sockets []*websocket.Conn
	for i := range 8 {
		host := hosts[i%len(hosts)]
		d := b.dialer(streamapi.Protocol)
		d.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil {
				err = c.(*net.TCPConn).SetReadBuffer(16 << 10)
			}
			return c, err
		}
		path := b.on(host, "log/box?follow=true&tailLines=0")
		if i >= 4 {
			path = streamapi.Path
		}
		var ws *websocket.Conn
		testenv.Eventually(t, patient, func(ctx context.Context) error { // those of before may not be free again
			c, resp, err := d.DialContext(ctx, "wss://"+b.address+path, http.Header{"Authorization": {"Bearer " + token}})
			if resp != nil {
				_ = resp.Body.Close()
			}
			ws = c
			return err
		})
		sockets = append(sockets, ws)
		if i >= 4 {
			for id := range 4 {
				m := map[string]any{"type": "subscribe", "id": id, "topic": "log", "namespace": b.namespace, "host": host, "containers": []string{"box"}}
				if err := ws.WriteJSON(m); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	defer func() {
		for _, ws := range sockets {
			_ = ws.Close()
		}
	}()
	b.allFree(t, token)
}

// allFree waits until a user may have as many streams as ever on a replica.
func (b *bed) allFree(t *testing.T, token string) {
	t.Helper()
	begin := time.Now()
	defer func() { t.Log("free after", time.Since(begin)) }()
	testenv.Eventually(t, 2*patient, func(ctx context.Context) error {
		var open []*websocket.Conn
		defer func() {
			for _, ws := range open {
				_ = ws.Close()
			}
		}()
		for range 10 { // of a user on a replica
			ws, resp, err := b.dialer(streamapi.Protocol).DialContext(ctx, "wss://"+b.address+streamapi.Path, http.Header{"Authorization": {"Bearer " + token}})
			if err != nil {
				return fmt.Errorf("stream %d: %w, %v", len(open), err, resp)
			}
			_ = resp.Body.Close()
			open = append(open, ws)
		}
		return nil
	})
}

// steadyFollower follows the box's log, comes back by cursor, and minds every number.
type steadyFollower struct {
	*bed
	token string
	next  int
	err   error
}

func (s *steadyFollower) follow(ctx context.Context) error {
	f := &follower{bed: s.bed, token: s.token, container: "box", reached: make(chan struct{})}
	for ctx.Err() == nil {
		status, _ := f.read(ctx)
		if status != nil {
			return fmt.Errorf("it was ended: %+v", status)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	for _, line := range f.lines[1] {
		number, _, _ := strings.Cut(line, " ")
		if s.next++; number != fmt.Sprint(s.next) {
			return fmt.Errorf("line %s came, not line %d", number, s.next)
		}
	}
	return nil
}
