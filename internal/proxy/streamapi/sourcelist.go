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
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

const (
	// briefly is how long a container is read that had ended before it was first seen.
	briefly = 5 * time.Second
	// maxNotices bounds what is said of what is not shown.
	maxNotices = 100
)

// chosen is a container that belongs to a set of logs.
type chosen struct {
	source stream.LogSource
	name   string
	// running: more will be written. Of those that do not run, began says that there may be
	// something to read.
	running, began bool
}

// member is a chosen container and its part in the set.
type member struct {
	chosen
	// in is true while its log is read; kept stays in though it has ended.
	in, kept bool
	// until is when one leaves that had ended before it was first seen.
	until time.Time
}

// sourceList is a set of logs that changes: the one who knows replaces its parts, and a
// viewer reads it.
type sourceList struct {
	mu      sync.Mutex
	members map[stream.LogSource]*member
	revoked map[hostcache.Key]bool
	changed chan struct{} // nil once nothing changes any more
	words   []string
	said    map[string]bool
}

func newSourceList() *sourceList {
	return &sourceList{members: map[stream.LogSource]*member{}, revoked: map[hostcache.Key]bool{}, changed: make(chan struct{}), said: map[string]bool{}}
}

// Current implements stream.Sources: those that run come first, as there may be too many.
func (l *sourceList) Current() ([]stream.LogSource, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	var in []*member
	for _, m := range l.members {
		if m.in && (m.until.IsZero() || now.Before(m.until)) {
			in = append(in, m)
		}
	}
	slices.SortFunc(in, func(a, b *member) int {
		return cmp.Or(compareBool(b.running, a.running), cmp.Compare(a.name, b.name), cmp.Compare(a.source.Container, b.source.Container))
	})
	sources := make([]stream.LogSource, len(in))
	for i, m := range in {
		sources[i] = m.source
	}
	return sources, l.changed
}

// compareBool puts false first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Revoked implements stream.Revoker.
func (l *sourceList) Revoked(s stream.LogSource) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revoked[s.Host]
}

func (l *sourceList) name(s stream.LogSource) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.members[s]; m != nil {
		return m.name
	}
	return s.Container[:min(len(s.Container), 12)] // it was removed
}

// notices returns what was not said before.
func (l *sourceList) notices() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	words := l.words
	l.words = nil
	return words
}

// notice says something, once.
func (l *sourceList) notice(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said[text] || len(l.said) >= maxNotices {
		return
	}
	l.said[text] = true
	l.words = append(l.words, text)
	l.bump()
}

// bump tells the viewer to look. The lock is held.
func (l *sourceList) bump() {
	if l.changed != nil {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// fix ends all changes: the viewer ends with what is in the set.
func (l *sourceList) fix() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// arrival says how containers are taken in that were not known before and have ended.
type arrival int

const (
	// late: they ran since the last look, and are read briefly.
	late arrival = iota
	// early: they ended before anybody looked, and are not read.
	early
	// whole: they are read to their end.
	whole
)

// replace takes over what there is of a part of the set.
func (l *sourceList) replace(part func(stream.LogSource) bool, now []chosen, as arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	there := make(map[stream.LogSource]bool, len(now))
	changed := false
	for _, c := range now {
		there[c.source] = true
		m := l.members[c.source]
		if m == nil {
			if !c.running && !c.began {
				continue // its time will come
			}
			m = &member{}
			l.members[c.source] = m
			l.arrive(m, c, as)
			changed = changed || m.in
		}
		before := m.in
		switch m.chosen = c; {
		case c.running:
			m.in, m.kept, m.until = true, false, time.Time{}
		case m.kept || !m.until.IsZero():
		default:
			m.in = false // it comes back when it runs again
		}
		changed = changed || m.in != before
	}
	for s, m := range l.members {
		if part(s) && !there[s] {
			changed = changed || m.in
			delete(l.members, s)
		}
	}
	if changed {
		l.bump()
	}
}

// arrive decides about a container that was not known. The lock is held.
func (l *sourceList) arrive(m *member, c chosen, as arrival) {
	switch {
	case c.running || as == early:
		m.in = c.running
	case as == whole:
		m.in, m.kept = true, true
	default:
		m.in, m.until = true, time.Now().Add(briefly)
		time.AfterFunc(briefly, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.bump()
		})
	}
}

// drop takes away what is of a host; revoked is true where the caller may not read it.
func (l *sourceList) drop(host hostcache.Key, revoked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.revoked[host] = revoked; !revoked {
		delete(l.revoked, host)
	}
	changed := false
	for s := range l.members {
		if s.Host == host {
			delete(l.members, s)
			changed = true
		}
	}
	if changed {
		l.bump()
	}
}

// everything returns all members, in the set or not.
func (l *sourceList) everything() []stream.LogSource {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.members))
}

// admit undoes a drop.
func (l *sourceList) admit(host hostcache.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.revoked, host)
}
