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

package stream

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// mergeBed has some hosts with a container each.
type mergeBed struct {
	logBed
	each    []*fakeLog
	sources []LogSource
}

func inMergeBed(t *testing.T, hosts int, test func(b *mergeBed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &mergeBed{logBed: logBed{T: t, at: time.Now().UnixNano() + 1}}
		b.hosts = &fakeHosts{others: map[Key]*fakeLog{}}
		for i := range hosts {
			key := Key{Namespace: "default", Name: fmt.Sprint("host", i)}
			b.each = append(b.each, newFakeLog())
			b.hosts.others[key] = b.each[i]
			b.sources = append(b.sources, LogSource{Host: key, Container: "c"})
		}
		b.logs = NewLogs(b.hosts, Limits{})
		defer func() { b.logs.Close() }()
		test(b)
	})
}

// write writes a line on one host, a millisecond after the last.
func (b *mergeBed) write(host int, text string) {
	b.at += int64(time.Millisecond)
	b.each[host].write(fakeRecord{stream: Stdout, time: b.at, text: text})
}

func (b *mergeBed) readMerged(m *MergedViewer, n int) (got []string) {
	b.Helper()
	for len(got) < n {
		lines, err := m.Next()
		if err != nil {
			b.Fatalf("next: %v, after %q", err, got)
		}
		for i := range lines {
			got = append(got, m.Name(&lines[i]).Host.Name+" "+spell(lines[i]))
		}
	}
	return got
}

func TestMergedLogs(t *testing.T) {
	inMergeBed(t, 3, func(b *mergeBed) {
		var want []string
		say := func(i int) {
			b.write(i%3, fmt.Sprint(i))
			want = append(want, fmt.Sprintf("host%d %d", i%3, i))
		}
		for i := range 900 {
			say(i)
		}
		m := b.logs.OpenMerged(b.Context(), FixedSources(b.sources), LogQuery{Follow: true, Tail: -1}, nil)
		b.want("the backlog in order", b.readMerged(m, 900), want)
		want = nil
		for i := range 300 {
			say(i)
		}
		b.want("what comes later", b.readMerged(m, 300), want)
		cursors := m.Cursors()
		m.Close()
		want = nil
		for i := range 30 {
			say(i)
		}
		m = b.logs.OpenMerged(b.Context(), FixedSources(b.sources), LogQuery{Follow: true}, cursors)
		defer m.Close()
		b.want("after a resume", b.readMerged(m, 30), want)
		for _, f := range b.each {
			f.setRunning(false)
		}
		b.readMerged(m, 3)
		if _, err := m.Next(); !errors.Is(err, io.EOF) {
			b.Errorf("the end is %v; want io.EOF", err)
		}
	})
}

func TestMergedLogsOneHostAway(t *testing.T) {
	inMergeBed(t, 2, func(b *mergeBed) {
		b.each[1].setDown(engine.Errorf(engine.ClassUnreachable, "", "away"))
		m := b.logs.OpenMerged(b.Context(), FixedSources(b.sources), LogQuery{Follow: true, Tail: -1}, nil)
		defer m.Close()
		b.want("the host that is away", b.readMerged(m, 1), []string{"host1 <interrupted: away>"})
		b.write(0, "one")
		b.want("the other", b.readMerged(m, 1), []string{"host0 one"})
		b.write(1, "two")
		b.each[1].setDown(nil)
		b.want("the host is back", b.readMerged(m, 2), []string{"host1 <resumed>", "host1 two"})
	})
}

// changing is a set of sources that a test changes.
type changing struct {
	mu      sync.Mutex
	sources []LogSource
	changed chan struct{}
}

func (c *changing) Current() ([]LogSource, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sources, c.changed
}

func (c *changing) set(sources ...LogSource) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sources = sources
	close(c.changed)
	c.changed = make(chan struct{})
}

// TestMergedLogsFollowTheSet replaces a task by another on another host.
func TestMergedLogsFollowTheSet(t *testing.T) {
	inMergeBed(t, 2, func(b *mergeBed) {
		set := &changing{changed: make(chan struct{}), sources: b.sources[:1]}
		m := b.logs.OpenMerged(b.Context(), set, LogQuery{Follow: true}, nil)
		defer m.Close()
		synctest.Wait()
		b.write(0, "old task")
		b.want("the first task", b.readMerged(m, 1), []string{"host0 old task"})
		b.write(1, "new task starts")
		set.set(b.sources[1])
		b.write(0, "last words")
		b.want("the second task, and the end of the first", b.readMerged(m, 2), []string{"host1 new task starts", "host0 last words"})
		b.each[0].setRunning(false)
		b.want("the first task's end", b.readMerged(m, 1), []string{"host0 <stopped>"})
		b.write(1, "work")
		b.want("work", b.readMerged(m, 1), []string{"host1 work"})
		time.Sleep(20 * time.Second)
		b.write(1, "more")
		b.readMerged(m, 1)
		if b.logs.Upstreams() != 1 {
			b.Errorf("%d logs are read; want the second task's only", b.logs.Upstreams())
		}
		set.set(b.sources...)
		b.each[0].setRunning(true)
		b.write(0, "again")
		b.want("the first task is back", b.readMerged(m, 1), []string{"host0 again"})
	})
}

// revocable is a set whose sources have no last words.
type revocable struct{ *changing }

func (revocable) Revoked(LogSource) bool { return true }

// TestMergedLogsRevoked: a source whose right is lost is silent at once, with what was read
// and not given yet, and goes on from there when the right is back.
func TestMergedLogsRevoked(t *testing.T) {
	inMergeBed(t, 2, func(b *mergeBed) {
		set := revocable{&changing{changed: make(chan struct{}), sources: b.sources}}
		m := b.logs.OpenMerged(b.Context(), set, LogQuery{Follow: true, Tail: -1}, nil)
		defer m.Close()
		b.write(0, "seen")
		b.write(1, "seen too")
		b.want("both", b.readMerged(m, 2), []string{"host0 seen", "host1 seen too"})
		b.write(0, "read, not given")
		synctest.Wait()
		set.set(b.sources[1])
		b.write(0, "not read")
		b.write(1, "other")
		b.want("the one that is left", b.readMerged(m, 1), []string{"host1 other"})
		time.Sleep(10 * time.Second)
		b.write(1, "later")
		b.want("the one that is left", b.readMerged(m, 1), []string{"host1 later"})
		set.set(b.sources...)
		b.want("the right is back", b.readMerged(m, 2), []string{"host0 read, not given", "host0 not read"})
	})
}

// TestMergedLogsReadOnce: what has come to its end is not read again while it is in the set.
func TestMergedLogsReadOnce(t *testing.T) {
	inMergeBed(t, 2, func(b *mergeBed) {
		set := &changing{changed: make(chan struct{}), sources: b.sources[:1]}
		b.write(0, "all of it")
		b.each[0].setRunning(false)
		m := b.logs.OpenMerged(b.Context(), set, LogQuery{Follow: true, Tail: -1}, nil)
		defer m.Close()
		b.want("a container that has stopped", b.readMerged(m, 1), []string{"host0 all of it"})
		// There is a word of each change, with nothing in it.
		b.write(1, "another")
		set.set(b.sources...)
		b.want("another", b.readMerged(m, 1), []string{"host1 another"})
		time.Sleep(10 * time.Second)
		if n := b.logs.Upstreams(); n != 1 {
			b.Errorf("%d logs are read; want one", n)
		}
	})
}
