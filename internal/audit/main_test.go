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
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testKey = bytes.Repeat([]byte("k"), minKey)

// openTrail opens a trail in dir, and closes it with the test.
func openTrail(t *testing.T, path string, change ...func(*TrailOptions)) *Trail {
	t.Helper()
	o := TrailOptions{Path: path, Key: testKey, Replica: "replica"}
	for _, c := range change {
		c(&o)
	}
	trail, err := OpenTrail(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := trail.Close(); err != nil {
			t.Errorf("closing the trail: %v", err)
		}
	})
	return trail
}

func testPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "audit.log")
}

func testRecord(i int) Record {
	return Record{
		Actor:   Actor{User: "alice", UID: "u-1", Groups: []string{"developers", "system:authenticated"}},
		Source:  "192.0.2.7",
		Verb:    "start",
		Host:    Host{Namespace: "default", Name: "local", UID: "h-1"},
		Object:  Object{Kind: "Container", ID: fmt.Sprintf("%064x", i), Name: "web"},
		Outcome: Succeeded, RequestID: fmt.Sprint("r-", i),
	}
}

// write records n records.
func write(t *testing.T, trail *Trail, n int) {
	t.Helper()
	for i := range n {
		if err := trail.Record(t.Context(), testRecord(i)); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
}

// content returns the bytes of all files of a trail, the oldest first.
func content(t *testing.T, path string) []byte {
	t.Helper()
	names, err := Files(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// verify checks a trail that must be whole.
func verify(t *testing.T, r io.Reader, heads ...Head) Summary {
	t.Helper()
	s, err := Verify(r, [][]byte{testKey}, heads...)
	if err != nil {
		t.Fatalf("a whole trail does not verify:\n%v", err)
	}
	return s
}
