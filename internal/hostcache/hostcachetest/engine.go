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

package hostcachetest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Calls that can be made to fail, hang or take time. A list is "list images" and
// so on; All is every call.
const (
	All     = "*"
	Ping    = "ping"
	Version = "version"
	Info    = "info"
	Events  = "events"
)

// List names the list of a kind.
func List(kind engine.Kind) string { return "list " + string(kind) }

// Engine is a fake engine. Its methods may be called at any time.
type Engine struct {
	name string

	mu      sync.Mutex
	version engine.Version
	info    engine.Info
	objects map[engine.Kind]map[string]engine.Object
	past    []engine.Event
	faults  map[string]*fault
	calls   map[string]int
	asked   [][]string
	conns   map[*conn]struct{}
	opens   int
	lastCfg engine.Config
	last    time.Time
}

// fault is what happens to a call.
type fault struct {
	err   error
	hang  chan struct{} // closed by Heal
	delay time.Duration
	// hook is called before the call is answered.
	hook func()
}

func newEngine(name string) *Engine {
	e := &Engine{
		name:    name,
		objects: map[engine.Kind]map[string]engine.Object{},
		faults:  map[string]*fault{},
		calls:   map[string]int{},
		conns:   map[*conn]struct{}{},
	}
	e.version = engine.Version{Version: "28.0.0", APIVersion: "1.48", MinAPIVersion: "1.24", Os: "linux", Arch: "amd64"}
	e.info = engine.Info{ID: "id of " + name, Name: "fake", ServerVersion: "28.0.0", OSType: "linux"}
	for _, kind := range slices.Concat(engine.LocalKinds, engine.SwarmKinds) {
		e.objects[kind] = map[string]engine.Object{}
	}
	return e
}

// SetInfo changes what the engine says of itself.
func (e *Engine) SetInfo(change func(*engine.Info)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.info)
}

// SetVersion changes the engine's version.
func (e *Engine) SetVersion(change func(*engine.Version)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.version)
}

// Put adds or replaces an object; no event tells of it.
func (e *Engine) Put(o engine.Object) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.objects[o.Kind][o.ID] = o
}

// Remove removes an object; no event tells of it.
func (e *Engine) Remove(kind engine.Kind, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.objects[kind], id)
}

// Emit sends an event to every open stream and keeps it for later ones. It
// stamps the event unless it has a time. attributes are key, value, ...
func (e *Engine) Emit(typ, action, id string, attributes ...string) engine.Event {
	e.mu.Lock()
	now := time.Now()
	if !now.After(e.last) {
		now = e.last.Add(1)
	}
	e.last = now
	e.mu.Unlock()
	ev := Event(now, typ, action, id, attributes...)
	e.Send(ev)
	return ev
}

// Send sends an event as it is.
func (e *Engine) Send(ev engine.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.past = append(e.past, ev)
	for c := range e.conns {
		for s := range c.streams {
			s.put(ev)
		}
	}
}

// Forget drops the events kept for later streams, as a restart does.
func (e *Engine) Forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.past = nil
}

// Fail makes a call fail until Heal.
func (e *Engine) Fail(call string, err error) { e.setFault(call, &fault{err: err}) }

// Hang makes a call wait for its context, or for Heal.
func (e *Engine) Hang(call string) { e.setFault(call, &fault{hang: make(chan struct{})}) }

// Delay makes a call take d.
func (e *Engine) Delay(call string, d time.Duration) { e.setFault(call, &fault{delay: d}) }

// Hook has fn called when a call comes in, before it is answered.
func (e *Engine) Hook(call string, fn func()) { e.setFault(call, &fault{hook: fn}) }

func (e *Engine) setFault(call string, f *fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.faults[call]; old != nil && old.hang != nil {
		close(old.hang)
	}
	e.faults[call] = f
}

// Heal undoes Fail, Hang, Delay and Hook of a call.
func (e *Engine) Heal(call string) {
	e.setFault(call, &fault{})
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.faults, call)
}

// Stop refuses every call and ends every stream, as a killed engine does.
func (e *Engine) Stop() {
	e.Fail(All, Refused())
	e.EndStreams(io.EOF)
}

// EndStreams ends every event stream with err.
func (e *Engine) EndStreams(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		for s := range c.streams {
			s.end(err)
			delete(c.streams, s)
		}
	}
}

// Calls returns how often a call was made.
func (e *Engine) Calls(call string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[call]
}

// AskedIDs returns the ids of each list of containers so far; none for a whole one.
func (e *Engine) AskedIDs() [][]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

// Opens returns how many connections were ever made, Open how many are open.
func (e *Engine) Opens() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.opens
}

// Open returns how many connections are open now.
func (e *Engine) Open() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.conns)
}

// Streams returns how many event streams are open now.
func (e *Engine) Streams() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for c := range e.conns {
		n += len(c.streams)
	}
	return n
}

// Config returns what the last connection was made with.
func (e *Engine) Config() engine.Config {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lastCfg
}

func (e *Engine) open(cfg engine.Config) *conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opens++
	e.lastCfg = cfg
	c := &conn{e: e, streams: map[*stream]struct{}{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	e.conns[c] = struct{}{}
	return c
}

// call counts a call and does to it what the test wants.
func (e *Engine) call(ctx context.Context, name string) error {
	e.mu.Lock()
	e.calls[name]++
	f := e.faults[name]
	if f == nil {
		f = e.faults[All]
	}
	e.mu.Unlock()
	if f == nil {
		return ctx.Err()
	}
	if f.hook != nil {
		f.hook()
	}
	var wait <-chan time.Time
	if f.delay > 0 {
		timer := time.NewTimer(f.delay)
		defer timer.Stop()
		wait = timer.C
	}
	if f.hang != nil || f.delay > 0 {
		select {
		case <-f.hang:
		case <-wait:
		case <-ctx.Done():
			return canceled(ctx, name)
		}
	}
	return f.err
}

func canceled(ctx context.Context, name string) error {
	if ctx.Err() == context.DeadlineExceeded {
		return engine.Errorf(engine.ClassTimeout, engine.CauseTimeout, "no answer to %s in time", strings.SplitN(name, " ", 2)[0])
	}
	return &engine.Error{Class: engine.ClassCanceled, Message: fmt.Sprintf("%s was canceled", name), Err: ctx.Err()}
}

func (e *Engine) list(kind engine.Kind, ids []string) []engine.Object {
	e.mu.Lock()
	defer e.mu.Unlock()
	if kind == engine.Containers {
		e.asked = append(e.asked, slices.Clone(ids))
	}
	objects := slices.Collect(maps.Values(e.objects[kind]))
	if len(ids) == 0 {
		return objects
	}
	return slices.DeleteFunc(objects, func(o engine.Object) bool { return !slices.Contains(ids, o.ID) })
}
