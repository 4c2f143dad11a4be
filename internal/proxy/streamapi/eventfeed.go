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
	"fmt"
	"io"

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// eventsTogether is how many events go together in a frame, where so many are there.
const eventsTogether = 64

// eventFeed is the events of hosts as JSON lines.
type eventFeed struct {
	ctx   context.Context
	c     *call
	query eventQuery
	// hidden is why the filter is not for who sees events masked; nil where it is.
	hidden error
	// only is true where one host is named: the feed ends with it.
	only   bool
	hosts  *hostSet
	viewer *stream.EventViewer

	current context.Context // ends when watched has to be made anew
	watched map[hostcache.Key]*watchedHost
	said    map[hostcache.Key]bool // hosts of which was said that they are left out
	left    int                    // without follow: how many more items are given
	words   []byte                 // lines that are no items
	items   []stream.EventItem     // of the frame that is being made
	end     error
	buf     []byte
}

// watchedHost is one that the viewer looks at.
type watchedHost struct{ masked, gone bool }

func (f *eventFeed) close() {
	f.viewer.Close()
	f.hosts.close()
}

// drained is a context that is over: Next with it gives what is there and does not wait.
var drained = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// next gathers what is there, and waits only where there is nothing.
func (f *eventFeed) next() (frame, error) {
	f.items = f.items[:0]
	for f.end == nil && len(f.items) < eventsTogether {
		if len(f.items) > 0 && f.current.Err() != nil {
			break // they are spelled by what was allowed when they were taken
		}
		wait := f.current
		if !f.query.follow || len(f.items) > 0 || len(f.words) > 0 {
			wait = drained
		}
		if more, err := f.step(wait); err != nil {
			f.end = err
		} else if !more {
			break
		}
	}
	if f.ctx.Err() != nil {
		return frame{}, context.Cause(f.ctx)
	}
	f.buf = append(f.render(f.buf[:0]), f.words...)
	f.words = f.words[:0]
	if len(f.buf) == 0 {
		return frame{}, f.end
	}
	return frame{kind: frameJSON, body: f.buf}, nil
}

// step takes one item, or follows the hosts. more is false where wait ended and there is
// nothing now.
func (f *eventFeed) step(wait context.Context) (more bool, err error) {
	switch {
	case f.ctx.Err() != nil: // and current with it
		return false, context.Cause(f.ctx)
	case f.current.Err() != nil:
		return true, f.update()
	}
	if !f.query.follow {
		if f.left--; f.left < 0 {
			return false, io.EOF
		}
	}
	item, err := f.viewer.Next(wait)
	switch {
	case err == nil:
		return true, f.take(item)
	case wait != drained && f.current.Err() != nil && f.ctx.Err() == nil:
		return true, nil
	case wait == drained && errors.Is(err, context.Canceled):
		if !f.query.follow {
			err = io.EOF
		} else {
			err = nil
		}
	}
	return false, err
}

// take keeps an item for the frame.
func (f *eventFeed) take(item stream.EventItem) error {
	w := f.watched[item.Host]
	if w == nil {
		return nil
	}
	if item.Gone && w.gone {
		return nil
	}
	w.gone = item.Gone
	f.items = append(f.items, item)
	if item.Gone && f.only {
		return io.EOF
	}
	return nil
}

// update follows the hosts.
func (f *eventFeed) update() error {
	hosts, current, err := f.hosts.get()
	if f.current = current; err != nil {
		return err
	}
	now := make(map[hostcache.Key]bool, len(hosts))
	for _, host := range hosts {
		if f.hidden != nil && host.masked {
			if f.only {
				return authz.ErrRevoked
			}
			f.leaveOut(host.key, f.hidden.Error())
			continue
		}
		if f.watched[host.key] == nil {
			if err := f.add(host.key); err != nil {
				if f.only {
					return err
				}
				f.leaveOut(host.key, err.Error())
				continue
			}
		}
		now[host.key] = true
		f.watched[host.key].masked = host.masked
	}
	for key, w := range f.watched {
		if now[key] {
			continue
		}
		if err := f.remove(key, w); err != nil {
			return err
		}
	}
	f.query.tail = 0 // hosts that join later begin when they do
	return nil
}

func (f *eventFeed) add(host hostcache.Key) error {
	var since *stream.EventCursor
	if cursor, has := f.query.cursors[host]; has {
		since = &cursor
	}
	if err := f.viewer.Add(host, since, f.query.tail); err != nil {
		return err
	}
	delete(f.query.cursors, host)
	f.watched[host] = &watchedHost{}
	return nil
}

// remove takes a host away that is gone, or that the caller may no longer look at.
func (f *eventFeed) remove(host hostcache.Key, w *watchedHost) error {
	_, declared := f.c.h.options.Hosts.State(host)
	if f.only && declared {
		return authz.ErrRevoked
	}
	f.viewer.Remove(host)
	delete(f.watched, host)
	if !w.gone {
		f.words = appendWord(f.words, "gone", host)
	}
	if f.only {
		return io.EOF
	}
	return nil
}

// leaveOut says once that a host's events are not here.
func (f *eventFeed) leaveOut(host hostcache.Key, why string) {
	if f.said[host] {
		return
	}
	f.said[host] = true
	f.words = appendWord(f.words, "notice", host)
	f.words = append(f.words[:len(f.words)-len("}\n")], `,"message":`...)
	f.words = append(appendString(f.words, fmt.Sprintf("the events of this host are left out: %s", why)), "}\n"...)
}
