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

package enginetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// Streams of a frame.
const (
	stdout = 1
	stderr = 2
)

// frame is one piece of a multiplexed stream.
type frame struct {
	stream byte
	data   []byte
}

// readFrame reads one frame: a stream's number, three zeros, the length in four
// bytes, the data.
func readFrame(r io.Reader) (frame, error) {
	var header [8]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(header[4:])
	if header[0] > 2 || header[1]|header[2]|header[3] != 0 || n > 1<<24 {
		return frame{}, errors.New("this is no header of a frame: " + string(bytes.ToValidUTF8(header[:], nil)))
	}
	data := make([]byte, n)
	_, err := io.ReadFull(r, data)
	return frame{stream: header[0], data: data}, err
}

// split reads frames to the end of b.
func split(t testing.TB, b []byte) []frame {
	t.Helper()
	var frames []frame
	r := bytes.NewReader(b)
	for {
		f, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return frames
		}
		if err != nil {
			t.Fatalf("frame %d of %q: %v", len(frames), b, err)
		}
		frames = append(frames, f)
	}
}

// joined is what frames carried of one stream.
func joined(frames []frame, stream byte) string {
	var b bytes.Buffer
	for _, f := range frames {
		if f.stream == stream {
			b.Write(f.data)
		}
	}
	return b.String()
}
