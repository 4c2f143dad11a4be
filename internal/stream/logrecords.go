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
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// partBytes is where dockerd cuts a long line into records; only the last has a
	// newline. The json-file driver writes three bytes for one that is no text, so a
	// record may be three times as long.
	partBytes = 16 << 10
	// maxFrame bounds one record of an engine that has gone mad.
	maxFrame = 2 << 20
	// stampBytes is the length of dockerd's timestamps; others differ.
	stampBytes = len("2006-01-02T15:04:05.000000000Z")
)

// record is one message of a log as the engine keeps it: a line, or a part of a long one.
type record struct {
	time   int64
	stream Stream
	part   bool // the line goes on in a later record
	text   []byte
}

// records splits an engine's log into records. It is not safe for concurrent use.
type records struct {
	r           *bufio.Reader
	multiplexed bool
	stamps      stamps
	scratch     []byte
	rest        []byte // of a terminal's line that has several records
	ended       bool   // whether that line has its newline
}

func newRecords(s engine.LogStream) *records {
	return &records{r: bufio.NewReaderSize(s, 64<<10), multiplexed: s.Multiplexed}
}

// ready reports whether the next record is here already.
func (s *records) ready() bool {
	buffered, _ := s.r.Peek(s.r.Buffered())
	if !s.multiplexed {
		return s.rest != nil || bytes.IndexByte(buffered, '\n') >= 0
	}
	return len(buffered) >= 8 && len(buffered)-8 >= int(binary.BigEndian.Uint32(buffered[4:]))
}

// next returns the next record; its text is valid until the following call. io.EOF is a
// clean end; a record that was cut by the end of a connection is never returned.
func (s *records) next() (record, error) {
	if s.multiplexed {
		return s.nextFrame()
	}
	return s.nextRaw()
}

func (s *records) nextFrame() (record, error) {
	header, err := s.r.Peek(8)
	if err != nil {
		if errors.Is(err, io.EOF) && len(header) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return record{}, err
	}
	stream, size := Stream(header[0]), int(binary.BigEndian.Uint32(header[4:]))
	if stream == 3 { // the engine's own error, at the end of a stream
		_, _ = s.r.Discard(8)
		text, _ := io.ReadAll(io.LimitReader(s.r, int64(min(size, 4096))))
		return record{}, fmt.Errorf("the engine ended the log: %s", text)
	}
	if stream > Stderr || size > maxFrame {
		return record{}, fmt.Errorf("the engine's log is out of step: a frame of stream %d with %d bytes", stream, size)
	}
	if stream != Stderr {
		stream = Stdout
	}
	data, err := s.take(8, size)
	if err != nil {
		return record{}, err
	}
	text, ended := bytes.CutSuffix(data, []byte("\n"))
	at, text := s.stamps.cut(text)
	return newRecord(at, stream, text, ended), nil
}

// take returns the bytes behind a header, which are valid until the next read.
func (s *records) take(header, size int) ([]byte, error) {
	if header+size <= s.r.Size() {
		data, err := s.r.Peek(header + size)
		if err != nil {
			return nil, unexpected(err)
		}
		_, _ = s.r.Discard(header + size)
		return data[header:], nil
	}
	_, _ = s.r.Discard(header)
	if cap(s.scratch) < size {
		s.scratch = make([]byte, size)
	}
	_, err := io.ReadFull(s.r, s.scratch[:size])
	return s.scratch[:size], unexpected(err)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// newRecord tells parts from unfinished lines. dockerd's parts have at least partBytes; of
// an engine with whole seconds (Podman) a part may be of any length.
func newRecord(at int64, stream Stream, text []byte, ended bool) record {
	return record{time: at, stream: stream, text: text, part: !ended && (len(text) >= partBytes || whole(at))}
}

// nextRaw reads the log of a terminal. Its records stand one behind the other without a
// mark; those of a long line are found by their timestamps, which are all the same.
func (s *records) nextRaw() (record, error) {
	if s.rest == nil {
		line, err := s.readLine()
		if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
			return record{}, err
		}
		s.rest, s.ended = bytes.CutSuffix(line, []byte("\n"))
		if s.ended {
			s.rest = bytes.TrimSuffix(s.rest, []byte("\r"))
		}
	}
	line := s.rest
	s.rest = nil
	at, text := s.stamps.cut(line)
	if stamp := line[:len(line)-len(text)]; len(text) >= partBytes+len(stamp) && len(stamp) > 0 {
		if i := bytes.Index(text[partBytes:], stamp); i >= 0 {
			s.rest = text[partBytes+i:]
			return record{time: at, stream: Stdout, text: text[:partBytes+i], part: true}, nil
		}
	}
	return newRecord(at, Stdout, text, s.ended), nil
}

// readLine reads to the next newline. A line that does not end is cut.
func (s *records) readLine() ([]byte, error) {
	line, err := s.r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	s.scratch = append(s.scratch[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) && len(s.scratch) < maxFrame {
		line, err = s.r.ReadSlice('\n')
		s.scratch = append(s.scratch, line...)
	}
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	return s.scratch, err
}

// stamps reads the timestamps that an engine puts before each record.
type stamps struct {
	minute string // the last timestamp up to its minute, and what that is
	base   int64
	last   int64
}

// cut takes the timestamp off a record. A record without one has the time of the record
// before it.
func (s *stamps) cut(data []byte) (int64, []byte) {
	if len(data) >= stampBytes && data[stampBytes-1] == 'Z' && (len(data) == stampBytes || data[stampBytes] == ' ') {
		if at, ok := s.fixed(data[:stampBytes]); ok {
			s.last = at
			return at, data[min(stampBytes+1, len(data)):]
		}
	}
	head, text, _ := bytes.Cut(data[:min(len(data), 64)], []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(head))
	if err != nil {
		return s.last, data
	}
	s.last = at.UnixNano()
	return s.last, data[min(len(data), len(data[:min(len(data), 64)])-len(text)):]
}

// fixed reads dockerd's form. time.Parse takes ten times as long, which 10,000 lines a
// second feel.
func (s *stamps) fixed(b []byte) (int64, bool) {
	const minute = len("2006-01-02T15:04")
	if string(b[:minute]) != s.minute {
		at, err := time.Parse("2006-01-02T15:04", string(b[:minute]))
		if err != nil {
			return 0, false
		}
		s.minute, s.base = string(b[:minute]), at.UnixNano()
	}
	if b[minute] != ':' || b[minute+3] != '.' {
		return 0, false
	}
	seconds, ok := digits(b[minute+1 : minute+3])
	nanos, ok2 := digits(b[minute+4 : stampBytes-1])
	return s.base + seconds*int64(time.Second) + nanos, ok && ok2
}

func digits(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
