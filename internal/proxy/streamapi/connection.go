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
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/wsock"
)

const (
	// Protocol is the subprotocol of the streams' WebSockets.
	Protocol = "v1.stream.dockercontrol.dev"
	// Path is where one WebSocket carries many subscriptions.
	Path = "/stream"
	// MaxSubscriptions is how many a connection may have at once.
	MaxSubscriptions = 200
	// maxMessage bounds a client's message: 800 cursors of 200 bytes.
	maxMessage = 256 << 10
	// prefixLength is what a data message begins with: a byte for what it holds, 4 for the
	// subscription, 4 for the length of the header.
	prefixLength = 9
)

func isWebSocket(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

// ServeMany serves Path.
func (h *Handler) ServeMany(w http.ResponseWriter, r *http.Request) {
	c := &call{h: h, w: w, r: r, who: caller.From(r.Context()), verb: "stream"}
	if err := h.serveMany(c); err != nil {
		c.fail(err)
	}
}

func (h *Handler) serveMany(c *call) error {
	if c.who == nil {
		return apistatus.Unauthorized("nobody is known to have sent this request")
	}
	if c.r.Method != http.MethodGet {
		return apistatus.MethodNotAllowed(http.MethodGet)
	}
	release, err := c.slot()
	if err != nil {
		return err
	}
	defer release()
	ctx, stop := c.guard(c.r.Context())
	defer stop()
	defer metrics.Open(ctx, metrics.Connection)()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	x, err := c.accept(ctx, cancel)
	if err != nil {
		return nil // answered
	}
	defer x.end()
	x.read()
	return nil
}

// serveSocket serves one feed over a WebSocket of its own, as subscription 0. What prevents
// it is said before the connection is taken over, where a client sees a Status.
func (c *call) serveSocket(ctx context.Context, kind metrics.Stream, open opener) error {
	// The feed ends with the connection: what says nothing must not wait for its next word.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fd, err := open(ctx)
	if err != nil {
		return cause(ctx, err)
	}
	x, err := c.accept(ctx, cancel)
	if err != nil {
		fd.close()
		return nil // answered
	}
	defer x.end()
	x.single = true
	s := x.add(request{}, kind)
	x.running.Go(func() {
		defer x.cancel(errClient)
		s.run(func(context.Context) (feed, error) { return fd, nil })
	})
	x.read()
	return nil
}

// connection is a WebSocket with its subscriptions. Its goroutines are the handler's, which
// reads, and one for each subscription.
type connection struct {
	call    *call
	ws      *wsock.Conn
	single  bool
	ctx     context.Context
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
	leave   func()

	mu            sync.Mutex
	subscriptions map[uint32]*subscription
}

// accept takes the request over, or answers it. end must be called; it cancels ctx.
func (c *call) accept(ctx context.Context, cancel context.CancelCauseFunc) (*connection, error) {
	ws, err := wsock.Accept(c.w, c.r, wsock.Options{Protocols: []string{Protocol}, ReadLimit: maxMessage, Ping: c.h.ping})
	if err != nil {
		return nil, err
	}
	c.h.open.Add(1)
	x := &connection{call: c, ws: ws, ctx: ctx, cancel: cancel, subscriptions: map[uint32]*subscription{}}
	// What ends the context says so, and the reader ends with the connection.
	unwatch := context.AfterFunc(x.ctx, func() { x.farewell(context.Cause(x.ctx)) })
	x.leave = func() {
		unwatch()
		x.farewell(context.Cause(x.ctx)) // of two, the second waits for the first
		c.h.open.Done()
	}
	return x, nil
}

// farewell closes the connection with the reason that its context ended for.
func (x *connection) farewell(err error) {
	var m *mistake
	switch {
	case errors.Is(err, errClient), errors.Is(err, context.Canceled):
		x.ws.Close(wsock.Normal, "")
	case errors.Is(err, errStopping):
		x.ws.Close(wsock.GoingAway, errStopping.Error())
	case errors.As(err, &m):
		x.ws.Close(m.code, m.message)
	default:
		x.ws.Close(wsock.Policy, failure(err).Message)
	}
}

// end closes the connection and waits for all that it started.
func (x *connection) end() {
	x.cancel(errClient)
	x.running.Wait()
	x.leave()
	x.ws.Abort()
}

// mistake is a client's breach of the protocol, with the close code that says so.
type mistake struct {
	code    int
	message string
}

func (m *mistake) Error() string { return m.message }

// read serves the client's messages until the connection ends.
func (x *connection) read() {
	for {
		kind, data, err := x.ws.Read()
		if err == nil {
			err = x.take(kind, data)
		}
		if err != nil {
			x.cancel(err)
			return
		}
	}
}

// take serves one message. Its error ends the connection.
func (x *connection) take(kind int, data []byte) error {
	if kind != wsock.Text {
		return &mistake{wsock.Unsupported, "a client's messages are text: JSON objects"}
	}
	q, err := parseRequest(data)
	if err != nil {
		return &mistake{wsock.ProtocolError, err.Error()}
	}
	switch q.Type {
	case "subscribe":
		if x.single {
			return &mistake{wsock.ProtocolError, "this connection has one stream; " + Path + " takes subscriptions"}
		}
		return x.subscribe(q)
	case "unsubscribe":
		if s := x.find(q.ID); s != nil {
			s.cancel(errUnsubscribed)
		}
	case "ack":
		if s := x.find(q.ID); s != nil { // else it has just ended
			s.acknowledge(q.Bytes)
		}
	default:
		return &mistake{wsock.ProtocolError, `a message's type is "subscribe", "unsubscribe" or "ack"`}
	}
	return nil
}

func (x *connection) find(id uint32) *subscription {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.subscriptions[id]
}

// subscribe begins a subscription, or says why not.
func (x *connection) subscribe(q request) error {
	x.mu.Lock()
	_, taken := x.subscriptions[q.ID]
	count := len(x.subscriptions)
	x.mu.Unlock()
	if taken {
		return &mistake{wsock.ProtocolError, "this subscription's id is in use; unsubscribe first, and wait for its end"}
	}
	topic, known := topics[q.Topic]
	if !known {
		return x.tell(reply{Type: "ended", ID: q.ID, Status: statusPointer(apistatus.BadRequest("a topic is log, stats or events, not %.40q", q.Topic))})
	}
	if count >= MaxSubscriptions {
		return x.tell(reply{Type: "ended", ID: q.ID, Status: statusPointer(apistatus.TooManyRequests(apistatus.RetryAfter,
			"this connection has %d subscriptions, which is the most; end one", MaxSubscriptions))})
	}
	s := x.add(q, topic.stream)
	x.running.Go(func() { s.run(func(ctx context.Context) (feed, error) { return s.open(ctx, topic) }) })
	return nil
}

func (x *connection) add(q request, kind metrics.Stream) *subscription {
	s := newSubscription(x, q, kind)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.subscriptions[q.ID] = s
	return s
}

func (x *connection) remove(s *subscription) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.subscriptions, s.request.ID)
}

// tell sends a word that is no data.
func (x *connection) tell(r reply) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return x.ws.Write(x.ctx, wsock.Text, text)
}

// send sends a frame, and returns how long the message was.
func (x *connection) send(ctx context.Context, id uint32, f frame) (int, error) {
	var prefix [prefixLength]byte
	prefix[0] = byte(f.kind)
	binary.BigEndian.PutUint32(prefix[1:], id)
	binary.BigEndian.PutUint32(prefix[5:], uint32(len(f.header)))
	err := x.ws.Write(ctx, wsock.Binary, prefix[:], f.header, f.body)
	return prefixLength + len(f.header) + len(f.body), err
}

func statusPointer(err error) *metav1.Status {
	if err == nil || errors.Is(err, io.EOF) {
		return &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess}
	}
	s := failure(err)
	return &s
}
