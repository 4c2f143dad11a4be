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

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// lookSpacing is how long changes of inventories wait for more of their kind.
const lookSpacing = 100 * time.Millisecond

// picker finds out of inventories which logs belong to a set. Its methods are called one
// after the other.
type picker interface {
	// watched is what matters of a host; ok is false where it does not.
	watched(host hostcache.Key) (key bellKey, ok bool)
	// look replaces what is of the hosts that are dirty.
	look(hosts []allowedHost, dirty map[hostcache.Key]bool)
}

// inventories keeps a list of sources up to date while hosts, rights and what runs there
// change. Its goroutines are one that looks, and its hosts'.
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
	nudge chan struct{} // has room for one
}

// openInventories looks once, and where the logs are followed, again and again.
func openInventories(ctx context.Context, c *call, hosts *hostSet, list *sourceList, p picker, follow bool) (*inventories, error) {
	v := &inventories{
		sourceList: list, picker: p, c: c, hosts: hosts,
		dirty: map[hostcache.Key]bool{}, nudge: make(chan struct{}, 1),
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
		v.running.Go(func() { v.follow(current, now) })
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
func (v *inventories) follow(current context.Context, hosts []allowedHost) {
	bells := map[hostcache.Key]func(){} // how to stop listening
	defer func() {
		for _, stop := range bells {
			stop()
		}
	}()
	defer v.c.h.options.Hosts.Notify(func(ch hostcache.Change) {
		if ch.Condition { // it may be known only now which node a host is
			v.mark(ch.Key)
		}
	})()
	for {
		v.listen(hosts, bells)
		select {
		case <-v.ctx.Done():
			return
		case <-v.nudge:
		case <-current.Done():
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

// listen begins to listen to what is new, and ends it with what is gone.
func (v *inventories) listen(hosts []allowedHost, bells map[hostcache.Key]func()) {
	here := make(map[hostcache.Key]bool, len(hosts))
	for _, host := range hosts {
		key, matters := v.watched(host.key)
		if here[host.key] = matters; matters && bells[host.key] == nil {
			bells[host.key] = v.c.h.bells.listen(key, func() { v.mark(host.key) })
			v.mark(host.key) // what happened before
		}
	}
	for key, stop := range bells {
		if !here[key] {
			stop()
			delete(bells, key)
		}
	}
}

// ofHost is the part of a set that is of a host.
func ofHost(host hostcache.Key) func(stream.LogSource) bool {
	return func(s stream.LogSource) bool { return s.Host == host }
}
