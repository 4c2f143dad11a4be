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

package wsock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/dockercontrol/dockercontrol/internal/cork"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
)

const (
	// pingInterval keeps load balancers from closing what is quiet; most wait a minute.
	pingInterval = 25 * time.Second
	// writeTimeout is how long a client may take nothing.
	writeTimeout = 10 * time.Second
	// closeTimeout bounds the farewell of either side.
	closeTimeout = 2 * time.Second
	// maxUnread is how much is read of a message that is too long, so that its sender sees
	// why the connection ends.
	maxUnread  = 1 << 20
	readBuffer = 32 << 10
	// writeBuffer holds a full chunk of a log (64 KiB of text, 512 records): what is longer
	// goes out in several frames.
	writeBuffer = 80 << 10
)

// Message types.
const (
	Text   = websocket.TextMessage
	Binary = websocket.BinaryMessage
)

// Close codes of RFC 6455 that are used here.
const (
	Normal        = websocket.CloseNormalClosure
	GoingAway     = websocket.CloseGoingAway
	ProtocolError = websocket.CloseProtocolError
	Unsupported   = websocket.CloseUnsupportedData
	Policy        = websocket.ClosePolicyViolation
	TooBig        = websocket.CloseMessageTooBig
	ServerError   = websocket.CloseInternalServerErr
)

// Options are what a path asks of its connections.
type Options struct {
	// Protocols are the subprotocols that are spoken, the best first. A client has to ask
	// for one of them; none means that there is no subprotocol.
	Protocols []string
	// WriteTimeout is how long a client may take nothing; zero is 10 s.
	WriteTimeout time.Duration
	// ReadLimit bounds a message of the client's in bytes.
	ReadLimit int64
	// Ping is how often the client is asked for a sign of life; zero is 25 s.
	Ping time.Duration
}

// Conn is a WebSocket. Read is for one goroutine, the rest for any.
type Conn struct {
	ws      *websocket.Conn
	tcp     *net.TCPConn  // below TLS; nil where it is not known
	timeout time.Duration // of a write
	writing chan struct{} // held by who writes
	every   time.Duration // between pings
	silence sync.Mutex    // held while the end of the silence is moved
	leaving bool          // it stays where Close put it; guarded by silence
	end     sync.Once
	done    chan struct{} // closed by Close
	gone    chan struct{} // closed when a ping cannot be sent any more
	unread  atomic.Bool   // a message was too long, and its rest is on its way
	pinging sync.WaitGroup
}

// buffers are shared by all connections: most are quiet most of the time.
var buffers = &sync.Pool{}

// Accept takes a request over, or answers it with a Status and returns why. The caller
// closes the connection.
func Accept(w http.ResponseWriter, r *http.Request, o Options) (*Conn, error) {
	if err := Check(r, o.Protocols); err != nil {
		apistatus.Write(w, err)
		return nil, err
	}
	upgrader := websocket.Upgrader{
		HandshakeTimeout: writeTimeout, ReadBufferSize: readBuffer, WriteBufferPool: buffers, WriteBufferSize: writeBuffer,
		Subprotocols: o.Protocols, CheckOrigin: func(*http.Request) bool { return true },
		Error: func(w http.ResponseWriter, _ *http.Request, code int, reason error) {
			apistatus.Write(w, apistatus.New(code, "BadRequest", "the WebSocket was not opened: %s", reason.Error()))
		},
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, fmt.Errorf("opening a WebSocket: %w", err)
	}
	c := &Conn{ws: ws, tcp: conn.TCP(r), every: o.Ping, writing: make(chan struct{}, 1), done: make(chan struct{})}
	if c.every <= 0 {
		c.every = pingInterval
	}
	ws.SetReadLimit(o.ReadLimit)
	c.heard()
	c.timeout, c.gone = cmp.Or(o.WriteTimeout, writeTimeout), make(chan struct{})
	ws.SetPongHandler(func(string) error { c.heard(); return nil })
	answer := ws.PingHandler()
	ws.SetPingHandler(func(data string) error { c.heard(); return answer(data) })
	c.pinging.Go(c.ping)
	return c, nil
}

// Check says what a request lacks that is to be taken over: as Accept does, for those who
// have to do something before. A mistake in the protocol must not become a connection that
// speaks another.
func Check(r *http.Request, protocols []string) error {
	if r.ProtoMajor != 1 {
		return apistatus.New(http.StatusHTTPVersionNotSupported, "BadRequest", "this is served over a WebSocket, and that over HTTP/1.1: ask for an upgrade by that")
	}
	if !websocket.IsWebSocketUpgrade(r) {
		return apistatus.New(http.StatusUpgradeRequired, "BadRequest", "this is served over a WebSocket: upgrade to one")
	}
	if r.Method != http.MethodGet || r.Header.Get("Sec-WebSocket-Version") != "13" || r.Header.Get("Sec-WebSocket-Key") == "" {
		return apistatus.BadRequest("a WebSocket is opened by GET, with the version 13 of its protocol and a key")
	}
	if len(protocols) == 0 {
		return nil
	}
	for _, asked := range websocket.Subprotocols(r) {
		for _, spoken := range protocols {
			if asked == spoken {
				return nil
			}
		}
	}
	return apistatus.BadRequest("no subprotocol that is spoken here: ask for %s", strings.Join(protocols, " or "))
}

