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
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

var seeds = flag.Uint64("seeds", 40, "how many random logs TestLogResume tries")

// script is a random log, and what is done to it and to its reader.
type script struct {
	*rand.Rand
	seconds bool // an engine that knows whole seconds only
	records []fakeRecord
	want    []string
	open    map[Stream]string
	middle  map[int]bool // records behind which a line is unfinished
}

func newScript(seed uint64) *script {
	s := &script{Rand: rand.New(rand.NewPCG(seed, 0)), seconds: seed%4 == 3, open: map[Stream]string{}, middle: map[int]bool{}}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano() + 1
	for i := range 300 + s.IntN(6000) {
		at += s.Int64N(int64(2 * time.Millisecond))
		if s.IntN(2000) == 0 {
			at += int64(5 * time.Second)
		}
		s.line(i, at)
	}
	return s
}

// line adds a line, whose time may be before that of the other stream's last one.
func (s *script) line(i int, at int64) {
	stream := Stdout + Stream(s.IntN(2))
	if stream == Stderr {
		at -= int64(100 * time.Millisecond)
	}
	text := fmt.Sprintf("%s %d", stream, i)
	switch s.IntN(100) {
	case 0:
		text += strings.Repeat("y", s.IntN(3*partBytes))
	case 1:
		text = "" // equal to others
	}
	if s.seconds {
		at -= at % int64(time.Second)
	}
	s.add(fakeRecord{stream: stream, time: at, text: text})
}

// add cuts a line as dockerd does. Other records may come between its parts.
func (s *script) add(r fakeRecord) {
	for len(r.text) > partBytes {
		part := r
		part.part, part.text, r.text = true, r.text[:partBytes], r.text[partBytes:]
		s.put(part)
		if s.IntN(2) == 0 {
			other := fakeRecord{stream: Stdout + Stderr - r.stream, time: r.time + 7, text: fmt.Sprint("between ", len(s.records))}
			if s.seconds {
				other.time = r.time
			}
			s.put(other)
		}
	}
	s.put(r)
}

func (s *script) put(r fakeRecord) {
	s.records = append(s.records, r)
	s.open[r.stream] += r.text
	s.middle[len(s.records)-1] = r.part
	if !r.part {
		s.want = append(s.want, s.open[r.stream])
		s.open[r.stream] = ""
	}
	for _, text := range s.open {
		s.middle[len(s.records)-1] = s.middle[len(s.records)-1] || text != ""
	}
}

// TestLogResume writes random logs, breaks the engine's connections at random places, lets
// a viewer come back by cursor, to this replica or to another, and expects each line once,
// in order.
func TestLogResume(t *testing.T) {
	for seed := range *seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { resume(t, newScript(seed)) }) })
	}
}

func resume(t *testing.T, s *script) {
	f := newFakeLog()
	f.filters = s.IntN(2) == 0
	f.tty = false
	hosts := &fakeHosts{log: f}
	replicas := []*Logs{NewLogs(hosts, Limits{}), NewLogs(hosts, Limits{})}
	var writing sync.WaitGroup
	done := make(chan struct{})
	writing.Go(func() { defer close(done); s.play(f, hosts) })
	r := &resumer{T: t, done: done, random: rand.New(rand.NewPCG(s.Uint64(), 1)), replicas: replicas}
	got := r.readAll()
	writing.Wait()
	for _, l := range replicas {
		l.Close()
	}
	compare(t, got, s.want)
}

// play writes the log, in the open and behind broken connections.
func (s *script) play(f *fakeLog, hosts *fakeHosts) {
	random := rand.New(rand.NewPCG(uint64(len(s.records)), 2))
	for rest := s.records; len(rest) > 0; {
		n := min(len(rest), 1+random.IntN(200))
		f.write(rest[:n]...)
		rest = rest[n:]
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		middle := len(rest) > 0 && s.middle[len(s.records)-len(rest)-1] // a process ends its lines
		switch random.IntN(12) {
		case 0:
			f.cut()
		case 1:
			f.setDown(engine.Errorf(engine.ClassUnreachable, "", "away"))
			time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
			f.setDown(nil)
			hosts.tell()
		case 2:
			if middle {
				continue
			}
			f.setRunning(false)
			time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
			f.setRunning(true)
		}
	}
	time.Sleep(time.Minute)
	f.setRunning(false)
}

// resumer is a client that loses its connection again and again.
type resumer struct {
	*testing.T
	done     <-chan struct{} // the script's end
	random   *rand.Rand
	replicas []*Logs
	cursor   Cursor
	got      []string
}

func (r *resumer) readAll() []string {
	for {
		over := false
		select {
		case <-r.done:
			over = true
		default:
		}
		q := LogQuery{Follow: true, Tail: -1, Resume: r.cursor}
		v, err := r.replicas[r.random.IntN(len(r.replicas))].Open(r.Context(), testSource, q)
		if engine.ClassOf(err) == engine.ClassUnreachable || errors.Is(err, io.ErrUnexpectedEOF) {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if err != nil {
			r.Fatalf("open: %v", err)
		}
		err = r.some(v)
		v.Close()
		if errors.Is(err, io.EOF) {
			if over {
				return r.got
			}
			time.Sleep(100 * time.Millisecond) // the container is down for a moment
			continue
		}
		if err != nil {
			r.Fatalf("next: %v", err)
		}
	}
}

// some takes lines until the client drops the connection, in the middle of a batch.
func (r *resumer) some(v *LogViewer) error {
	for budget := 1 + r.random.IntN(3000); budget > 0; {
		b, err := v.Next()
		if err != nil {
			return err
		}
		for _, l := range b.Lines {
			if budget--; budget < 0 {
				return nil
			}
			r.cursor = l.Cursor
			switch l.Kind {
			case LineText:
				r.got = append(r.got, string(l.Text))
			case LineGap:
				r.Errorf("a gap of %d behind line %d", l.Lost, len(r.got))
			}
		}
		r.cursor = b.Cursor
		if r.random.IntN(10) == 0 {
			time.Sleep(time.Duration(r.random.IntN(300)) * time.Millisecond)
		}
	}
	return nil
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	near := func(lines []string) (s []string) {
		for _, l := range lines[max(0, i-2):min(len(lines), i+4)] {
			s = append(s, fmt.Sprintf("%.30q", l))
		}
		return s
	}
	t.Errorf("%d lines instead of %d; line %d differs:\ngot  %s\nwant %s", len(got), len(want), i, near(got), near(want))
}
