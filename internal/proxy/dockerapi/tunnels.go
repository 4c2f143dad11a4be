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

package dockerapi

import (
	"context"
	"errors"
	"sync"
)

// errDraining is why tunnels end at shutdown.
var errDraining = errors.New("the proxy is shutting down")

// Tunnels are the connections that were taken over, which net/http no longer knows of.
type Tunnels struct {
	mu       sync.Mutex
	open     map[*tunnelEntry]struct{}
	draining bool
	empty    chan struct{} // closed when draining and none is open
}

type tunnelEntry struct{ cancel context.CancelCauseFunc }

// NewTunnels returns an empty registry.
func NewTunnels() *Tunnels {
	return &Tunnels{open: map[*tunnelEntry]struct{}{}, empty: make(chan struct{})}
}

// enter registers a tunnel, or what may become one. Its context ends when the drain has
// waited long enough, which is at once where it waits for none any more.
func (t *Tunnels) enter(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	e := &tunnelEntry{cancel: cancel}
	t.mu.Lock()
	if t.draining && len(t.open) == 0 {
		cancel(errDraining)
	} else {
		t.open[e] = struct{}{}
	}
	t.mu.Unlock()
	return ctx, func() {
		cancel(nil)
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open, e)
		t.check()
	}
}

// check tells the drain when the last one has left. t.mu is held.
func (t *Tunnels) check() {
	if t.draining && len(t.open) == 0 {
		select {
		case <-t.empty:
		default:
			close(t.empty)
		}
	}
}

// Len is how many tunnels are open.
func (t *Tunnels) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// Drain waits until every tunnel has ended, and ends those that are left when ctx does. It
// returns how many it had to end, when they have.
func (t *Tunnels) Drain(ctx context.Context) (cut int) {
	t.mu.Lock()
	t.draining = true
	t.check()
	t.mu.Unlock()
	select {
	case <-t.empty:
		return 0
	case <-ctx.Done():
	}
	t.mu.Lock()
	cut = len(t.open)
	for e := range t.open {
		e.cancel(errDraining)
	}
	t.mu.Unlock()
	<-t.empty // a tunnel whose context has ended is reset, and ends
	return cut
}
