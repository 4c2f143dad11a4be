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
	r, err := newRecording(dir, limit, ExecInfo{Started: time.Now(), Owner: "alice\n\x1b[31m"}, engine.TTYSize{})
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
