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
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/proxy/streamapi"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// numbered writes 40,000 numbered lines to each of both streams at once, together about
// 10,000 a second, and ends when it is told so by a file: then everybody who follows it is
// there when the engine is killed.
const numbered = `w() { i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo "$1 $i"; [ $((i%500)) = 0 ] && sleep 0.05; done; }; w out & w err >&2 & wait; until [ -e /end ]; do sleep 0.1; done`

// followed is how long a log may take altogether, on a busy machine.
const followed = 3 * time.Minute

// TestLogsLoseNothing has clients follow numbered lines of two logging drivers by WebSocket.
// Midway one of two managers is killed, and then the engine, which comes back; clients whose
// connection broke come back by cursor. Each gets every line that the engine has, once and
// in order, and those that stayed are told of the interruption.
func TestLogsLoseNothing(t *testing.T) { inBothModes(t, testLogsLoseNothing) }

func testLogsLoseNothing(t *testing.T, begin begin) {
	b := newBed(t, testbed.DockerdOptions{Args: []string{"--live-restore"}})
	token := b.user(t, dcv1.HostViewer)
	midway := begin(b, token)
	drivers := []string{"json-file", "local"}
	for _, driver := range drivers {
		b.engine.Call(t, http.MethodPost, "/containers/create?name="+driver, map[string]any{
			"Image": "busybox:test", "Cmd": []string{"sh", "-c", numbered},
			"HostConfig": map[string]any{"NetworkMode": "none", "LogConfig": map[string]any{"Type": driver}},
		})
		b.engine.Call(t, http.MethodPost, "/containers/"+driver+"/start", nil)
	}
	ctx, cancel := context.WithTimeout(t.Context(), followed)
	defer cancel()
	var followers []*follower
	var group sync.WaitGroup
	defer group.Wait()
	for i := range 8 { // of each driver two by connections of their own, and two on /stream
		f := &follower{bed: b, token: token, container: drivers[i%2], shared: i >= 4, reached: make(chan struct{})}
		followers = append(followers, f)
		group.Go(func() { f.err = f.follow(ctx) })
	}
	for _, f := range followers {
		select {
		case <-f.reached:
		case <-ctx.Done():
			group.Wait()
			for _, f := range followers {
				t.Errorf("a client of %s (on /stream: %t) has %d and %d lines; connections broke %d times: %v", f.container, f.shared, len(f.lines[1]), len(f.lines[2]), f.broken, f.err)
			}
			t.FailNow()
		}
	}
	midway()
	b.engine.Kill(t)
	b.engine.Start(t)
	for _, driver := range drivers {
		created := decode[struct{ ID string }](t, b.engine.Call(t, http.MethodPost, "/containers/"+driver+"/exec", map[string]any{"Cmd": []string{"touch", "/end"}}))
		b.engine.Call(t, http.MethodPost, "/exec/"+created.ID+"/start", map[string]any{"Detach": true})
	}
	group.Wait()
	broken := 0
	for _, driver := range drivers {
		want := b.engineLog(t, driver)
		for _, f := range followers {
			if f.container == driver {
				f.check(t, want)
				broken += f.broken
			}
		}
	}
	t.Logf("connections broke %d times", broken)
}

// engineLog is what the engine itself has of a log, a list of lines for each stream.
func (b *bed) engineLog(t *testing.T, container string) (lines [3][]string) {
	t.Helper()
	raw := b.engine.Call(t, http.MethodGet, "/containers/"+container+"/logs?stdout=1&stderr=1", nil)
	for len(raw) > 8 {
		n := int(binary.BigEndian.Uint32(raw[4:]))
		stream := raw[0]
		for line := range strings.Lines(string(raw[8 : 8+n])) {
			lines[stream] = append(lines[stream], strings.TrimSuffix(line, "\n"))
		}
		raw = raw[8+n:]
	}
	return lines
}

// follower follows a container's log to its end, whatever happens to its connections.
type follower struct {
	*bed
	token, container string
	shared           bool // on /stream
	reached          chan struct{}
	once             sync.Once

	lines   [3][]string // by stream
	cursor  string
	source  string // as a cursor's key
	notices []string
	broken  int
	err     error
}

// halfway is when a follower says that things may break.
const halfway = 10_000

func (f *follower) follow(ctx context.Context) error {
	for {
		ended, err := f.read(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("it did not end: %w", err)
		case ended != nil && ended.Status == metav1.StatusSuccess:
			return nil
		case ended != nil && ended.Code < 500:
			return fmt.Errorf("it was ended with %d: %s", ended.Code, ended.Message)
		}
		f.broken++
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond): // as a client backs off
		}
	}
}

// dial opens the WebSocket and asks for the log.
func (f *follower) dial(ctx context.Context) (*websocket.Conn, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(f.ca.Cert)
	d := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}, HandshakeTimeout: patient, Subprotocols: []string{streamapi.Protocol}}
	path := "/stream"
	if !f.shared {
		path = f.typed("log/" + f.container + "?follow=true&cursor=" + f.cursor)
	}
	ws, resp, err := d.DialContext(ctx, "wss://"+f.address+path, http.Header{"Authorization": {"Bearer " + f.token}})
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	if f.shared {
		m := map[string]any{"type": "subscribe", "topic": "log", "namespace": f.namespace, "host": f.host.Name, "containers": []string{f.container}}
		if f.cursor != "" {
			m["cursors"] = map[string]string{f.source: f.cursor}
		}
		err = ws.WriteJSON(m)
	}
	return ws, err
}