// Protocol is the subprotocol that was agreed on.
func (c *Conn) Protocol() string { return c.ws.Subprotocol() }

// heard puts the end of the silence off, but not that of the farewell.
func (c *Conn) heard() {
	c.silence.Lock()
	defer c.silence.Unlock()
	if !c.leaving {
		_ = c.ws.SetReadDeadline(time.Now().Add(c.every*2 + c.every/2))
	}
}

// Read returns the next message. The error ends the connection; Closed tells why. The time
// between two calls is not the client's silence.
func (c *Conn) Read() (messageType int, data []byte, err error) {
	c.heard()
	messageType, data, err = c.ws.ReadMessage()
	switch {
	case err == nil:
		c.heard()
	case errors.Is(err, websocket.ErrReadLimit):
		c.unread.Store(true)
	}
	return messageType, data, err
}

// Closed tells whether an error of Read is the client's farewell.
func Closed(err error) bool {
	return websocket.IsCloseError(err, Normal, GoingAway, websocket.CloseNoStatusReceived)
}

// Write sends one message made of parts. It waits for who writes already, but no longer
// than ctx; a client that takes nothing for too long (10 s) ends the connection.
func (c *Conn) Write(ctx context.Context, messageType int, parts ...[]byte) error {
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-ctx.Done():
	case <-c.done:
		return errClosed
	}
	if err := ctx.Err(); err != nil { // also where there was room to write at the same time
		return err
	}
	length := 0
	for _, part := range parts {
		length += len(part)
	}
	_, err := cork.Write(c.tcp, length, func() (int, error) { return length, c.write(messageType, parts) })
	return err
}

func (c *Conn) write(messageType int, parts [][]byte) error {
	_ = c.ws.SetWriteDeadline(time.Now().Add(c.timeout))
	w, err := c.ws.NextWriter(messageType)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

var errClosed = errors.New("the WebSocket is closed")

// ping asks the client for a sign of life, until Close. A ping does not wait long for a
// message that the client is slow to take: Close waits for it.
func (c *Conn) ping() {
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	var failing time.Time
	for {
		select {
		case <-c.done:
			return
		case <-ticker.C:
		}
		now := time.Now()
		err := c.ws.WriteControl(websocket.PingMessage, nil, now.Add(closeTimeout))
		var slow net.Error
		switch {
		case err == nil:
			failing = time.Time{}
		case errors.As(err, &slow) && slow.Timeout() && (failing.IsZero() || now.Sub(failing) < c.timeout):
			if failing.IsZero() {
				failing = now
			}
		default:
			close(c.gone)
			return
		}
	}
}

// Gone is closed when it shows, beside Read, that the client is not there any more: for who
// does not read, as nobody takes what was read before.
func (c *Conn) Gone() <-chan struct{} { return c.gone }

// Left tells whether an error of Read is the farewell of a client that is done: it closed
// the connection on purpose, not because its page or its program went away.
func Left(err error) bool { return websocket.IsCloseError(err, Normal) }

// Close says farewell and closes the connection. Reasons are cut at what a frame holds.
func (c *Conn) Close(code int, reason string) {
	c.end.Do(func() {
		const most = 123
		if len(reason) > most {
			reason = reason[:most]
		}
		_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, strings.ToValidUTF8(reason, "")), time.Now().Add(closeTimeout))
		close(c.done)
		// Until the client has answered: closed with something unread, a connection is
		// reset, and the farewell with it is lost.
		c.silence.Lock()
		c.leaving = true
		_ = c.ws.SetReadDeadline(time.Now().Add(closeTimeout))
		c.silence.Unlock()
	})
	c.pinging.Wait()
}

// Abort closes the connection without a farewell, after Read has returned an error or where
// nobody reads.
func (c *Conn) Abort() {
	c.end.Do(func() { close(c.done) })
	if c.unread.Load() {
		// Closed with something unread, a connection is reset, and the client may not see
		// why it was ended.
		_ = c.ws.SetReadDeadline(time.Now().Add(closeTimeout))
		_, _ = io.CopyN(io.Discard, c.ws.NetConn(), maxUnread)
	}
	_ = c.ws.Close()
	c.pinging.Wait()
}
