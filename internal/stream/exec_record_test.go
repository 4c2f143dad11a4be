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
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// recorded makes a recording of some output, and reads it again.
func recorded(t *testing.T, limit int64, output ...string) (said string, size int, err error) {
	t.Helper()
	dir := t.TempDir()
	r, err := newRecordings(ExecOptions{RecordDir: dir, RecordBytes: limit, RecordTotal: 1 << 30}).begin(ExecInfo{Started: time.Now(), Owner: "alice\n\x1b[31m"}, engine.TTYSize{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range output {
		r.output([]byte(o))
	}
	r.resize(engine.TTYSize{Height: 1, Width: 2})
	err = r.close()
	if again := r.close(); again != nil && err == nil {
		t.Errorf("the second close gives %v", again)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 1 {
		t.Fatalf("there are %v", files)
	}
	cast, readErr := os.ReadFile(files[0])
	if readErr != nil {
		t.Fatal(readErr)
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(cast), "\n"), "\n") {
		var e []any
		if jsonErr := json.Unmarshal([]byte(line), &e); i > 0 && jsonErr != nil {
			t.Errorf("line %d is %q", i, line)
		}
		if len(e) == 3 && e[1] == "o" {
			said += e[2].(string)
		}
	}
	return said, len(cast), err
}

func TestRecording(t *testing.T) {
	for _, test := range []struct {
		name   string
		output []string
		want   string
	}{
		{"plain", []string{"a", "b\r\n\x1b[0m"}, "ab\r\n\x1b[0m"},
		{"characters in two parts", []string{"gr\xc3", "\xbc\xf0\x9f", "\x90", "\xb3!"}, "grü🐳!"},
		{"no characters", []string{"\xff\xfe", "x"}, "\ufffd\ufffdx"},
		{"half a character at the end", []string{"x\xc3"}, "x\ufffd"},
		{"nothing", nil, ""},
	} {
		if said, _, err := recorded(t, 1<<20, test.output...); said != test.want || err != nil {
			t.Errorf("%s: it recorded %q, %v; want %q", test.name, said, err, test.want)
		}
	}
}

func TestRecordingIsBounded(t *testing.T) {
	said, size, err := recorded(t, 1000, strings.Repeat("a", 400), strings.Repeat("b", 900), "c")
	if said != strings.Repeat("a", 400) || size > 1000 || !errors.Is(err, errRecordingFull) {
		t.Errorf("it recorded %q in %d bytes, %v", said, size, err)
	}
}

func TestRecordingThatCannotBegin(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{RecordDir: filepath.Join(t.TempDir(), "missing")})
	_, err := b.Start(t.Context(), ExecRequest{Host: hostOne, Container: "c", Command: []string{"sh"}, Stdout: true})
	if err == nil || !strings.Contains(err.Error(), "recorded") || len(b.List("")) != 0 {
		t.Errorf("without a place for recordings a start gives %v", err)
	}
}

// TestRecordingsAreBounded: the oldest go, those of an earlier process first, and one that
// is still taken never does.
func TestRecordingsAreBounded(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"20200101T000000.000000000Z-AAAAAAAA.cast", "notes.txt"} {
		if err := os.WriteFile(file(name), make([]byte, 900), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := newRecordings(ExecOptions{RecordDir: dir, RecordBytes: 1 << 20, RecordTotal: 2000})
	take := func(bytes int) *recording {
		r, err := all.begin(ExecInfo{Started: time.Now()}, engine.TTYSize{})
		if err != nil {
			t.Fatal(err)
		}
		r.output(make([]byte, bytes/6)) // a zero is written as six bytes
		return r
	}
	names := func() []string {
		found, err := list(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range found {
			names = append(names, f.name)
		}
		return names
	}
	first := take(600)
	if err := first.close(); err != nil || len(names()) != 2 {
		t.Fatalf("there are %v, %v; want two", names(), err)
	}
	second := take(600)
	if got := names(); len(got) != 2 || got[0] != first.name() {
		t.Errorf("there are %v; want the oldest gone", got)
	}
	second.output(make([]byte, 200))
	if got := names(); len(got) != 1 || got[0] != second.name() {
		t.Errorf("there are %v; want the running one alone", got)
	}
	second.output(make([]byte, 200))
	if err := second.close(); !errors.Is(err, errRecordingFull) {
		t.Errorf("a recording that had all the room ended with %v", err)
	}
	third := take(60) // which has no room beside the second
	third.discard()
	if got := names(); len(got) != 0 {
		t.Errorf("there are %v; want no trace of a session that did not begin", got)
	}
	if _, err := os.Stat(file("notes.txt")); err != nil {
		t.Errorf("what is no recording is gone: %v", err)
	}
}

// TestForgotten: a session that is kept for its client is given up when that knows all.
func TestForgotten(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{Grace: time.Hour})
	forgotten := make(chan struct{})
	c := b.start(ExecRequest{Reattachable: true, Hooks: ExecHooks{Forgotten: func() { close(forgotten) }}})
	c.Session().Forget() // it runs
	f.exit(0)
	if _, _, err := b.output(c); err != nil {
		t.Fatal(err)
	}
	if again, err := b.Reattach(c.Session().Info().ID, "alice", -1); err != nil {
		t.Errorf("an ended session is not kept: %v", err)
	} else if again.Offset() != 0 {
		t.Errorf("it begins at %d", again.Offset())
	}
	select {
	case <-forgotten:
		t.Error("it was forgotten before its time")
	default:
	}
	c.Session().Forget()
	<-forgotten
	if _, err := b.Reattach(c.Session().Info().ID, "alice", -1); err == nil {
		t.Error("a forgotten session is known")
	}
}
