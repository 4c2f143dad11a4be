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
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// frameHeader is the size of the header before each frame: the stream's number,
// three zeros, and the payload's length.
const frameHeader = 8

// demultiplex hands on what r sends, in parts of at most maxChunk bytes that are
// valid during the call, until it ends: io.EOF is a clean end. What a frame says of
// its length is never believed enough to take memory for it.
func demultiplex(r io.Reader, multiplexed bool, take func(Stream, []byte) error) error {
	buffer := make([]byte, maxChunk)
	if !multiplexed {
		for {
			n, err := r.Read(buffer)
			if n > 0 {
				if err := take(Stdout, buffer[:n]); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
		}
	}
	in := bufio.NewReaderSize(r, maxChunk)
	for {
		stream, length, err := readFrameHeader(in)
		if err != nil {
			return err
		}
		for length > 0 {
			n, err := in.Read(buffer[:min(length, maxChunk)])
			if n > 0 {
				length -= int64(n)
				if err := take(stream, buffer[:n]); err != nil {
					return err
				}
			}
			if err != nil {
				return cutFrame(err)
			}
		}
	}
}

func readFrameHeader(in io.Reader) (Stream, int64, error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = cutFrame(err)
		}
		return 0, 0, err
	}
	length := int64(binary.BigEndian.Uint32(header[4:]))
	switch {
	case header[1]|header[2]|header[3] != 0 || header[0] > 3:
		return 0, 0, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's output is out of step: a frame begins with %v", header)
	case header[0] >= byte(Stderr): // 3 is an error of the engine's own
		return Stderr, length, nil
	}
	return Stdout, length, nil
}

// cutFrame is the error of a connection that ended within a frame.
func cutFrame(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return engine.Errorf(engine.ClassUnreachable, engine.CauseDialFailed, "the engine's output was cut off: %w", fmt.Errorf("within a frame: %w", io.ErrUnexpectedEOF))
	}
	return err
}
