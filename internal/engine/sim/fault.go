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
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Mode is a way in which an engine answers wrongly.
type Mode string

// The modes.
const (
	// Healthy answers as it should. It is the zero value.
	Healthy Mode = ""
	// Blackhole accepts connections and says nothing, on those already open too:
	// answers stop in the middle. What was asked meanwhile is answered when it ends.
	Blackhole Mode = "blackhole"
	// Refuse closes the listeners and every connection, as a stopped engine does.
	Refuse Mode = "refuse"
	// Stall sends the headers and half of the body of each answer, then nothing.
	Stall Mode = "stall"
	// Truncate ends each answer in the middle of its body, by a cut connection.
	Truncate Mode = "truncate"
	// Junk answers 200 with bytes that are no JSON; HTML with a web page; Long
	// with JSON that does not end.
	Junk Mode = "junk"
	HTML Mode = "html"
	Long Mode = "long"
	// Redirect answers 307 to Location.
	Redirect Mode = "redirect"
	// Fail answers 500 with the engine's error JSON.
	Fail Mode = "error"
)

var modes = map[Mode]bool{
	Healthy: true, Blackhole: true, Refuse: true, Stall: true, Truncate: true, Junk: true, HTML: true, Long: true, Redirect: true, Fail: true,
}

// Fault is what is wrong with an engine. The zero value is nothing.
type Fault struct {
	Mode Mode `json:"mode"`
	// Paths limits Mode and Latency to requests whose path, without the version,
	// begins with one of them. It does not limit Blackhole and Refuse, which are
	// of connections.
	Paths []string `json:"paths,omitempty"`
	// Latency comes before each answer.
	Latency Duration `json:"latency,omitzero"`
	// Bytes is how much Junk and Long send. Default 10 MB.
	Bytes int64 `json:"bytes,omitempty"`
	// Location is where Redirect points.
	Location string `json:"location,omitempty"`
	// Skew is how much the engine's clock is ahead.
	Skew Duration `json:"skew,omitzero"`
	// APIVersion and MinAPIVersion replace the engine's own.
	APIVersion    string `json:"apiVersion,omitempty"`
	MinAPIVersion string `json:"minAPIVersion,omitempty"`
	// Flood is how many events a second come of nothing.
	Flood int `json:"flood,omitempty"`
}

// Duration is a time.Duration that JSON spells as "1.5s".
type Duration time.Duration

// MarshalText spells the duration as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

const (
	defaultBytes = 10 << 20
	maxBytes     = 1 << 30
	maxFlood     = 100_000
	maxLatency   = time.Hour
)

// check says what is wrong with a fault.
func (f *Fault) check() error {
	switch {
	case !modes[f.Mode]:
		return fmt.Errorf("fault mode %q is none of blackhole, refuse, stall, truncate, junk, html, long, redirect and error", f.Mode)
	case f.Bytes < 0 || f.Bytes > maxBytes:
		return fmt.Errorf("fault bytes must be from 0 to %d", maxBytes)
	case f.Flood < 0 || f.Flood > maxFlood:
		return fmt.Errorf("fault flood must be from 0 to %d events a second", maxFlood)
	case f.Latency < 0 || time.Duration(f.Latency) > maxLatency:
		return fmt.Errorf("fault latency must be from 0 to %v", maxLatency)
	case f.Mode == Redirect && f.Location == "":
		return fmt.Errorf("fault mode redirect needs a location")
	}
	return nil
}

// faults is an engine's present fault, and who waits for its end.
type faults struct {
	set     sync.Mutex // one change at a time
	mu      sync.Mutex
	now     Fault
	changed chan struct{} // closed at the next change, where somebody waits
	flood   func()        // ends the flood
}

func (f *faults) get() Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// next returns the present fault and what tells of the next one.
func (f *faults) next() (Fault, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.now, f.changed
}

// SetFault replaces what is wrong with the engine, at once and on open
// connections too. The error says what is wrong with the fault.
func (e *Engine) SetFault(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	e.faults.set.Lock()
	defer e.faults.set.Unlock()
	e.clock.setSkew(time.Duration(f.Skew))
	e.faults.mu.Lock()
	if e.faults.flood != nil {
		e.faults.flood()
		e.faults.flood = nil
	}
	if f.Flood > 0 {
		e.faults.flood = e.startFlood(f.Flood)
	}
	e.faults.now = f
	if e.faults.changed != nil {
		close(e.faults.changed)
		e.faults.changed = nil
	}
	e.faults.mu.Unlock()
	e.net.setDown(f.Mode == Refuse)
	if e.opts.Swarm != nil {
		e.opts.Swarm.setAway(e, f.Mode == Refuse, false)
	}
	return nil
}

