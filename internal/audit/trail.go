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
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

const (
	// DefaultMaxSize is when a file is rotated, in bytes. With DefaultMaxFiles it
	// bounds a trail at 1 GB: about two million records of 500 bytes.
	DefaultMaxSize = 100 << 20
	// DefaultMaxFiles is how many files are kept.
	DefaultMaxFiles = 10

	// writeTimeout bounds how long a caller waits for its record, and how long Close
	// waits for the writer. A disk that takes longer holds up every change.
	writeTimeout = 5 * time.Second
	// syncDelay is how long an appended line may wait for the disk.
	syncDelay = time.Second
	// queueLength is how many records may wait for the writer. More wait in their
	// callers, which costs the same.
	queueLength = 64
)

// ErrClosed says that a Trail takes no more records.
var ErrClosed = errors.New("the audit trail is closed")

// TrailOptions say where a Trail is written.
type TrailOptions struct {
	// Path is the file; "-" is standard output.
	Path string
	// MaxSize is when a file is rotated, in bytes, and MaxFiles how many are kept, the
	// current one included; at least two. Zero is the default of each.
	MaxSize  int64
	MaxFiles int
	// Key is what the MACs are made with: at least 32 bytes, secret, for nothing else,
	// and the same for Verify. Keyring's purpose AuditChain is made for it.
	Key []byte
	// Copy takes each line as well, once it is in the file: standard output, for whoever
	// collects it. What fails there is logged and refuses nothing, since the file has
	// it; a gap of the copy shows in its chain. One that blocks holds up the trail.
	Copy io.Writer
	// Replica names this process in the chain; empty is the host's name.
	Replica string
	// Log hears what nobody waits for: a sync that failed, a line that was cut off.
	Log logr.Logger
}

// Trail is the Recorder that writes JSON lines, chained by MACs. Its owner opens it
// before everything that records, and closes it after.
type Trail struct {
	requests chan request
	stop     chan struct{} // closed by Close
	done     chan struct{} // closed by the writer when it has ended
	stopOnce sync.Once
	closeErr error // set before done is closed

	head atomic.Pointer[Head]

	// The rest is the writer's.
	sink  sink
	key   []byte
	chain string
	log   logr.Logger
}

type request struct {
	ctx    context.Context
	record Record
	reply  chan error // has room for the one answer
}

// OpenTrail opens the trail and begins a chain. The error says what is wrong with
// the file; nothing is left open then.
func OpenTrail(o TrailOptions) (*Trail, error) {
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.MaxFiles == 0 {
		o.MaxFiles = DefaultMaxFiles
	}
	if o.MaxSize < maxLine || o.MaxFiles < 2 {
		return nil, fmt.Errorf("an audit trail of %d files of %d bytes is too small: at least 2 files of %d bytes", o.MaxFiles, o.MaxSize, maxLine)
	}
	if o.Replica == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("naming the audit chain: %w", err)
		}
		o.Replica = name
	}
	if o.Path == "-" {
		return newTrail(o, &stream{w: os.Stdout}, Head{}, 0)
	}
	f, last, cut, err := openFile(o.Path, o.MaxSize, o.MaxFiles)
	if err != nil {
		return nil, err
	}
	t, err := newTrail(o, f, last, cut)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	if cut > 0 {
		o.Log.Info("The audit trail ended in half a record, which was cut off: a process died while writing it", "file", o.Path, "bytes", cut)
	}
	return t, nil
}

func newTrail(o TrailOptions, s sink, follows Head, cut int64) (*Trail, error) {
	if err := checkKey(o.Key); err != nil {
		return nil, err
	}
	if o.Copy != nil {
		s = &tee{sink: s, copy: &stream{w: o.Copy}, log: o.Log}
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	replica := cleanText(o.Replica, maxWord)
	t := &Trail{
		requests: make(chan request, queueLength),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		sink:     s,
		key:      slices.Clone(o.Key),
		chain:    replica + "-" + hex.EncodeToString(id[:]),
		log:      o.Log,
	}
	begin := line{Chain: t.chain, Start: &start{Version: 1, Time: time.Now().UTC(), Replica: replica, Cut: cut}}
	if follows != (Head{}) {
		begin.Start.Follows = &follows
	}
	if err := t.append(begin); err != nil {
		return nil, err
	}
	go t.run()
	return t, nil
}

// Head returns the last line that was written.
func (t *Trail) Head() Head { return *t.head.Load() }

// Record writes the record, and returns when the operating system has it. It waits
// until ctx ends, and 5 s at most.
func (t *Trail) Record(ctx context.Context, r Record) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	req := request{ctx: ctx, record: r.clean(), reply: make(chan error, 1)}
	select {
	case t.requests <- req:
	case <-ctx.Done():
		return late(ctx)
	case <-t.done:
		return ErrClosed
	}
	select {
	case err := <-req.reply:
		return err
	case <-ctx.Done():
		return late(ctx)
	case <-t.done:
	}
	select { // the writer may have answered just before it ended
	case err := <-req.reply:
		return err
	default:
		return ErrClosed
	}
}

func late(ctx context.Context) error {
	return fmt.Errorf("the audit trail did not take a record in time: %w", context.Cause(ctx))
}

// Close writes what was handed in, brings it to disk and ends the writer. It waits
// 5 s at most: a write that hangs in the operating system cannot be ended.
func (t *Trail) Close() error {
	t.stopOnce.Do(func() { close(t.stop) })
	timer := time.NewTimer(writeTimeout)
	defer timer.Stop()
	select {
	case <-t.done:
		return t.closeErr
	case <-timer.C:
		return errors.New("closing the audit trail: a write hangs")
	}
}

// run is the writer: the only one that touches the chain and the sink.
func (t *Trail) run() {
	defer close(t.done)
	unsynced := time.NewTimer(0)
	<-unsynced.C
	armed := false
	for {
		select {
		case req := <-t.requests:
			if t.serve(req) && !armed {
				unsynced.Reset(syncDelay)
				armed = true
			}
		case <-unsynced.C:
			armed = false
			if err := t.sink.sync(); err != nil {
				t.log.Error(err, "The audit trail could not be brought to disk; records of the last second may be missing there")
			}
		case <-t.stop:
			unsynced.Stop()
			for {
				select {
				case req := <-t.requests:
					t.serve(req)
				default:
					t.closeErr = t.sink.close()
					return
				}
			}
		}
	}
}

// serve writes a record, unless its caller has given up, and reports whether it did.
func (t *Trail) serve(req request) bool {
	if req.ctx.Err() != nil {
		return false
	}
	h := t.Head()
	err := t.append(line{
		Seq: h.Seq + 1, Chain: t.chain, Prev: h.MAC,
		Record: &req.record, DurationSeconds: req.record.Duration.Seconds(),
	})
	req.reply <- err
	return err == nil
}

func (t *Trail) append(l line) error {
	b, mac, err := l.encode(t.key)
	if err != nil {
		return err
	}
	if err := t.sink.append(b); err != nil {
		return err
	}
	t.head.Store(&Head{Chain: t.chain, Seq: l.Seq, MAC: mac})
	return nil
}
