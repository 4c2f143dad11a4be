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

package hostapi

import (
	"context"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// script is an Inventory of one host, connected, whose watch says what a test wants.
type script struct {
	Inventory
	events  chan hostcache.WatchEvent
	watches atomic.Int32
}

func (s *script) State(host hostcache.Key) (hostcache.State, bool) {
	return hostcache.State{Key: host, Phase: hostcache.PhaseConnected, Version: engine.Version{Version: "28"}}, true
}

func (s *script) List(host hostcache.Key, _ engine.Kind) (hostcache.Listing, error) {
	return hostcache.Listing{ObservedAt: time.Now(), ServedBy: host}, nil
}

func (s *script) Notify(func(hostcache.Change)) func() { return func() {} }

func (s *script) Watch(ctx context.Context, _ hostcache.Key, _ ...engine.Kind) (iter.Seq[hostcache.WatchEvent], error) {
	s.watches.Add(1)
	return func(yield func(hostcache.WatchEvent) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case e, more := <-s.events:
				if !more || !yield(e) {
					return
				}
			}
		}
	}, nil
}

func scripted(t *testing.T) (*bed, *script) {
	t.Helper()
	s := &script{events: make(chan hostcache.WatchEvent)}
	b := newBed(t, func(o *Options) { o.Inventory = s })
	b.declare(web, nil)
	b.grants.grant("admin", web, all...)
	return b, s
}

func (s *script) say(typ hostcache.WatchType, objects ...engine.Object) {
	if len(objects) == 0 {
		s.events <- hostcache.WatchEvent{Type: typ, Kind: engine.Containers}
	}
	for _, o := range objects {
		s.events <- hostcache.WatchEvent{Type: typ, Kind: engine.Containers, Object: o}
	}
}

func TestResyncIsADiff(t *testing.T) {
	b, s := scripted(t)
	w := b.watch("admin", "/containers?watch=true")
	s.say(hostcache.Added, container("a", "same"), container("b", "before"), container("c", "gone"))
	s.say(hostcache.Synced)
	w.want("ADDED shop/web a", "ADDED shop/web b", "ADDED shop/web c", "BOOKMARK initial")
	s.say(hostcache.Resync)
	s.say(hostcache.Added, container("a", "same"), container("b", "after"), container("d", "new"))
	s.say(hostcache.Synced)
	w.want("MODIFIED shop/web b", "ADDED shop/web d")
	if e := w.want("DELETED shop/web c"); e.Object.Metadata.Name != "gone" {
		t.Errorf("deleted: %+v", e.Object.Metadata)
	}
	s.say(hostcache.Deleted, container("zzz", "never seen"))
	s.say(hostcache.Modified, container("a", "same"))
	s.say(hostcache.Modified, container("a", "changed"))
	w.want("MODIFIED shop/web a")
	// A watch that ends in hostcache is begun anew, and takes nothing back.
	close(s.events)
	b.until("begun anew", func() bool { return s.watches.Load() >= 2 })
	w.cancel()
	w.wantEnd()
}

func TestLinesOfWatchesHaveNoBreaks(t *testing.T) {
	b, s := scripted(t)
	w := b.watch("admin", ofWeb+"containers?watch=true")
	o, err := engine.ParseObject(engine.Containers, []byte("{\n  \"Id\": \"a\",\r\n  \"Number\": 12345678901234567890.50\n}"))
	if err != nil {
		t.Fatal(err)
	}
	s.say(hostcache.Added, o)
	if e := w.want("ADDED shop/web a"); string(e.Object.Docker) != `{"Id":"a","Number":12345678901234567890.50}` {
		t.Errorf("got %s", e.Object.Docker)
	}
}