// Fault is what is wrong with the engine now.
func (e *Engine) Fault() Fault { return e.faults.get() }

// apiVersions are the oldest and newest API versions the engine speaks.
func (e *Engine) apiVersions() (oldest, newest string) {
	f := e.faults.get()
	oldest, newest = e.opts.MinAPIVersion, e.opts.APIVersion
	if f.MinAPIVersion != "" {
		oldest = f.MinAPIVersion
	}
	if f.APIVersion != "" {
		newest = f.APIVersion
	}
	return oldest, newest
}

// waitOut waits while the engine is a black hole; false means that the engine or
// done ended first.
func (e *Engine) waitOut(done <-chan struct{}) bool {
	if e.faults.get().Mode != Blackhole {
		return true
	}
	for {
		f, changed := e.faults.next()
		if f.Mode != Blackhole {
			return true
		}
		select {
		case <-changed:
		case <-done:
			return false
		case <-e.ctx.Done():
			return false
		}
	}
}

// faulty answers a request by the present fault. It returns the writer for the
// true answer, or nil when there is nothing more to say.
func (e *Engine) faulty(w http.ResponseWriter, req *http.Request, path string) http.ResponseWriter {
	if !e.waitOut(req.Context().Done()) {
		return nil
	}
	f := e.faults.get()
	if !f.applies(path) {
		return w
	}
	if f.Latency > 0 {
		timer := time.NewTimer(time.Duration(f.Latency))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-req.Context().Done():
			return nil
		case <-e.ctx.Done():
			return nil
		}
	}
	switch f.Mode {
	case Junk, Long:
		f.junk(w)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>It works!</title></head><body><h1>It works!</h1></body></html>\n")
	case Redirect:
		http.Redirect(w, req, f.Location, http.StatusTemporaryRedirect)
	case Fail:
		writeError(w, "", errorf(http.StatusInternalServerError, "simulated failure"))
	case Stall, Truncate:
		e.cut(w, req, f.Mode)
	case Refuse:
		panic(http.ErrAbortHandler)
	default:
		return w
	}
	return nil
}

func (f *Fault) applies(path string) bool {
	if len(f.Paths) == 0 {
		return true
	}
	for _, p := range f.Paths {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

// junk sends bytes that are no JSON, or the beginning of JSON that never ends.
func (f *Fault) junk(w http.ResponseWriter) {
	left := f.Bytes
	if left == 0 {
		left = defaultBytes
	}
	w.Header().Set("Content-Type", "application/json")
	chunk := bytes.Repeat([]byte("\x00\xffjunk{[\""), 4096)
	if f.Mode == Long {
		_, _ = io.WriteString(w, `[{"Id":"`)
		chunk = bytes.Repeat([]byte("a"), 32<<10)
	}
	for left > 0 {
		n, err := w.Write(chunk[:min(int64(len(chunk)), left)])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}

// cut makes the true answer, and sends its headers and half of its body; then
// nothing more, or the end of the connection.
func (e *Engine) cut(w http.ResponseWriter, req *http.Request, mode Mode) {
	half := &halfWriter{header: http.Header{}, status: http.StatusOK}
	e.answer(half, req)
	for k, v := range half.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", fmt.Sprint(half.body.Len()))
	w.WriteHeader(half.status)
	_, _ = w.Write(half.body.Bytes()[:half.body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	if mode == Stall {
		select {
		case <-req.Context().Done():
		case <-e.ctx.Done():
		}
	}
	panic(http.ErrAbortHandler)
}

// halfWriter collects an answer. A stream's ends with its first bytes.
type halfWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *halfWriter) Header() http.Header  { return h.header }
func (h *halfWriter) WriteHeader(code int) { h.status = code }

func (h *halfWriter) Write(p []byte) (int, error) { return h.body.Write(p) }

// FlushError ends the answer of a stream once there is something of it.
func (h *halfWriter) FlushError() error {
	if h.body.Len() > 0 {
		return io.ErrClosedPipe
	}
	return nil
}
