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
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestDemultiplex(t *testing.T) {
	frame := func(stream byte, length int, data string) string {
		var h [frameHeader]byte
		h[0] = stream
		binary.BigEndian.PutUint32(h[4:], uint32(length))
		return string(h[:]) + data
	}
	big := strings.Repeat("b", 3*maxChunk+1)
	for _, test := range []struct {
		name, in, out, err string
		class              engine.Class
	}{
		{name: "both", in: frame(1, 3, "out") + frame(2, 3, "err") + frame(1, 1, "!"), out: "out!", err: "err"},
		{name: "empty frame", in: frame(1, 0, "") + frame(1, 1, "x"), out: "x"},
		{name: "big", in: frame(1, len(big), big), out: big},
		{name: "an error of the engine's own", in: frame(3, 3, "bad"), err: "bad"},
		{name: "stdin's number", in: frame(0, 3, "out"), out: "out"},
		{name: "nothing", in: ""},
		{name: "cut header", in: "\x01\x00\x00", class: engine.ClassUnreachable},
		{name: "cut frame", in: frame(1, 1<<31, "x"), out: "x", class: engine.ClassUnreachable},
		{name: "unknown stream", in: frame(4, 1, "x"), class: engine.ClassServer},
		{name: "text", in: "HTTP/1.1 500 Internal", class: engine.ClassServer},
	} {
		var got [3]strings.Builder
		err := demultiplex(strings.NewReader(test.in), true, func(s Stream, p []byte) error {
			got[s].Write(p)
			return nil
		})
		if test.class == "" && !errors.Is(err, io.EOF) || test.class != "" && engine.ClassOf(err) != test.class {
			t.Errorf("%s: it ends with %v", test.name, err)
		}
		if got[Stdout].String() != test.out || got[Stderr].String() != test.err {
			t.Errorf("%s: there are %d and %d bytes, or others", test.name, got[Stdout].Len(), got[Stderr].Len())
		}
	}
}

func FuzzDemultiplex(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x03abc"))
	f.Add([]byte("\x02\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		_ = demultiplex(bytes.NewReader(in), true, func(s Stream, p []byte) error {
			if n += len(p); s != Stdout && s != Stderr || len(p) == 0 {
				t.Errorf("%d bytes of stream %d", len(p), s)
			}
			return nil
		})
		if n > len(in) {
			t.Errorf("%d bytes came of %d", n, len(in))
		}
	})
}
