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
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// logBed is a Logs over one fake container, inside a synctest bubble.
type logBed struct {
	*testing.T
	log   *fakeLog
	hosts *fakeHosts
	logs  *Logs
	at    int64
}

func inLogBed(t *testing.T, test func(b *logBed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &logBed{T: t, log: newFakeLog(), at: time.Date(2026, 3, 1, 12, 0, 0, 1, time.UTC).UnixNano()}
		b.hosts = &fakeHosts{log: b.log}
		b.logs = NewLogs(b.hosts, Limits{})
		defer func() { b.logs.Close() }()
		test(b)
	})
}

// say writes lines of stdout, a millisecond apart.
func (b *logBed) say(lines ...string) {
	for _, l := range lines {
		b.at += int64(time.Millisecond)
		b.log.write(fakeRecord{stream: Stdout, time: b.at, text: l})
	}
}

func numbers(from, to int) (lines []string) {
	for i := from; i <= to; i++ {
		lines = append(lines, fmt.Sprint("line ", i))
	}
	return lines
}

func (b *logBed) open(q LogQuery) *LogViewer {
	b.Helper()
	v, err := b.logs.Open(b.Context(), testSource, q)
	if err != nil {
		b.Fatalf("open the log: %v", err)
	}
	b.Cleanup(v.Close)
	return v
}

// spell is a line as tests compare it.
func spell(l Line) string {
	switch l.Kind {
	case LineText:
		return string(l.Text)
	case LineGap:
		return fmt.Sprintf("<gap %d>", l.Lost)
	case LineInterrupted:
		return "<interrupted: " + string(l.Text) + ">"
	case LineResumed:
		return "<resumed>"
	}
	return "<stopped>"
}

// read returns the next n lines and what is said among them.
func (b *logBed) read(v *LogViewer, n int) []string {
	b.Helper()
	var got []string
	for len(got) < n {
		batch, err := v.Next()
		if err != nil {
			b.Fatalf("next: %v, after %q", err, got)
		}
		for _, l := range batch.Lines {
			got = append(got, spell(l))
		}
	}
	return got
}

// rest reads to the end.
func (b *logBed) rest(v *LogViewer) ([]string, error) {
	var got []string
	for {
		batch, err := v.Next()
		if err != nil {
			return got, err
		}
		for _, l := range batch.Lines {
			got = append(got, spell(l))
		}
	}
}

func (b *logBed) want(what string, got, want []string) {
	b.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		b.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func TestLogFollow(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		b.say(numbers(1, 5)...)
		v := b.open(LogQuery{Follow: true, Tail: 2})
		b.want("the backlog", b.read(v, 2), numbers(4, 5))
		b.say(numbers(6, 7)...)
		b.want("what comes later", b.read(v, 2), numbers(6, 7))
		late := b.open(LogQuery{Follow: true, Tail: 3})
		b.want("the backlog of a late joiner", b.read(late, 3), numbers(5, 7))
		all := b.open(LogQuery{Follow: true, Tail: -1})
		b.want("the whole backlog", b.read(all, 7), numbers(1, 7))
		none := b.open(LogQuery{Follow: true})
		b.say(numbers(8, 8)...)
		for _, v := range []*LogViewer{v, late, all, none} {
			b.want("a line for all", b.read(v, 1), numbers(8, 8))
		}
		if b.log.follows != 1 {
			b.Errorf("%d logs were followed; want 1 for all viewers", b.log.follows)
		}
	})
}

func TestLogBacklogBeyondTheRing(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		b.say(numbers(1, 5000)...)
		for _, q := range []struct {
			query LogQuery
			from  int
		}{
			{LogQuery{Follow: true, Tail: -1}, 1},
			{LogQuery{Follow: true, Tail: 3000}, 2001},
			{LogQuery{Follow: true, Tail: -1, Since: time.Unix(0, b.at-2500*int64(time.Millisecond))}, 2500},
			{LogQuery{Follow: true, Tail: -1, Since: time.Unix(0, b.at-10*int64(time.Millisecond))}, 4990},
		} {
			v := b.open(q.query)
			b.want("the backlog", b.read(v, 5001-q.from), numbers(q.from, 5000))
			v.Close()
		}
		v := b.open(LogQuery{Follow: true, Tail: -1})
		b.read(v, 5000)
		b.say(numbers(5001, 5002)...)
		b.want("what comes later", b.read(v, 2), numbers(5001, 5002))
		if b.log.follows != 1 {
			b.Errorf("%d logs were followed; want 1", b.log.follows)
		}
	})
}

// TestLogBacklogOfFastWriter has a container write while the hub begins to read: what a
// viewer wants from the beginning is not in the ring then, though little was read before
// the end that the log had.
func TestLogBacklogOfFastWriter(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		b.say(numbers(1, 3_000)...)
		b.log.following = func() { b.say(numbers(3_001, 3_400)...) }
		if got := b.read(b.open(LogQuery{Follow: true, Tail: -1}), 3_400); !slices.Equal(got, numbers(1, 3_400)) {
			t.Errorf("got %d lines from %q to %q, want all 3,400", len(got), got[0], got[len(got)-1])
		}
	})
}

