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

package streamapi

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// recordHeader is what a line has in front of its text in a frame: kind (1), stream (1),
// source (2), length of the text (4), time (8), and how many lines are lost or bytes cut
// (4), big-endian.
const recordHeader = 20

// appendRecords spells lines for a frame.
func appendRecords(dst []byte, lines []stream.Line) []byte {
	for i := range lines {
		l := &lines[i]
		extra := uint64(l.Cut)
		if l.Kind == stream.LineGap {
			extra = l.Lost
		}
		dst = append(dst, byte(l.Kind), byte(l.Stream))
		dst = binary.BigEndian.AppendUint16(dst, uint16(l.Source))
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(l.Text)))
		dst = binary.BigEndian.AppendUint64(dst, uint64(l.Time))
		dst = binary.BigEndian.AppendUint32(dst, uint32(min(extra, math.MaxUint32)))
		dst = append(dst, l.Text...)
	}
	return dst
}

// logHeader is the header of a frame of lines.
type logHeader struct {
	// Count is how many lines there are.
	Count int `json:"count"`
	// Cursors are where to resume behind this frame, of the sources that it has lines of,
	// by index.
	Cursors map[uint32]string `json:"cursors,omitempty"`
}

// timeLayout is RFC 3339 with all of its nine digits, as engines and Pods write it.
const timeLayout = "2006-01-02T15:04:05.000000000Z07:00"

// appendText spells lines as text. What is no line of the log stands between dashes.
func appendText(dst []byte, lines []stream.Line, timed bool, name func(*stream.Line) string) []byte {
	for i := range lines {
		l := &lines[i]
		if l.Kind != stream.LineText {
			dst = appendRemark(dst, l)
			continue
		}
		if name != nil {
			dst = append(append(append(dst, '['), name(l)...), "] "...)
		}
		if timed {
			dst = append(l.At().AppendFormat(dst, timeLayout), ' ')
		}
		dst = append(dst, l.Text...)
		if l.Cut > 0 {
			dst = append(dst, " [... "...)
			dst = append(strconv.AppendUint(dst, uint64(l.Cut), 10), " bytes more]"...)
		}
		dst = append(dst, '\n')
	}
	return dst
}

// appendRemark says in a text what happened to the log.
func appendRemark(dst []byte, l *stream.Line) []byte {
	switch {
	case l.Kind == stream.LineGap && l.Lost == 0:
		return append(dst, "--- lines are missing here; how many is not known ---\n"...)
	case l.Kind == stream.LineGap:
		dst = strconv.AppendUint(append(dst, "--- "...), l.Lost, 10)
		return append(dst, " lines are missing here ---\n"...)
	case l.Kind == stream.LineInterrupted:
		dst = append(append(dst, "--- interrupted: "...), l.Text...)
		return append(dst, " ---\n"...)
	case l.Kind == stream.LineResumed:
		return append(dst, "--- resumed ---\n"...)
	}
	return dst // the end of a container shows by itself
}

// remarks name what is no line of the log in JSON.
var remarks = map[stream.LineKind]string{
	stream.LineGap: "gap", stream.LineInterrupted: "interrupted", stream.LineResumed: "resumed", stream.LineStopped: "stopped",
}

// appendJSON spells lines as JSON objects, one a line. source, where it is not nil, is JSON
// members that say whose line it is, with a comma behind them.
func appendJSON(dst []byte, lines []stream.Line, source func(*stream.Line) string) []byte {
	for i := range lines {
		l := &lines[i]
		dst = append(dst, '{')
		if l.Kind != stream.LineText {
			dst = append(append(append(dst, `"type":"`...), remarks[l.Kind]...), `",`...)
		}
		if source != nil {
			dst = append(dst, source(l)...)
		}
		dst = append(dst, `"time":"`...)
		dst = append(l.At().AppendFormat(dst, time.RFC3339Nano), '"')
		switch l.Kind {
		case stream.LineText:
			dst = appendLine(dst, l)
		case stream.LineGap:
			dst = strconv.AppendUint(append(dst, `,"lost":`...), l.Lost, 10)
		case stream.LineInterrupted:
			dst = appendString(append(dst, `,"message":`...), string(l.Text))
		}
		dst = append(dst, "}\n"...)
	}
	return dst
}

// appendLine spells a line of the log. Bytes that are no text go as base64.
func appendLine(dst []byte, l *stream.Line) []byte {
	dst = append(append(append(dst, `,"stream":"`...), l.Stream.String()...), '"')
	if utf8.Valid(l.Text) {
		dst = appendString(append(dst, `,"text":`...), string(l.Text))
	} else {
		dst = append(dst, `,"bytes":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, l.Text), '"')
	}
	if l.Cut > 0 {
		dst = strconv.AppendUint(append(dst, `,"cut":`...), uint64(l.Cut), 10)
	}
	return append(append(append(dst, `,"cursor":"`...), l.Cursor.String()...), '"')
}

func appendString(dst []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // a string always encodes
		return append(dst, `""`...)
	}
	return append(dst, text...)
}
