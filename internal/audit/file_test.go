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
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRotationBoundsSizeAndCount(t *testing.T) {
	path := testPath(t)
	small := func(files int) func(*TrailOptions) {
		return func(o *TrailOptions) { o.MaxSize, o.MaxFiles = maxLine, files }
	}
	trail := openTrail(t, path, small(4))
	write(t, trail, 1000) // of about 450 bytes: seven files' worth
	check := func(want int) {
		t.Helper()
		names, err := filepath.Glob(path + "*")
		if err != nil || len(names) != want {
			t.Fatalf("got files %q (%v), want %d", names, err, want)
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil || info.Size() > maxLine || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v (%v), want at most %d bytes and 0600", name, info, err, maxLine)
			}
		}
	}
	check(4)
	s := verify(t, bytes.NewReader(content(t, path)), trail.Head())
	if len(s.Chains) != 1 || s.Chains[0].First < 2 || s.Records != int(1000-s.Chains[0].First)+1 {
		t.Errorf("got %+v, want the last records of the chain up to 1000", s)
	}
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	trail = openTrail(t, path, small(2))
	write(t, trail, 300)
	check(2)
	verify(t, bytes.NewReader(content(t, path)), trail.Head())
}

// TestFileMovedAway is what logrotate does, and what somebody who hides something
// may do.
func TestFileMovedAway(t *testing.T) {
	path := testPath(t)
	trail := openTrail(t, path)
	write(t, trail, 3)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, trail, 3)
	s := verify(t, bytes.NewReader(content(t, path)), trail.Head())
	if s.Records != 6 {
		t.Errorf("got %d records, want 6", s.Records)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, trail, 3)
	if _, err := Verify(bytes.NewReader(content(t, path)), [][]byte{testKey}); err == nil || !strings.Contains(err.Error(), "records 4 to 6") {
		t.Errorf("got %v, want records 4 to 6 missing", err)
	}
}

func TestOneProcessAFile(t *testing.T) {
	path := testPath(t)
	trail := openTrail(t, path)
	second, err := OpenTrail(TrailOptions{Path: path, Key: testKey, Replica: "second"})
	if err == nil {
		t.Fatal(errors.Join(errors.New("two writers of one file"), second.Close()))
	}
	if !strings.Contains(err.Error(), "another process writes to it") {
		t.Errorf("got %v", err)
	}
	write(t, trail, 1)
	verify(t, bytes.NewReader(content(t, path)), trail.Head())
}

// TestUnfinishedLine opens files that a process left in the middle of a line.
func TestUnfinishedLine(t *testing.T) {
	path := testPath(t)
	trail := openTrail(t, path)
	write(t, trail, 3)
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	whole := content(t, path)
	lastLine := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for name, tc := range map[string]struct {
		content []byte
		records int
		cut     bool
	}{
		"half a record":              {whole[:lastLine+100], 2, true},
		"one byte of a record":       {whole[:lastLine+1], 2, true},
		"all but the newline":        {whole[:len(whole)-1], 3, false},
		"half a start, nothing else": {whole[:20], 0, true},
		"zeros after a crash":        {append(bytes.Clone(whole), make([]byte, 4096)...), 3, true},
		"nothing":                    {nil, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := testPath(t)
			if err := os.WriteFile(path, tc.content, 0o600); err != nil {
				t.Fatal(err)
			}
			trail := openTrail(t, path)
			write(t, trail, 2)
			b := content(t, path)
			s := verify(t, bytes.NewReader(b), trail.Head())
			if s.Records != tc.records+2 {
				t.Errorf("got %d records, want %d and 2", s.Records, tc.records)
			}
			if got := bytes.Contains(b, []byte(`"cut":`)); got != tc.cut {
				t.Errorf("the start says that something was cut: %v, want %v", got, tc.cut)
			}
		})
	}
}

// TestRotatedAndNeverWritten is a crash between rotating and the first line.
func TestRotatedAndNeverWritten(t *testing.T) {
	path := testPath(t)
	trail := openTrail(t, path)
	write(t, trail, 3)
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	trail = openTrail(t, path)
	write(t, trail, 1)
	if s := verify(t, bytes.NewReader(content(t, path)), trail.Head()); len(s.Chains) != 2 {
		t.Errorf("got %+v, want two chains", s)
	}
	if !bytes.Contains(content(t, path), []byte(`"follows":`)) {
		t.Error("the second chain does not say what it follows")
	}
}

// TestFailedWrites fails writes at different points: the records are refused, and
// the file holds what was acknowledged and nothing else.
func TestFailedWrites(t *testing.T) {
	path := testPath(t)
	sink, _, _, err := openFile(path, DefaultMaxSize, DefaultMaxFiles)
	if err != nil {
		t.Fatal(err)
	}
	var fail func(*os.File, []byte) (int, error)
	sink.write = func(f *os.File, b []byte) (int, error) {
		if fail != nil {
			return fail(f, b)
		}
		return f.Write(b)
	}
	trail, err := newTrail(TrailOptions{Key: testKey, Replica: "replica"}, sink, Head{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	fails := func(name string, f func(*os.File, []byte) (int, error)) {
		t.Helper()
		write(t, trail, 2)
		fail = f
		defer func() { fail = nil }()
		if err := trail.Record(t.Context(), testRecord(0)); err == nil {
			t.Errorf("%s: the record was acknowledged", name)
		}
	}
	for name, f := range map[string]func(*os.File, []byte) (int, error){
		"nothing written":              func(*os.File, []byte) (int, error) { return 0, syscall.ENOSPC },
		"half a line written":          func(f *os.File, b []byte) (int, error) { return half(f, b), syscall.ENOSPC },
		"half a line, said to be well": func(f *os.File, b []byte) (int, error) { return half(f, b), nil },
		"all of it, said to be lost":   func(f *os.File, b []byte) (int, error) { _, _ = f.Write(b); return 0, syscall.EIO },
	} {
		fails(name, f)
		if s := verify(t, bytes.NewReader(content(t, path)), trail.Head()); s.Records%2 != 0 {
			t.Errorf("%s: %d records are there, among them one that was not acknowledged", name, s.Records)
		}
	}
	fails("half a line, and the file gone bad", func(f *os.File, b []byte) (int, error) {
		return half(f, b), errors.Join(syscall.EIO, f.Close())
	})
	if err := trail.Record(t.Context(), testRecord(0)); err == nil {
		t.Error("a record was joined to half a line")
	}
	if err := trail.Close(); err == nil {
		t.Error("closing a file that went bad says that all is well")
	}
	trail = openTrail(t, path)
	write(t, trail, 2)
	if s := verify(t, bytes.NewReader(content(t, path)), trail.Head()); s.Records != 12 {
		t.Errorf("got %d records, want the 12 that were acknowledged", s.Records)
	}
}

// half writes the first half of b, and returns its length.
func half(f *os.File, b []byte) int {
	n, _ := f.Write(b[:len(b)/2])
	return n
}
