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
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
)

// patience is how long a client may take nothing of a chunked answer: "curl | less" stands
// still while somebody reads. It loses what it is late for (a gap says so), and nobody
// waits for it.
const patience = 5 * time.Minute

// lastWrite is how long a write may still take that is under way when its right is lost: a
// client that reads is told why its stream ends, which a write that was cut leaves no room for.
const lastWrite = time.Second

// opener opens a feed in a context that ends with the stream.
type opener func(ctx context.Context) (feed, error)

// serveFeed answers with a feed: over a WebSocket where the client asks for one, else
// chunked, in the format.
func (c *call) serveFeed(as format, stream metrics.Stream, rights []authz.Right, open opener) error {
	release, err := c.slot()
	if err != nil {
		return err
	}
	defer release()
	ctx, stop := c.guard(c.r.Context(), rights...)
	defer stop()
	if isWebSocket(c.r) {
		return c.serveSocket(ctx, stream, open)
	}
	defer metrics.Open(ctx, stream)()
	fd, err := open(ctx)
	if err != nil {
		return cause(ctx, err)
	}
	defer fd.close()
	_ = conn.Patience(c.r, patience) // else the kernel's own, 30 s, holds
	out := &lines{w: c.w, control: http.NewResponseController(c.w), ctx: ctx, kind: stream}
	out.begin(as)
	err = out.run(fd)
	if err == nil || errors.Is(err, errClient) {
		return nil
	}
	return c.cut(out, as, cause(ctx, err))
}

// cut ends an answer that is not whole. JSON says why; text has no place for it, so that its
// connection is reset, or a client would take the cut for the log's end.
func (c *call) cut(out *lines, as format, err error) error {
	status := failure(err)
	c.h.options.Log.V(1).Info("A stream was cut", "requestID", c.who.RequestID, "verb", c.verb, "host", c.at.Key(), "reason", status.Message)
	if as == formatJSON && out.fail(status) == nil {
		return nil
	}
	_ = conn.Reset(c.r)
	panic(http.ErrAbortHandler)
}

// failure is the Status that tells a client why its stream ends.
func failure(err error) metav1.Status {
	var status *apierrors.StatusError
	if !errors.As(statusOf(err), &status) {
		status = apierrors.NewInternalError(errors.New("the stream broke"))
	}
	s := status.ErrStatus
	s.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	return s
}

// cause is why a context ended, where it has, else err.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// errClient says that the client took no more.
var errClient = errors.New("the client has gone")

// lines writes a feed as a chunked answer.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	ctx     context.Context
	kind    metrics.Stream
}

// begin sends the headers.
func (l *lines) begin(as format) {
	h := l.w.Header()
	h.Set("Content-Type", as.contentType())
	h.Set("Cache-Control", "no-cache, private")
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would hold lines back
	l.move()
	l.w.WriteHeader(http.StatusOK)
	_ = l.control.Flush()
	l.rest()
}

// move gives the next write its deadline. There is none for reading: net/http waits for the
// client's end meanwhile, and would take a quiet stream's deadline for it.
func (l *lines) move() { _ = l.control.SetWriteDeadline(time.Now().Add(patience)) }

// rest takes back the deadline of a write that is done: over HTTP/2 it would end a stream
// that is merely quiet.
func (l *lines) rest() { _ = l.control.SetWriteDeadline(time.Time{}) }

// run writes until the feed or the client ends.
func (l *lines) run(fd feed) error {
	for {
		f, err := fd.next()
		switch {
		case l.ctx.Err() != nil: // whatever came: it is neither shown nor an end
			return context.Cause(l.ctx)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if len(f.body) == 0 {
			continue
		}
		l.move()
		if err := l.write(f.body); err != nil {
			return cause(l.ctx, err)
		}
		metrics.Sent(l.kind, len(f.body))
	}
}

// write is not for the last word, which comes when ctx has ended.
func (l *lines) write(p []byte) error {
	defer l.rest()
	defer conn.CutWrites(l.ctx, l.control, lastWrite)()
	return l.put(p)
}

func (l *lines) put(p []byte) error {
	if _, err := l.w.Write(p); err != nil {
		return errClient
	}
	if l.control.Flush() != nil {
		return errClient
	}
	return nil
}

// fail writes the last line of a stream of JSON that did not end by itself.
func (l *lines) fail(status metav1.Status) error {
	text, err := json.Marshal(map[string]any{"type": "error", "status": status})
	if err != nil {
		return err
	}
	_ = l.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	return l.put(append(text, '\n'))
}

// writeTimeout bounds the last word of a stream.
const writeTimeout = 10 * time.Second