func TestLogWithoutFollow(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		b.say(numbers(1, 2000)...)
		got, err := b.rest(b.open(LogQuery{Tail: 1500}))
		if !errors.Is(err, io.EOF) {
			b.Errorf("the end is %v; want io.EOF", err)
		}
		b.want("the log", got, numbers(501, 2000))
		if b.log.follows != 0 || b.logs.Upstreams() != 0 {
			b.Error("a log was followed for a viewer who did not ask for it")
		}
	})
}

func TestLogOfStoppedContainerEnds(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		b.say(numbers(1, 3)...)
		b.log.setRunning(false)
		begin := time.Now()
		got, err := b.rest(b.open(LogQuery{Follow: true, Tail: -1}))
		if !errors.Is(err, io.EOF) || time.Since(begin) > time.Second {
			b.Errorf("the end is %v after %v; want io.EOF at once", err, time.Since(begin))
		}
		b.want("the log", got, numbers(1, 3))
	})
}

func TestLogEndsWithContainer(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		v := b.open(LogQuery{Follow: true, Tail: -1})
		b.say("last words")
		b.read(v, 1)
		b.log.setRunning(false)
		got, err := b.rest(v)
		if !errors.Is(err, io.EOF) {
			b.Errorf("the end is %v; want io.EOF", err)
		}
		b.want("the end", got, []string{"<stopped>"})
	})
}

// TestLogReconnectSoon breaks the upstream of a fast log when the hub knows but the last
// lines of it: the older ones that are read again are more than can be held back.
func TestLogReconnectSoon(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		records := make([]fakeRecord, 100_000)
		for i := range records {
			b.at += int64(10 * time.Microsecond)
			records[i] = fakeRecord{stream: Stdout, time: b.at, text: strings.Repeat("x", 100)}
		}
		b.log.write(records...)
		v := b.open(LogQuery{Follow: true, Tail: 1})
		b.read(v, 1)
		b.log.cut()
		b.say(numbers(1, 3)...)
		b.want("after the cut", b.read(v, 5), append([]string{"<interrupted: unexpected EOF>", "<resumed>"}, numbers(1, 3)...))
	})
}

// TestLogHasLastWords has an engine that ends a followed log too early.
func TestLogHasLastWords(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		b.say(numbers(1, 3)...)
		v := b.open(LogQuery{Follow: true, Tail: -1})
		b.read(v, 3)
		b.log.early = 2
		b.log.setRunning(false)
		b.say(numbers(4, 5)...)
		got, err := b.rest(v)
		if !errors.Is(err, io.EOF) {
			b.Errorf("the end is %v; want io.EOF", err)
		}
		b.want("the end", got, append(numbers(4, 5), "<stopped>"))
	})
}

// TestLogOfSilentFollow has an engine that does not send the backlog of a followed log.
func TestLogOfSilentFollow(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		b.say(numbers(1, 3)...)
		b.log.mute = true
		v := b.open(LogQuery{Follow: true, Tail: 2})
		b.want("the backlog", b.read(v, 2), numbers(2, 3))
	})
}

func TestLogGoesOnAfterRestart(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		v := b.open(LogQuery{Follow: true, Tail: -1})
		b.say("one")
		b.want("the first run", b.read(v, 1), []string{"one"})
		b.log.setRunning(false)
		b.want("the stop", b.read(v, 1), []string{"<stopped>"})
		b.log.setRunning(true)
		b.say("two")
		b.want("the second run", b.read(v, 1), []string{"two"})
	})
}

func TestLogSurvivesTheEngine(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		v := b.open(LogQuery{Follow: true, Tail: -1})
		b.say(numbers(1, 10)...)
		b.want("before", b.read(v, 10), numbers(1, 10))
		b.log.setDown(engine.Errorf(engine.ClassUnreachable, "", "gone"))
		b.say(numbers(11, 20)...)
		got := b.read(v, 1)
		b.want("the notice", got, []string{"<interrupted: unexpected EOF>"})
		b.log.setDown(nil)
		b.hosts.tell()
		b.want("after", b.read(v, 11), append([]string{"<resumed>"}, numbers(11, 20)...))
		late := b.open(LogQuery{Follow: true, Tail: -1})
		b.want("who comes later does not hear of it", b.read(late, 20), numbers(1, 20))
	})
}

func TestLogErrors(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		_, err := b.logs.Open(b.Context(), LogSource{Host: testSource.Host, Container: "none"}, LogQuery{Follow: true})
		if !engine.IsNotFound(err) {
			b.Errorf("the log of no container: %v", err)
		}
		b.log.setDown(engine.Errorf(engine.ClassUnreachable, "", "the host is away"))
		for _, follow := range []bool{true, false} {
			_, err = b.logs.Open(b.Context(), testSource, LogQuery{Follow: follow})
			if engine.ClassOf(err) != engine.ClassUnreachable {
				b.Errorf("the log of a host that is away: %v", err)
			}
		}
	})
}

