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
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// lookSpacing is how long changes of inventories wait for more of their kind.
const lookSpacing = 100 * time.Millisecond

// picker finds out of inventories which logs belong to a set. Its methods are called one
// after the other.
type picker interface {
	// watched are the kinds that matter of a host's inventory; none where it does not.
	watched(host hostcache.Key) []engine.Kind
	// look replaces what is of the hosts that are dirty.
	look(hosts []allowedHost, dirty map[hostcache.Key]bool)
}

// inventories keeps a list of sources up to date while hosts, rights and what runs there
// change. Its goroutines are one that looks, one for each inventory that is watched, and its
// hosts'.
type inventories struct {
	*sourceList
	picker
	c       *call
	hosts   *hostSet
	ctx     context.Context
	cancel  context.CancelFunc
	guarded context.Context // of sources that do not change
	unguard func()
	running sync.WaitGroup

	mu    sync.Mutex
	dirty map[hostcache.Key]bool
	ended map[hostcache.Key]bool // whose watch came to its end
	nudge chan struct{}          // has room for one
}

// openInventories looks once, and where the logs are followed, again and again.
func openInventories(ctx context.Context, c *call, hosts *hostSet, list *sourceList, p picker, follow bool) (*inventories, error) {
	v := &inventories{
		sourceList: list, picker: p, c: c, hosts: hosts,
		dirty: map[hostcache.Key]bool{}, ended: map[hostcache.Key]bool{}, nudge: make(chan struct{}, 1),
	}
	v.ctx, v.cancel = context.WithCancel(ctx)
	now, current, err := hosts.get()
	if err != nil {
		v.close()
		return nil, err
	}
	for _, host := range now {
		v.dirty[host.key] = true
	}
	v.look(now, v.take())
	if follow {
		v.running.Go(func() { v.follow(now, current) })
		return v, nil
	}
	v.fix()
	v.guard()
	return v, nil
}

// guard watches the rights on what is read to its end: with one of them all ends.
func (v *inventories) guard() {
	var rights []authz.Right
	on := map[hostcache.Key]bool{}
	sources, _ := v.Current()
	for _, s := range sources {
		if !on[s.Host] {
			on[s.Host] = true
			rights = append(rights, authz.Right{Host: s.Host, Right: logRight})
		}
	}
	v.guarded, v.unguard = v.c.guard(v.ctx, rights...)
}

func (v *inventories) close() {
	v.cancel()
	v.running.Wait()
	v.hosts.close()
	if v.unguard != nil {
		v.unguard()
	}
}

// failed is why nothing may be read any more.
func (v *inventories) failed() error {
	if v.guarded != nil && v.guarded.Err() != nil {
		return context.Cause(v.guarded)
	}
	_, _, err := v.hosts.get()
	return err
}

// mark says that a host's inventory is another.
func (v *inventories) mark(host hostcache.Key) {
	v.mu.Lock()
	v.dirty[host] = true
	v.mu.Unlock()
	select {
	case v.nudge <- struct{}{}:
	default:
	}
}

// take returns the hosts that are dirty, and none of them is any more.
func (v *inventories) take() map[hostcache.Key]bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	dirty := v.dirty
	v.dirty = map[hostcache.Key]bool{}
	return dirty
}

// follow looks at what changes until the set is closed.
func (v *inventories) follow(hosts []allowedHost, current context.Context) {
	watches := map[hostcache.Key]context.CancelFunc{}
	defer v.c.h.options.Hosts.Notify(func(ch hostcache.Change) {
		if ch.Condition { // it may be known only now which node a host is
			v.mark(ch.Key)
		}
	})()
	ticker := time.NewTicker(reviewInterval) // for watches that could not begin
	defer ticker.Stop()
	for {
		v.watch(hosts, watches)
		select {
		case <-v.ctx.Done():
			return
		case <-v.nudge:
		case <-current.Done():
		case <-ticker.C:
			v.again(watches)
		}
		if current.Err() != nil && v.ctx.Err() == nil {
			before := hosts
			hosts, current, _ = v.hosts.get()
			v.rehost(before, hosts)
		}
		if dirty := v.take(); len(dirty) > 0 {
			v.look(hosts, dirty)
		}
		select { // changes in quick succession are looked at once
		case <-v.ctx.Done():
			return
		case <-time.After(lookSpacing):
		}
	}
}

// rehost takes hosts away that are no longer in the set, and makes those dirty that are new,
// or whose labels are seen otherwise now.
func (v *inventories) rehost(before, now []allowedHost) {
	was := make(map[allowedHost]bool, len(before))
	keys := make(map[hostcache.Key]bool, len(now))
	for _, host := range before {
		was[host] = true
	}
	for _, host := range now {
		if keys[host.key] = true; !was[host] {
			v.admit(host.key)
			v.mark(host.key)
		}
	}
	for _, host := range before {
		if !keys[host.key] {
			_, declared := v.c.h.options.Hosts.State(host.key)
			v.drop(host.key, declared)
			v.mark(host.key)
		}
	}
	if _, _, err := v.hosts.get(); err != nil { // the viewer asks why
		v.sourceList.mu.Lock()
		v.bump()
		v.sourceList.mu.Unlock()
	}
}

// watch begins to watch what is new, and ends what is gone.
func (v *inventories) watch(hosts []allowedHost, watches map[hostcache.Key]context.CancelFunc) {
	here := make(map[hostcache.Key]bool, len(hosts))
	for _, host := range hosts {
		kinds := v.watched(host.key)
		if here[host.key] = len(kinds) > 0; len(kinds) == 0 || watches[host.key] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(v.ctx)
		watches[host.key] = cancel
		v.running.Go(func() {
			defer cancel()
			v.watchOne(ctx, host.key, kinds)
		})
	}
	for key, cancel := range watches {
		if !here[key] {
			cancel()
			delete(watches, key)
		}
	}
}

func (v *inventories) watchOne(ctx context.Context, host hostcache.Key, kinds []engine.Kind) {
	events, err := v.c.h.options.Hosts.Watch(ctx, host, kinds...)
	if err == nil {
		for e := range events {
			// A snapshot is looked at as a whole.
			if e.Type != hostcache.Resync {
				v.mark(host)
			}
		}
	}
	if ctx.Err() == nil {
		v.mu.Lock()
		v.ended[host] = true
		v.mu.Unlock()
	}
}

// again forgets watches that have ended, so that they begin anew where their host is there.
func (v *inventories) again(watches map[hostcache.Key]context.CancelFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for host := range v.ended {
		delete(watches, host)
		v.dirty[host] = true
	}
	clear(v.ended)
}

// ofHost is the part of a set that is of a host.
func ofHost(host hostcache.Key) func(stream.LogSource) bool {
	return func(s stream.LogSource) bool { return s.Host == host }
}
