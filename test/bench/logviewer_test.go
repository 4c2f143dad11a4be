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

package bench

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/dockercontrol/dockercontrol/internal/proxy/streamapi"
)

// latencyEvery is how many lines go by for each one whose way is timed.
const latencyEvery = 64

// tally is what one viewer has seen. A line must have the number that follows the last
// one's, but for gaps, which say how many are missing.
type tally struct {
	next      uint64 // the number that is to come
	word      uint64 // as it is written
	delivered uint64
	gaps      uint64 // lines that a gap has told of
	lost      uint64 // lines that are missing, and nothing has told of
	again     uint64 // lines that came twice
	inTime    uint64 // of delivered
	ways      []float32
}

func newTally() *tally { return &tally{word: numeral(0), ways: make([]float32, 0, 4096)} }

// line counts a line. It returns whether its way is to be timed.
func (t *tally) line(text []byte) bool {
	if len(text) < seqDigits {
		t.lost++
		return false
	}
	word := binary.BigEndian.Uint64(text)
	if word != t.word {
		n, ok := numberOf(word)
		switch {
		case !ok:
			return false // no line of the writer's
		case n < t.next:
			t.again++
			return false
		}
		t.lost += n - t.next
		t.next, t.word = n, word
	}
	t.delivered++
	t.step()
	return t.delivered%latencyEvery == 1
}

func (t *tally) step() {
	t.next++
	t.word++
	if byte(t.word) > '9' {
		t.word = numeral(t.next)
	}
}

func (t *tally) gap(lost uint64) {
	t.gaps += lost
	t.next += lost
	t.word = numeral(t.next)
}

func (t *tally) took(way time.Duration) { t.ways = append(t.ways, float32(way.Seconds())) }

// The parts of a message and of a record in it, as docs/streams.md has them.
const (
	messagePrefix, messageLog                   = 9, 1
	recordPrefix, recordText, recordGap         = 20, 0, 1
	recordLengthAt, recordTimeAt, recordExtraAt = 4, 8, 16
)

// message counts the lines of a message.
func (t *tally) message(data []byte, arrived time.Time) error {
	if len(data) < messagePrefix || data[0] != messageLog {
		return nil // says what the source is
	}
	at, now := messagePrefix+int(binary.BigEndian.Uint32(data[5:])), arrived.UnixNano()
	for at < len(data) {
		r := data[at:]
		if len(r) < recordPrefix {
			return fmt.Errorf("a record of %d bytes", len(r))
		}
		end := recordPrefix + int(binary.BigEndian.Uint32(r[recordLengthAt:]))
		if end > len(r) {
			return fmt.Errorf("a record of %d bytes in %d", end, len(r))
		}
		switch r[0] {
		case recordText:
			if t.line(r[recordPrefix:end]) {
				t.took(time.Duration(now - int64(binary.BigEndian.Uint64(r[recordTimeAt:]))))
			}
		case recordGap:
			t.gap(uint64(binary.BigEndian.Uint32(r[recordExtraAt:])))
		default:
			return fmt.Errorf("the log was interrupted (%d): %s", r[0], r[recordPrefix:end])
		}
		at += end
	}
	return nil
}

// messages are shared by all viewers: one needs a buffer no longer than a message is read.
var messages = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// viewer is one of many who look at a log over a WebSocket of their own.
type viewer struct {
	*tally
	ws *websocket.Conn
}

// dialViewer opens a WebSocket. It returns when the server has begun to send.
func dialViewer(ctx context.Context, way *api, path string) (*websocket.Conn, error) {
	transport := way.http.Transport.(*http.Transport)
	d := websocket.Dialer{
		HandshakeTimeout: time.Minute, Subprotocols: []string{streamapi.Protocol},
		TLSClientConfig: &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs},
	}
	ws, resp, err := d.DialContext(ctx, "wss"+way.base[len("https"):]+path, http.Header{"Authorization": {"Bearer " + way.token}})
	if err == nil {
		return ws, nil
	}
	if resp != nil {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		err = fmt.Errorf("%w: %s: %s", err, resp.Status, text)
	}
	return nil, fmt.Errorf("opening %s: %w", path, err)
}

func openViewer(ctx context.Context, way *api, path string) (*viewer, error) {
	ws, err := dialViewer(ctx, way, path)
	if err != nil {
		return nil, err
	}
	if kind, text, err := ws.ReadMessage(); err != nil || kind != websocket.TextMessage {
		_ = ws.Close()
		return nil, fmt.Errorf("the first message is no text that the viewer is subscribed: %q, %w", text, err)
	}
	return &viewer{tally: newTally(), ws: ws}, nil
}

// watch counts until the last line has come, or until patience is at its end.
func (v *viewer) watch(run *logRun) error {
	defer v.ws.Close()
	_ = v.ws.SetReadDeadline(run.cutoff.Add(drainLimit))
	for v.next < run.lines {
		if err := v.read(run); err != nil {
			return err
		}
	}
	return nil
}

func (v *viewer) read(run *logRun) error {
	kind, r, err := v.ws.NextReader()
	if err != nil {
		return err
	}
	buffer := messages.Get().(*[]byte)
	defer messages.Put(buffer)
	n := 0
	for {
		if n == len(*buffer) {
			*buffer = append(*buffer, make([]byte, len(*buffer))...)
		}
		m, err := r.Read((*buffer)[n:])
		n += m
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if kind == websocket.TextMessage {
		return fmt.Errorf("the stream ended: %s", (*buffer)[:n])
	}
	arrived := time.Now()
	if err := v.message((*buffer)[:n], arrived); err != nil {
		return err
	}
	if arrived.Before(run.cutoff) {
		v.inTime = v.delivered
	}
	return nil
}