// TestSlowWatcherIsEnded has a client that reads nothing: the handler must come back.
func TestSlowWatcherIsEnded(t *testing.T) {
	if writeTimeout > patience/2 {
		t.Fatal("the test does not wait long enough")
	}
	b, s := scripted(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("GET " + route.Prefix + "/containers?watch=true HTTP/1.1\r\nHost: x\r\nX-User: admin\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	guards := func() int {
		b.grants.mu.Lock()
		defer b.grants.mu.Unlock()
		return len(b.grants.guards)
	}
	b.until("begun", func() bool { return guards() == 1 })
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		text := strings.Repeat("x", 1<<20)
		for i := 0; ; i++ {
			o := container("a", text+string(rune('a'+i%2)))
			select {
			case <-stop:
				return
			case s.events <- hostcache.WatchEvent{Type: hostcache.Modified, Kind: engine.Containers, Object: o}:
			}
		}
	}()
	b.until("ended", func() bool { return guards() == 0 })
}

func TestOutageTakesNothingAtOnce(t *testing.T) {
	b, s := scripted(t)
	w := b.watch("admin", "/containers?watch=true")
	s.say(hostcache.Added, container("a", "one"))
	s.say(hostcache.Synced)
	w.want("ADDED shop/web a", "BOOKMARK initial")
	b.grants.outage(true)
	asked := b.grants.asked()
	b.until("asked in vain", func() bool { return b.grants.asked() > asked })
	s.say(hostcache.Added, container("b", "two"))
	w.want("ADDED shop/web b")
	b.grants.outage(false)
	b.grants.revoke("admin", web, "containers")
	w.wantAnyOrder("DELETED shop/web a", "DELETED shop/web b")
}

func TestGuardEndsMergedWatch(t *testing.T) {
	b, s := scripted(t)
	for cause, want := range map[error]string{authz.ErrRevoked: "ERROR 403", authz.ErrExpired: "ERROR 401", authz.ErrUnverified: "ERROR 503"} {
		w := b.watch("admin", "/containers?watch=true")
		s.say(hostcache.Synced)
		w.want("BOOKMARK initial")
		b.grants.mu.Lock()
		for guard := range b.grants.guards {
			guard.cancel(cause)
		}
		b.grants.mu.Unlock()
		w.want(want)
		w.wantEnd()
		b.until("the guard is gone", func() bool {
			b.grants.mu.Lock()
			defer b.grants.mu.Unlock()
			return len(b.grants.guards) == 0
		})
	}
}

var _ http.Handler = &Handler{}

// noted is an answer that notes its last deadline.
type noted struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (w *noted) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

// TestQuietWatch: no deadline waits for the next line, which would be the watch's end over
// HTTP/2.
func TestQuietWatch(t *testing.T) {
	w := &noted{ResponseRecorder: httptest.NewRecorder()}
	out := newLines(w)
	out.begin()
	if !w.deadline.IsZero() {
		t.Errorf("after the head the deadline is in %s", time.Until(w.deadline))
	}
	out.bookmark(kindInfo{}, nil, true)
	if err := out.flush(); err != nil || w.Body.Len() == 0 || !w.deadline.IsZero() {
		t.Errorf("after %q, %v the deadline is in %s", w.Body, err, time.Until(w.deadline))
	}
}

// TestDeadlines has a server whose deadlines are those of requests that do not stream.
func TestDeadlines(t *testing.T) {
	const deadline = 1500 * time.Millisecond // which a handshake has, too
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := scripted(t)
			server := httptest.NewUnstartedServer(asCaller(b.handler))
			server.EnableHTTP2 = http2
			server.Config.ReadTimeout, server.Config.WriteTimeout = deadline, deadline
			server.StartTLS()
			b.server.Close()
			b.server = server
			t.Cleanup(server.Close)
			w := b.watch("admin", ofWeb+"containers?watch=true&timeoutSeconds=5")
			s.say(hostcache.Added, container("a", "one"))
			s.say(hostcache.Synced)
			w.want("ADDED shop/web a", "BOOKMARK initial")
			began := time.Now()
			w.wantEnd()
			if took := time.Since(began); took < deadline {
				t.Errorf("the watch ended after %s, with the server's deadlines", took)
			}
		})
	}
}
