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

package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTrailWritesOneLineARecord(t *testing.T) {
	path := testPath(t)
	trail := openTrail(t, path)
	want := testRecord(1)
	want.Time = time.Date(2026, 11, 23, 20, 15, 0, 123456789, time.FixedZone("", 3600))
	want.Outcome, want.Reason, want.Duration = Failed, "Conflict", 1500*time.Millisecond
	if err := trail.Record(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(content(t, path)), []byte("\n"))
	if len(lines) != 2 {
		t.Fatalf("got %d lines, want a start and a record", len(lines))
	}
	var got map[string]any
	if err := json.Unmarshal(lines[1], &got); err != nil {
		t.Fatalf("%s: %v", lines[1], err)
	}
	head := trail.Head()
	if diff := cmp.Diff(map[string]any{
		"seq": 1.0, "chain": head.Chain, "prev": got["prev"], "mac": head.MAC,
		"time":    "2026-11-23T19:15:00.123456789Z",
		"actor":   map[string]any{"user": "alice", "uid": "u-1", "groups": []any{"developers", "system:authenticated"}},
		"source":  "192.0.2.7",
		"verb":    "start",
		"host":    map[string]any{"namespace": "default", "name": "local", "uid": "h-1"},
		"object":  map[string]any{"kind": "Container", "id": want.Object.ID, "name": "web"},
		"outcome": "failed", "reason": "Conflict", "durationSeconds": 1.5, "requestID": "r-1",
	}, got); diff != "" {
		t.Errorf("the line (-want +got):\n%s", diff)
	}
	l, _, _, err := decode(lines[1])
	if err != nil {
		t.Fatal(err)
	}
	want.Time = want.Time.UTC()
	if diff := cmp.Diff(want, *l.Record); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v (%v), want 0600", info.Mode(), err)
	}
}

