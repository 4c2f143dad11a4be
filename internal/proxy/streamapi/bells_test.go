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
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// watchedHosts counts watches, which say what the test sends.
type watchedHosts struct {
	Hosts
	opened, open atomic.Int32
	gone         atomic.Bool
	events       chan hostcache.WatchEvent
}

func (w *watchedHosts) Watch(ctx context.Context, _ hostcache.Key, _ ...engine.Kind) (iter.Seq[hostcache.WatchEvent], error) {
	w.opened.Add(1)
	if w.gone.Load() {
		return nil, errors.New("no such host")
	}
	return func(yield func(hostcache.WatchEvent) bool) {
		w.open.Add(1)
		defer w.open.Add(-1)
		for {
			select {
			case e, ok := <-w.events:
				if !ok || !yield(e) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}, nil
}

// TestBells: who listens to the same inventory shares a watch, which outlasts the host and
// ends with the last listener.
func TestBells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := &watchedHosts{events: make(chan hostcache.WatchEvent)}
		b := newBells(hosts)
		defer b.close()
		var first, second atomic.Int32
		one := b.listen(bellKey{host: key("one")}, func() { first.Add(1) })
		two := b.listen(bellKey{host: key("one")}, func() { second.Add(1) })
		hosts.events <- hostcache.WatchEvent{Type: hostcache.Added}
		hosts.events <- hostcache.WatchEvent{Type: hostcache.Resync}
		synctest.Wait()
		if hosts.opened.Load() != 1 || first.Load() != 1 || second.Load() != 1 {
			t.Errorf("%d watches, told %d and %d times", hosts.opened.Load(), first.Load(), second.Load())
		}
		one()
		one() // once is enough
		// The host goes and comes back.
		hosts.gone.Store(true)
		close(hosts.events)
		time.Sleep(3 * reviewInterval)
		hosts.events = make(chan hostcache.WatchEvent)
		hosts.gone.Store(false)
		time.Sleep(2 * reviewInterval)
		before := second.Load()
		hosts.events <- hostcache.WatchEvent{Type: hostcache.Synced}
		synctest.Wait()
		if first.Load() != 1 || second.Load() != before+1 || hosts.open.Load() != 1 {
			t.Errorf("after the host is back: told %d and %d times, %d watches", first.Load(), second.Load()-before, hosts.open.Load())
		}
		two()
		synctest.Wait()
		if n := hosts.open.Load(); n != 0 || len(b.open) != 0 {
			t.Errorf("without listeners there are %d watches, %d bells", n, len(b.open))
		}
	})
}
