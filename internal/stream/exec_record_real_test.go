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
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (r *realEngine) testRecording(b *execBed, id string) {
	c := b.start(ExecRequest{Container: id, TTY: true, Stdin: true, Size: engine.TTYSize{Height: 33, Width: 101}, Command: []string{"sh", "-c", "stty -echo; read x; echo grüße $((40+2))"}})
	b.write(c, "secret\n")
	_, _, _ = b.output(c)
	b.result()
	files, err := filepath.Glob(filepath.Join(b.opts.RecordDir, "*.cast"))
	if err != nil || len(files) != 1 {
		b.Fatalf("there are the recordings %v, %v", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		b.Errorf("the recording's mode is %v, %v", info.Mode(), err)
	}
	cast, err := os.ReadFile(files[0])
	if err != nil {
		b.Fatal(err)
	}
	header, events, _ := bytes.Cut(cast, []byte("\n"))
	var h struct{ Version, Width, Height int }
	if err := json.Unmarshal(header, &h); err != nil || h.Version != 2 || h.Width != 101 || h.Height != 33 {
		b.Errorf("the header is %s, %v", header, err)
	}
	var said strings.Builder
	for line := range strings.Lines(string(events)) {
		var e []any
		if err := json.Unmarshal([]byte(line), &e); err != nil || len(e) != 3 {
			b.Fatalf("an event is %q, %v", line, err)
		}
		if e[1] == "o" {
			said.WriteString(e[2].(string))
		}
	}
	if !strings.Contains(said.String(), "grüße 42") || strings.Contains(string(cast), "secret") && !strings.Contains(said.String(), "secret") {
		b.Errorf("it recorded %q", said.String())
	}
}
