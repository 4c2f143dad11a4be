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
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// maxLine bounds a line with its newline, in bytes. See the bounds of a Record.
	maxLine = 64 << 10
	// minKey is the least length of a key, in bytes: that of the MAC itself.
	minKey = sha256.Size
)

// line is what a Trail writes: a Record or a start, and its place in the chain. Its
// MAC follows as the last field, over all bytes before that field.
type line struct {
	Seq   uint64 `json:"seq"`
	Chain string `json:"chain"`
	// Prev is the MAC of the line before in the same chain.
	Prev  string `json:"prev,omitempty"`
	Start *start `json:"start,omitempty"`
	*Record
	DurationSeconds float64 `json:"durationSeconds,omitempty"`
}

// start is the first line of a chain, with sequence number 0.
type start struct {
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
	Replica string    `json:"replica"`
	// Follows is the last line the file had before, if any.
	Follows *Head `json:"follows,omitempty"`
	// Cut is how many bytes of an unfinished line were taken off the file's end.
	Cut int64 `json:"cut,omitempty"`
}

// Head is a line of a chain by its number and MAC. Kept away from the files, it
// shows whether their tail was cut.
type Head struct {
	Chain string `json:"chain"`
	Seq   uint64 `json:"seq"`
	MAC   string `json:"mac"`
}

// String returns the head as "chain:seq:mac", which ParseHead reads.
func (h Head) String() string { return fmt.Sprintf("%s:%d:%s", h.Chain, h.Seq, h.MAC) }

// ParseHead reads what Head.String returns.
func ParseHead(s string) (Head, error) {
	rest, mac, ok1 := cutLast(s, ":")
	chain, seq, ok2 := cutLast(rest, ":")
	n, err := strconv.ParseUint(seq, 10, 64)
	if !ok1 || !ok2 || err != nil || chain == "" || len(mac) != macLen {
		return Head{}, fmt.Errorf("%q is not the head of an audit chain, which reads chain:number:mac", s)
	}
	return Head{Chain: chain, Seq: n, MAC: mac}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// A line ends in macField, the MAC in hexadecimal, and lineEnd.
const (
	macField = `,"mac":"`
	lineEnd  = `"}`
	macLen   = 2 * sha256.Size
)

// checkKey refuses a key that is too short to be one.
func checkKey(key []byte) error {
	if len(key) < minKey {
		return fmt.Errorf("the key of the audit chain has %d bytes, and needs %d", len(key), minKey)
	}
	return nil
}

// encode returns the line with its MAC and a newline, and the MAC.
func (l line) encode(key []byte) ([]byte, string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // for people to read, and half the bytes
	if err := enc.Encode(l); err != nil {
		return nil, "", fmt.Errorf("encoding an audit record: %w", err)
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("}\n"))
	mac := macOf(key, out)
	out = append(out, macField+mac+lineEnd+"\n"...)
	if len(out) > maxLine {
		return nil, "", fmt.Errorf("an audit record of %d bytes is longer than a line may be (%d)", len(out), maxLine)
	}
	return out, mac, nil
}

// written is about when the line was written: when what it speaks of was over.
func (l line) written() time.Time {
	if l.Start != nil {
		return l.Start.Time
	}
	return l.Time.Add(l.Duration)
}

// replicaOf returns the replica that a chain is of: what is before the random end of
// its name.
func replicaOf(chain string) string {
	replica, _, _ := cutLast(chain, "-")
	return replica
}

var errNotALine = errors.New("not a line of an audit trail")

// decode reads a line without its newline. signed are the bytes that the MAC is
// over; whether it is theirs, the caller must check.
func decode(b []byte) (l line, signed []byte, mac string, err error) {
	tail := len(macField) + macLen + len(lineEnd)
	if len(b) <= tail {
		return line{}, nil, "", errNotALine
	}
	signed, end := b[:len(b)-tail], string(b[len(b)-tail:])
	mac, ok := strings.CutPrefix(end, macField)
	if !ok || !strings.HasSuffix(mac, lineEnd) {
		return line{}, nil, "", errNotALine
	}
	if err := json.Unmarshal(b, &l); err != nil || l.Chain == "" || (l.Start == nil) == (l.Record == nil) || (l.Start != nil) != (l.Seq == 0) {
		return line{}, nil, "", errNotALine
	}
	if l.Record != nil {
		l.Duration = time.Duration(l.DurationSeconds * float64(time.Second))
	}
	return l, signed, mac[:macLen], nil
}

func macOf(key, signed []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write(signed)
	return hex.EncodeToString(h.Sum(nil))
}