func TestTrailIsWholeUnderConcurrency(t *testing.T) {
	path := testPath(t)
	trail := openTrail(t, path)
	var wg sync.WaitGroup
	for g := range 40 {
		wg.Go(func() {
			for i := range 25 {
				if err := trail.Record(t.Context(), testRecord(g*100+i)); err != nil {
					t.Errorf("recording: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if s := verify(t, bytes.NewReader(content(t, path)), trail.Head()); s.Records != 1000 {
		t.Errorf("got %d records, want 1000", s.Records)
	}
}

func TestTrailFollowsTheOneBefore(t *testing.T) {
	path := testPath(t)
	var heads []Head
	for range 3 {
		trail := openTrail(t, path)
		write(t, trail, 5)
		heads = append(heads, trail.Head())
		if err := trail.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := verify(t, bytes.NewReader(content(t, path)), heads...)
	if len(s.Chains) != 3 || s.Records != 15 {
		t.Fatalf("got %d chains and %d records, want 3 and 15", len(s.Chains), s.Records)
	}
	for i, c := range s.Chains {
		if c.First != 1 || c.Head != heads[i] {
			t.Errorf("chain %d: got %+v, want record 1 to %v", i, c, heads[i])
		}
	}
}

func TestTrailRefusesAfterClose(t *testing.T) {
	trail := openTrail(t, testPath(t))
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	if err := trail.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := trail.Record(t.Context(), testRecord(0)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// TestCloseLosesNothing closes a trail while many write: a record that was
// acknowledged is there.
func TestCloseLosesNothing(t *testing.T) {
	path := testPath(t)
	trail := openTrail(t, path)
	var wg sync.WaitGroup
	acknowledged := make([]int, 20)
	started := make(chan struct{}, len(acknowledged))
	for g := range acknowledged {
		wg.Go(func() {
			for i := 0; ; i++ {
				err := trail.Record(t.Context(), testRecord(i))
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("recording: %v", err)
					return
				}
				if acknowledged[g]++; i == 0 {
					started <- struct{}{}
				}
			}
		})
	}
	for range acknowledged {
		<-started
	}
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	total := 0
	for _, n := range acknowledged {
		total += n
	}
	if s := verify(t, bytes.NewReader(content(t, path)), trail.Head()); s.Records < total {
		t.Errorf("%d records were acknowledged, %d are there", total, s.Records)
	}
}

// announced tells of each write before it.
type announced struct {
	io.Writer
	begun chan struct{}
}

func (a announced) Write(p []byte) (int, error) {
	select {
	case a.begun <- struct{}{}:
	default:
	}
	return a.Writer.Write(p)
}

// TestTrailThatHangsRefuses writes to a pipe that nobody reads.
func TestTrailThatHangsRefuses(t *testing.T) {
	r, w := io.Pipe()
	lines := bufio.NewScanner(r)
	first := make(chan bool)
	go func() { first <- lines.Scan() }()
	begun := make(chan struct{}, 2)
	trail, err := newTrail(TrailOptions{Key: testKey, Replica: "replica"}, &stream{w: announced{w, begun}}, Head{}, 0)
	if err != nil || !<-first {
		t.Fatalf("opening: %v", err)
	}
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	for i := range 2 { // the first hangs in the write, the second behind it
		if err := trail.Record(ctx, testRecord(i)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the end of the caller's patience", err)
		}
	}
	// The reader comes back: the first line arrives late, the second was given up.
	drained := make(chan int)
	go func() {
		n := 0
		for lines.Scan() {
			n++
		}
		drained <- n
	}()
	if err := trail.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if n := <-drained; n != 1 {
		t.Errorf("%d lines arrived late, want the one that was being written", n)
	}
}

func TestOpenTrailRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*TrailOptions)
		content string
		want    string
	}{
		"a short key":         {change: func(o *TrailOptions) { o.Key = o.Key[:31] }, want: "31 bytes"},
		"no key":              {change: func(o *TrailOptions) { o.Key = nil }, want: "0 bytes"},
		"one file":            {change: func(o *TrailOptions) { o.MaxFiles = 1 }, want: "too small"},
		"small files":         {change: func(o *TrailOptions) { o.MaxSize = 1 }, want: "too small"},
		"a full device":       {change: func(o *TrailOptions) { o.Path = "/dev/full" }, want: "not a regular file"},
		"a missing directory": {change: func(o *TrailOptions) { o.Path += "/missing" }, want: "no such file"},
		"another log":         {content: "Nov 23 20:15:00 host sshd[1]: hello\n", want: "not an audit record"},
		"another file":        {content: "root:x:0:0", want: "not an audit record"},
	} {
		t.Run(name, func(t *testing.T) {
			o := TrailOptions{Path: testPath(t), Key: testKey, Replica: "replica"}
			if tc.content != "" {
				if err := os.WriteFile(o.Path, []byte(tc.content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if tc.change != nil {
				tc.change(&o)
			}
			trail, err := OpenTrail(o)
			if err == nil {
				t.Fatal(errors.Join(errors.New("was opened"), trail.Close()))
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, want something of %q", err, tc.want)
			}
			if tc.content != "" {
				b, _ := os.ReadFile(o.Path)
				info, _ := os.Stat(o.Path)
				if string(b) != tc.content || info.Mode().Perm() != 0o644 {
					t.Errorf("another's file was changed: %q, %v", b, info.Mode())
				}
			}
		})
	}
}

func TestHeadAsText(t *testing.T) {
	h := Head{Chain: "manager-7d9f:odd-0011", Seq: 42, MAC: strings.Repeat("ab", 32)}
	got, err := ParseHead(h.String())
	if err != nil || got != h {
		t.Errorf("got %+v, %v; want %+v", got, err, h)
	}
	for _, s := range []string{"", "::", "chain", "chain:1", "chain:1:abcd", ":1:" + h.MAC, "chain:-1:" + h.MAC, "chain:x:" + h.MAC} {
		if h, err := ParseHead(s); err == nil {
			t.Errorf("%q was read as %+v", s, h)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	trail, err := OpenTrail(TrailOptions{Path: b.TempDir() + "/audit.log", Key: testKey, Replica: "replica"})
	if err != nil {
		b.Fatal(err)
	}
	defer trail.Close()
	r := testRecord(1)
	for b.Loop() {
		if err := trail.Record(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
