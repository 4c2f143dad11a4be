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
	"context"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// bells tell when an inventory has changed. There is one watch of an inventory, and one
// goroutine, for all who listen to it: a connection may have 200 subscriptions over 1,000
// hosts each.
type bells struct {
	hosts  Hosts
	ctx    context.Context
	cancel context.CancelFunc
	ringer sync.WaitGroup

	mu   sync.Mutex
	open map[bellKey]*bell
}

// bellKey names an inventory: a host's containers, or its swarm.
type bellKey struct {
	host  hostcache.Key
	swarm bool
}

// kinds are what matters of an inventory.
func (k bellKey) kinds() []engine.Kind {
	if k.swarm {
		return []engine.Kind{engine.Services, engine.Tasks, engine.Nodes}
	}
	return []engine.Kind{engine.Containers}
}

// bell is one inventory's. The lock of the bells guards it.
type bell struct {
	cancel    context.CancelFunc
	listeners map[*func()]struct{}
}

func newBells(hosts Hosts) *bells {
	b := &bells{hosts: hosts, open: map[bellKey]*bell{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

func (b *bells) close() {
	b.cancel()
	b.ringer.Wait()
}

// listen calls fn from now on when an inventory may be another, until stop is called. fn
// must not block, and may be called once more while stop returns.
func (b *bells) listen(key bellKey, fn func()) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.open[key]
	if one == nil {
		one = &bell{listeners: map[*func()]struct{}{}}
		var ctx context.Context
		ctx, one.cancel = context.WithCancel(b.ctx)
		b.open[key] = one
		b.ringer.Go(func() { b.ring(ctx, key, one) })
	}
	one.listeners[&fn] = struct{}{}
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if delete(one.listeners, &fn); len(one.listeners) == 0 {
			one.cancel()
			delete(b.open, key)
		}
	})
}

// ring watches the inventory, also where its host, or its place in a swarm, goes and comes
// back.
func (b *bells) ring(ctx context.Context, key bellKey, one *bell) {
	defer one.cancel()
	for {
		if events, err := b.hosts.Watch(ctx, key.host, key.kinds()...); err == nil {
			for e := range events {
				if e.Type != hostcache.Resync { // what is there now follows
					b.tell(one)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(reviewInterval):
		}
		b.tell(one)
	}
}

func (b *bells) tell(one *bell) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for fn := range one.listeners {
		(*fn)()
	}
}
