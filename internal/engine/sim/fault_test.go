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
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (c *client) fault(f Fault) {
	c.t.Helper()
	if err := c.e.SetFault(f); err != nil {
		c.t.Fatal(err)
	}
}

// within sends a call that must not take longer.
func (c *client) within(d time.Duration, path string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	resp, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

const short = 100 * time.Millisecond

func TestBlackhole(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	in := c.stream("/events")
	c.fault(Fault{Mode: Blackhole})
	if _, _, err := c.within(short, "/_ping"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a black hole answers: %v", err)
	}
	c.http.CloseIdleConnections()
	if _, _, err := c.within(short, "/_ping"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a black hole answers on a new connection: %v", err)
	}
	// What happens meanwhile comes when it ends, on the same stream.
	if _, _, err := c.e.Do("restart", "c0", "", nil); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for in.Scan() {
			lines <- in.Text()
		}
	}()
	select {
	case l := <-lines:
		t.Errorf("a black hole sends %s", l)
	case <-time.After(short):
	}
	c.fault(Fault{})
	c.must(200, "GET", "/_ping", nil)
	if l := <-lines; !strings.Contains(l, `"kill"`) {
		t.Errorf("after it comes %s", l)
	}
}

// TestBlackholeMidway freezes an answer that is on its way.
func TestBlackholeMidway(t *testing.T) {
	c := serve(t, Options{Images: 1})
	id := c.script("", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.005; done")
	in := c.stream("/containers/" + id + "/logs?stdout=1&follow=1")
	in.Scan()
	c.fault(Fault{Mode: Blackhole})
	time.Sleep(short)
	c.fault(Fault{})
	// Nothing is lost and nothing comes twice.
	for want := 2; want < 20; want++ {
		if !in.Scan() || !strings.HasSuffix(in.Text(), itoa(want)) {
			t.Fatalf("line %d is %q, %v", want, in.Text(), in.Err())
		}
	}
}

func TestRefuse(t *testing.T) {
	c := serve(t, Options{})
	in := c.stream("/events")
	c.fault(Fault{Mode: Refuse})
	for in.Scan() {
	}
	if in.Err() == nil {
		t.Error("the event stream ended as if it were whole")
	}
	if _, _, err := c.within(limit, "/_ping"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a refusing engine says %v", err)
	}
	c.fault(Fault{})
	eventually(t, "the engine to be back", func() bool {
		status, _, err := c.within(limit, "/_ping")
		return err == nil && status == http.StatusOK
	})
}

func TestRefuseTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := New(Options{})
	done := make(chan error, 1)
	go func() { done <- e.Serve(l) }()
	ask := func() error {
		h := http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := h.Get("http://" + l.Addr().String() + "/_ping")
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if err := e.SetFault(Fault{Mode: Refuse}); err != nil {
		t.Fatal(err)
	}
	if err := ask(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a refusing engine says %v", err)
	}
	if err := e.SetFault(Fault{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the engine to be back", func() bool { return ask() == nil })
	e.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServeTLS(t *testing.T) {
	helper := httptest.NewTLSServer(nil)
	defer helper.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := New(Options{})
	done := make(chan error, 1)
	go func() { done <- e.ServeTLS(l, &tls.Config{Certificates: helper.TLS.Certificates}) }()
	h := helper.Client()
	resp, err := h.Get("https://" + l.Addr().String() + "/_ping")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	h.CloseIdleConnections()
	e.Close()
	if err := <-done; err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v", resp.StatusCode, err)
	}
}

func TestWrongAnswers(t *testing.T) {
	c := serve(t, Options{Containers: 3})
	for name, test := range map[string]struct {
		fault Fault
		check func(status int, body []byte, err error) bool
	}{
		"junk": {Fault{Mode: Junk}, func(s int, b []byte, err error) bool {
			return s == 200 && len(b) == defaultBytes && !json.Valid(b) && err == nil
		}},
		"little junk": {Fault{Mode: Junk, Bytes: 5}, func(_ int, b []byte, err error) bool { return len(b) == 5 && err == nil }},
		"long":        {Fault{Mode: Long, Bytes: 100}, func(_ int, b []byte, err error) bool { return len(b) == 108 && !json.Valid(b) && err == nil }},
		"html":        {Fault{Mode: HTML}, func(s int, b []byte, _ error) bool { return s == 200 && strings.HasPrefix(string(b), "<!DOCTYPE") }},
		"redirect":    {Fault{Mode: Redirect, Location: "http://elsewhere/"}, func(s int, _ []byte, _ error) bool { return s == 307 }},
		"error":       {Fault{Mode: Fail}, func(s int, b []byte, _ error) bool { return s == 500 && json.Valid(b) }},
		"truncate": {Fault{Mode: Truncate}, func(s int, b []byte, err error) bool {
			return s == 200 && len(b) > 0 && !json.Valid(b) && errors.Is(err, io.ErrUnexpectedEOF)
		}},
		"stall": {Fault{Mode: Stall}, func(s int, b []byte, err error) bool {
			return s == 200 && len(b) > 0 && !json.Valid(b) && errors.Is(err, context.DeadlineExceeded)
		}},
		"latency":      {Fault{Latency: Duration(time.Minute)}, func(_ int, _ []byte, err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		"another path": {Fault{Mode: HTML, Paths: []string{"/images"}}, func(s int, b []byte, _ error) bool { return s == 200 && json.Valid(b) }},
		"this path":    {Fault{Mode: Fail, Paths: []string{"/containers/json"}}, func(s int, _ []byte, _ error) bool { return s == 500 }},
		"too old":      {Fault{APIVersion: "1.24"}, func(s int, b []byte, _ error) bool { return s == 400 && strings.Contains(string(b), "too new") }},
		"too new":      {Fault{APIVersion: "1.60", MinAPIVersion: "1.58"}, func(s int, b []byte, _ error) bool { return s == 400 && strings.Contains(string(b), "too old") }},
	} {
		c.fault(test.fault)
		wait := limit
		switch name {
		case "stall":
			wait = 2 * time.Second // its beginning comes first
		case "latency":
			wait = short
		}
		status, body, err := c.within(wait, "/v1.41/containers/json")
		if !test.check(status, body, err) {
			t.Errorf("%s: status %d, %d bytes %.60q, %v", name, status, len(body), body, err)
		}
	}
	c.fault(Fault{})
	c.must(200, "GET", "/v1.41/containers/json", nil)
}

func TestBadFaults(t *testing.T) {
	c := serve(t, Options{})
	for _, f := range []Fault{{Mode: "x"}, {Mode: Redirect}, {Bytes: -1}, {Bytes: maxBytes + 1}, {Flood: maxFlood + 1}, {Latency: -1}} {
		if c.e.SetFault(f) == nil {
			t.Errorf("%+v is no error", f)
		}
	}
	var f Fault
	if err := json.Unmarshal([]byte(`{"mode":"stall","latency":"1.5s","skew":"-1h"}`), &f); err != nil || f.Latency != Duration(1500*time.Millisecond) || f.Skew != Duration(-time.Hour) {
		t.Errorf("a fault from JSON is %+v, %v", f, err)
	}
}

func TestSkew(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.fault(Fault{Skew: Duration(time.Hour)})
	var info struct{ SystemTime time.Time }
	c.read("/info", &info)
	if ahead := time.Until(info.SystemTime); ahead < 59*time.Minute || ahead > 61*time.Minute {
		t.Errorf("the engine's clock is %v ahead", ahead)
	}
}

func TestFlood(t *testing.T) {
	c := serve(t, Options{})
	in := c.stream("/events")
	c.fault(Fault{Flood: 5000})
	for n := 0; n < 500; n++ {
		if !in.Scan() {
			t.Fatalf("the flood ended after %d events: %v", n, in.Err())
		}
	}
	c.fault(Fault{})
}

func TestRestartForgets(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	id := c.e.ID()
	in := c.stream("/events")
	if err := c.e.Restart(t.Context(), 10*time.Millisecond, ""); err != nil {
		t.Fatal(err)
	}
	for in.Scan() {
	}
	eventually(t, "the engine to be back", func() bool {
		_, _, err := c.within(limit, "/_ping")
		return err == nil
	})
	if c.e.ID() != id || c.state("c0") != "running" {
		t.Error("a restart changed the engine's ID or its container")
	}
	if err := c.e.Restart(t.Context(), 0, "another"); err != nil {
		t.Fatal(err)
	}
	if c.e.ID() == id {
		t.Error("a restart with a seed kept the engine's ID")
	}
}

func TestCut(t *testing.T) {
	c := serve(t, Options{})
	in := c.stream("/events")
	c.e.Cut()
	for in.Scan() {
	}
	if in.Err() == nil {
		t.Error("a cut stream ended as if it were whole")
	}
	c.must(200, "GET", "/_ping", nil)
}
