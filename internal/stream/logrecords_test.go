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
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// frame is one frame of a multiplexed log.
func frame(stream byte, data string) string {
	header := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(header[4:], uint32(len(data)))
	return string(header) + data
}

const stamp = "2026-03-01T12:00:00.000000001Z "

// collected is a lineSink that spells what it gets.
type collected []string

func (c *collected) putLine(l Line, _ uint64) {
	s := fmt.Sprintf("%s %s %s", l.Stream, l.At().Format(time.RFC3339Nano), l.Text)
	if l.Cut > 0 {
		s += fmt.Sprintf(" cut %d", l.Cut)
	}
	*c = append(*c, s)
}

// readLines reads a log as a backfill does.
func readLines(r io.Reader, multiplexed bool) (collected, error) {
	records := newRecords(engine.LogStream{ReadCloser: io.NopCloser(r), Multiplexed: multiplexed})
	var s sequence
	var lines collected
	for {
		r, err := records.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				s.finishAll(&lines)
			}
			return lines, err
		}
		s.add(r, r.checksum(), &lines)
	}
}

func TestLogRecords(t *testing.T) {
	const at = "2026-03-01T12:00:00.000000001Z "
	part, long := strings.Repeat("p", partBytes), strings.Repeat("l", MaxLine/64)
	var endless strings.Builder
	for range 66 {
		endless.WriteString(frame(1, stamp+long))
	}
	for _, test := range []struct {
		what, log string
		tty       bool
		want      []string
		err       error
	}{
		{"nothing", "", false, nil, io.EOF},
		{"both streams", frame(1, stamp+"one\n") + frame(2, stamp+"two\n"), false, []string{"stdout " + at + "one", "stderr " + at + "two"}, io.EOF},
		{"empty line", frame(1, stamp+"\n"), false, []string{"stdout " + at}, io.EOF},
		{"any bytes", frame(1, stamp+"\x00\xff\r\n"), false, []string{"stdout " + at + "\x00\xff\r"}, io.EOF},
		{"no newline at the end", frame(1, stamp+"one\n") + frame(1, stamp+"two"), false, []string{"stdout " + at + "one", "stdout " + at + "two"}, io.EOF},
		{"time of another zone", frame(1, "2026-03-01T13:00:00+01:00 one\n"), false, []string{"stdout 2026-03-01T12:00:00Z one"}, io.EOF},
		{"no time", frame(1, stamp+"one\n") + frame(1, "two\n"), false, []string{"stdout " + at + "one", "stdout " + at + "two"}, io.EOF},
		{"parts", frame(1, stamp+part) + frame(2, stamp+"between\n") + frame(1, stamp+"end\n"), false, []string{"stderr " + at + "between", "stdout " + at + part + "end"}, io.EOF},
		{"parts without an end", frame(1, stamp+part), false, []string{"stdout " + at + part}, io.EOF},
		{"longer than any line", endless.String() + frame(1, stamp+"end\n"), false,
			[]string{"stdout " + at + strings.Repeat("l", MaxLine) + fmt.Sprintf(" cut %d", 2*len(long)+3)}, io.EOF},
		{"cut in a header", frame(1, stamp+"one\n") + "\x01\x00", false, []string{"stdout " + at + "one"}, io.ErrUnexpectedEOF},
		{"cut in a frame", frame(1, stamp+"one\n")[:20], false, nil, io.ErrUnexpectedEOF},
		{"terminal", stamp + "one\r\n" + stamp + "two\r\n", true, []string{"stdout " + at + "one", "stdout " + at + "two"}, io.EOF},
		{"terminal without an end", stamp + "one\r\n" + stamp + "$ ", true, []string{"stdout " + at + "one", "stdout " + at + "$ "}, io.EOF},
		{"terminal with parts", stamp + part + stamp + part + stamp + "end\r\n" + stamp + "two\r\n", true, []string{"stdout " + at + part + part + "end", "stdout " + at + "two"}, io.EOF},
	} {
		for _, reader := range []io.Reader{strings.NewReader(test.log), iotest.HalfReader(strings.NewReader(test.log))} {
			got, err := readLines(reader, !test.tty)
			if !errors.Is(err, test.err) {
				t.Errorf("%s: the end is %v; want %v", test.what, err, test.err)
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) && (len(got) > 0 || len(test.want) > 0) {
				t.Errorf("%s: got %.200q; want %.200q", test.what, got, test.want)
			}
		}
	}
}

func TestLogRecordsOfMadEngine(t *testing.T) {
	for what, log := range map[string]string{
		"a stream that there is none": frame(7, stamp+"one\n"),
		"a frame without measure":     "\x01\x00\x00\x00\xff\xff\xff\xff" + stamp,
		"the engine's own error":      frame(3, "disk on fire"),
	} {
		_, err := readLines(strings.NewReader(log), true)
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: the end is %v; want an error", what, err)
		}
	}
}

// FuzzLogRecords gives an engine's answer any bytes: nothing panics, and every line that
// comes out is bounded.
func FuzzLogRecords(f *testing.F) {
	f.Add([]byte(frame(1, stamp+"one\n")+frame(2, stamp+"two")), true)
	f.Add([]byte(stamp+"one\r\n"+stamp+"two"), false)
	f.Add([]byte(stamp+strings.Repeat("p", partBytes)+stamp+"two\r\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, multiplexed bool) {
		lines, err := readLines(bytes.NewReader(data), multiplexed)
		if err == nil {
			t.Error("no end")
		}
		total := 0
		for _, l := range lines {
			total += len(l)
		}
		if total > len(data)+64*len(lines) {
			t.Errorf("%d bytes of lines out of %d", total, len(data))
		}
	})
}

func TestCursorText(t *testing.T) {
	for _, c := range []Cursor{{}, {Time: 1}, {Time: 1_772_000_000_123_456_789, N: 12, Sum: 0xfedcba98}} {
		got, err := ParseCursor(c.String())
		if err != nil || got != c {
			t.Errorf("%q is read as %v, %v; want %v", c.String(), got, err, c)
		}
	}
	for _, s := range []string{"1", "1.2", "a.1.1", "1.-1.1", "1.1.g", "-1.0.0", "0.0.0", "1.1.1.1", "1.4294967296.1", strings.Repeat("1", 65), "99999999999999999999.1.1"} {
		if c, err := ParseCursor(s); err == nil {
			t.Errorf("%q is read as %v", s, c)
		}
	}
}

// TestLogOfTerminal resumes a log that has no frames.
func TestLogOfTerminal(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		b.log.tty = true
		v := b.open(LogQuery{Follow: true, Tail: -1})
		b.say(numbers(1, 100)...)
		b.want("before", b.read(v, 100), numbers(1, 100))
		b.log.cut()
		b.read(v, 1)
		part := strings.Repeat("p", partBytes)
		b.log.write(fakeRecord{stream: Stdout, time: b.at + 1, text: part, part: true}, fakeRecord{stream: Stdout, time: b.at + 1, text: "end\r"})
		b.want("after", b.read(v, 2), []string{"<resumed>", part + "end"})
	})
}