// read reads until the connection or the log ends; it is nil where the connection did.
func (f *follower) read(ctx context.Context) (*metav1.Status, error) {
	ws, err := f.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = ws.Close() })()
	defer func() { _ = ws.Close() }()
	for {
		kind, data, err := ws.ReadMessage()
		if err != nil {
			return nil, err
		}
		if kind == websocket.TextMessage {
			var word struct {
				Type   string
				Status *metav1.Status
			}
			if err := json.Unmarshal(data, &word); err != nil || word.Type == "ended" {
				return word.Status, err
			}
			continue
		}
		if err := f.take(data); err != nil {
			return &metav1.Status{Code: 400, Message: err.Error()}, nil
		}
	}
}

// take takes a data message apart, as docs/streams.md describes it.
func (f *follower) take(data []byte) error {
	header, body := data[9:9+binary.BigEndian.Uint32(data[5:])], data[9+binary.BigEndian.Uint32(data[5:]):]
	if data[0] == 2 {
		var intro struct {
			Source struct{ Namespace, Host, Container string }
		}
		err := json.Unmarshal(body, &intro)
		f.source = intro.Source.Namespace + "/" + intro.Source.Host + "/" + intro.Source.Container
		return err
	}
	var about struct{ Cursors map[string]string }
	if err := json.Unmarshal(header, &about); err != nil {
		return err
	}
	for len(body) > 0 {
		n := binary.BigEndian.Uint32(body[4:])
		text := string(body[20 : 20+n])
		switch body[0] {
		case 0:
			f.lines[body[1]] = append(f.lines[body[1]], text)
		case 1:
			return fmt.Errorf("a gap of %d lines after %d and %d", binary.BigEndian.Uint32(body[16:]), len(f.lines[1]), len(f.lines[2]))
		case 2:
			f.notices = append(f.notices, text)
		}
		body = body[20+n:]
	}
	f.cursor = about.Cursors["0"]
	if len(f.lines[1])+len(f.lines[2]) >= halfway {
		f.once.Do(func() { close(f.reached) })
	}
	return nil
}

// check compares what a follower got with what the engine has.
func (f *follower) check(t *testing.T, want [3][]string) {
	t.Helper()
	if f.err != nil {
		t.Errorf("the log of %s: %v", f.container, f.err)
	}
	for stream, name := range []string{1: "stdout", 2: "stderr"} {
		if stream == 0 || slices.Equal(f.lines[stream], want[stream]) {
			continue
		}
		i := 0
		for i < len(want[stream]) && i < len(f.lines[stream]) && want[stream][i] == f.lines[stream][i] {
			i++
		}
		t.Errorf("of %s's %s a client (on /stream: %t, broken %d times, told %q) got %d lines, the engine has %d; the first %d are equal, then comes %q instead of %q", f.container, name, f.shared, f.broken, f.notices,
			len(f.lines[stream]), len(want[stream]), i, f.lines[stream][i:min(i+3, len(f.lines[stream]))], want[stream][i:min(i+3, len(want[stream]))])
	}
	if f.broken == 0 && len(f.notices) == 0 {
		t.Errorf("a client of %s was not told that the engine was away", f.container)
	}
}

// TestLogsOverHTTP compares what curl would get with what the engine has, and the errors.
func TestLogsOverHTTP(t *testing.T) {
	b := newBed(t, testbed.DockerdOptions{})
	u := b.as(t, b.user(t, dcv1.HostViewer))
	id := b.engine.RunContainer(t, "web", "busybox:test", "sh", "-c", `echo one; sleep 0.3; echo two >&2; sleep 0.3; printf 'three \377\n'; printf 'no newline'`)
	b.engine.Call(t, http.MethodPost, "/containers/web/wait", nil)
	// The driver json-file has put U+FFFD in place of what is no UTF-8.
	for _, name := range []string{"web", id, id[:12]} {
		a := u.eventually(t, 200, "GET", b.typed("log/"+name+"?follow=true"), nil)
		if got := string(a.body); got != "one\ntwo\nthree \ufffd\nno newline\n" {
			t.Errorf("the log of %s is %q", name, got)
		}
	}
	for _, driver := range []string{"none", "local"} {
		b.engine.Call(t, http.MethodPost, "/containers/create?name="+driver, map[string]any{
			"Image": "busybox:test", "Cmd": []string{"sh", "-c", `printf 'bytes \377\nno newline'`}, "HostConfig": map[string]any{"LogConfig": map[string]any{"Type": driver}},
		})
		b.engine.Call(t, http.MethodPost, "/containers/"+driver+"/start", nil)
		b.engine.Call(t, http.MethodPost, "/containers/"+driver+"/wait", nil)
	}
	a := u.do(t, 200, "GET", b.typed("log/local?stdout=true&tailLines=2"), nil, "Accept", "application/json")
	var texts []string
	for line := range bytes.Lines(a.body) {
		var l struct {
			Text  string
			Bytes []byte
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		texts = append(texts, l.Text+string(l.Bytes))
	}
	if !slices.Equal(texts, []string{"bytes \xff", "no newline"}) {
		t.Errorf("as JSON it is %q", texts)
	}
	s := decode[metav1.Status](t, u.do(t, 501, "GET", b.typed("log/none"), nil).body)
	if !strings.Contains(s.Message, "logging driver") {
		t.Errorf("a driver that cannot be read: %+v", s)
	}
	for path, code := range map[string]int{"log/nobody": 404, "log/web?tailLines=-1": 400} {
		if s := decode[metav1.Status](t, u.do(t, code, "GET", b.typed(path), nil).body); s.Kind != "Status" || s.Message == "" {
			t.Errorf("%s: %+v", path, s)
		}
	}
}