func TestLogLimit(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		var last *LogViewer
		for range DefaultViewers {
			last = b.open(LogQuery{Follow: true})
		}
		_, err := b.logs.Open(b.Context(), testSource, LogQuery{})
		var limit *LimitError
		if !errors.As(err, &limit) {
			b.Fatalf("one viewer too many: %v", err)
		}
		last.Close()
		b.open(LogQuery{Follow: true})
	})
}

func TestLogUpstreamEndsAfterLastViewer(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		v := b.open(LogQuery{Follow: true})
		v.Close()
		time.Sleep(DefaultLinger - time.Second)
		v = b.open(LogQuery{Follow: true})
		v.Close()
		time.Sleep(DefaultLinger - time.Second)
		synctest.Wait()
		if b.logs.Upstreams() != 1 || b.log.follows != 1 {
			b.Fatal("the upstream did not outlive its viewer")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(b.log.streams); b.logs.Upstreams() != 0 || n != 0 {
			b.Fatalf("%d streams are open without a viewer", n)
		}
	})
}

func TestLogSlowViewerGetsGap(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		slow, fast := b.open(LogQuery{Follow: true}), b.open(LogQuery{Follow: true})
		text := strings.Repeat("x", 1000)
		const n = 20_000
		for range n / 100 {
			for range 100 {
				b.say(text)
			}
			b.read(fast, 100)
		}
		got := b.read(slow, 1)
		var lost int
		if _, err := fmt.Sscanf(got[0], "<gap %d>", &lost); err != nil || lost < n/2 {
			b.Fatalf("a slow viewer got %.40q first; want a gap", got[0])
		}
		b.read(slow, n-lost)
		b.log.setRunning(false)
		if rest, _ := b.rest(slow); !slices.Equal(rest, []string{"<stopped>"}) {
			b.Errorf("gap and lines are not all that was written: %d lines more", len(rest))
		}
	})
}

func TestLogResumeWhereLogWasRotated(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		b.say(numbers(1, 3)...)
		v := b.open(LogQuery{Follow: true, Tail: -1})
		batch, err := v.Next()
		if err != nil {
			b.Fatal(err)
		}
		cursor := batch.Lines[0].Cursor
		v.Close()
		b.log.rotate(3)
		b.at += int64(time.Minute)
		b.say(numbers(4, 5)...)
		b.logs.Close()
		b.logs = NewLogs(b.hosts, Limits{})
		v = b.open(LogQuery{Follow: true, Resume: cursor})
		b.want("after the rotation", b.read(v, 3), append([]string{"<gap 0>"}, numbers(4, 5)...))
		b.say(numbers(6, 6)...)
		b.want("later", b.read(v, 1), numbers(6, 6))
	})
}

func TestLogReconnectWhereLogWasRotated(t *testing.T) {
	for _, pause := range []time.Duration{time.Millisecond, time.Minute} {
		inLogBed(t, func(b *logBed) {
			b.say(numbers(1, 3)...)
			v := b.open(LogQuery{Follow: true, Tail: -1})
			b.read(v, 3)
			b.log.setDown(engine.Errorf(engine.ClassUnreachable, "", "gone"))
			b.read(v, 1)
			b.log.rotate(3)
			b.at += int64(pause)
			b.say(numbers(4, 5)...)
			b.log.setDown(nil)
			b.want("after the rotation", b.read(v, 4), append([]string{"<resumed>", "<gap 0>"}, numbers(4, 5)...))
		})
	}
}

func TestLogEngineRepeats(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		v := b.open(LogQuery{Follow: true, Tail: -1})
		part := strings.Repeat("p", partBytes)
		for _, r := range []fakeRecord{{text: part, part: true}, {text: part, part: true}, {text: "end"}} {
			r.stream, r.time = Stdout, b.at
			b.log.write(r)
		}
		b.say(numbers(1, 10)...)
		b.read(v, 11)
		b.log.repeat(13)
		b.say(numbers(11, 11)...)
		b.want("after the repetition", b.read(v, 1), numbers(11, 11))
	})
}

func TestLogFilters(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		literal, err := NewFilter("1", false, false)
		if err != nil {
			b.Fatal(err)
		}
		pattern, err := NewFilter("^line [24]$", true, true)
		if err != nil {
			b.Fatal(err)
		}
		b.say(numbers(1, 4)...)
		b.log.write(fakeRecord{stream: Stderr, time: b.at, text: "error 1"})
		for _, follow := range []bool{true, false} {
			for _, test := range []struct {
				query LogQuery
				want  []string
			}{
				{LogQuery{Filter: literal}, []string{"line 1", "error 1"}},
				{LogQuery{Filter: pattern}, []string{"line 1", "line 3", "error 1"}},
				{LogQuery{Filter: pattern, Stdout: true}, []string{"line 1", "line 3"}},
				{LogQuery{Stderr: true}, []string{"error 1"}},
			} {
				test.query.Follow, test.query.Tail = follow, -1
				b.want("what passes", b.read(b.open(test.query), len(test.want)), test.want)
			}
		}
		for _, bad := range []string{"(", strings.Repeat("a", maxPattern+1)} {
			if _, err := NewFilter(bad, true, false); err == nil {
				b.Errorf("the pattern %.10q is taken", bad)
			}
		}
	})
}
