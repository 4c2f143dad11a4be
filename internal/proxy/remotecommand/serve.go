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

package remotecommand

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/wsock"
)

// Protocol is the subprotocol.
const Protocol = "v5.channel.k8s.io"

// MaxMessage bounds a client's message in bytes.
const MaxMessage = 64 << 10

// Channels.
const (
	stdin   = 0
	Stdout  = 1
	Stderr  = 2
	end     = 3
	resize  = 4
	closing = 255
	// News is a channel of ours, which Kubernetes does not have: a session uses it for
	// clients that have asked for it.
	News = 5
)

// maxSize is the most rows or columns a terminal has in the kernel.
const maxSize = 65535

// Session is a process with its standard streams.
type Session interface {
	// Write sends stdin, and waits until it was taken or ctx has ended.
	Write(ctx context.Context, p []byte) error
	// CloseStdin ends stdin.
	CloseStdin() error
	// Resize sets the terminal's size.
	Resize(size engine.TTYSize) error
	// Output returns the next piece of output: channel 1 or 2, or News. io.EOF is the end of
	// the process, whose exit code is then known. A *CloseError is told to the client as it
	// is.
	Output(ctx context.Context) (channel byte, data []byte, err error)
	// ExitCode is the process's; false where nobody knows it.
	ExitCode() (code int, ok bool)
}

// CloseError ends a connection with a close code: a client's mistake, or a session's end
// other than by its process.
type CloseError struct {
	Code    int
	Message string
}

// Error implements error.
func (e *CloseError) Error() string { return e.Message }

func mistake(code int, format string, args ...any) error {
	return &CloseError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// errGone says that a client vanished.
var errGone = errors.New("the client has gone")

// Serve joins a client to a session until the process or the connection ends, or ctx does,
// whose cause the client is told. The error is nil where the client was told of the
// process's end and has answered. No client can hold Serve up for longer than seconds after the end.
func Serve(ctx context.Context, c *wsock.Conn, s Session) error {
	ctx, cancel := context.WithCancelCause(ctx)
	reading, left := make(chan struct{}), make(chan struct{})
	var last error // of reading
	go func() {
		defer close(reading)
		last = readAll(ctx, c, s)
		cancel(last)
	}()
	// A client that takes nothing holds a write up, and one whose process takes nothing is
	// not read: so who ends the connection is neither of both.
	go func() {
		defer close(left)
		select {
		case <-c.Gone():
			cancel(errGone)
		case <-ctx.Done():
		}
		c.Close(farewell(context.Cause(ctx)))
		<-reading // it ends with the client's own farewell, or soon after ours
		c.Abort()
	}()
	err := output(ctx, c, s)
	if err == nil {
		err = tellEnd(ctx, c, s)
	}
	if err == nil {
		cancel(errEnded)
	} else {
		cancel(err)
		err = context.Cause(ctx) // what came first
	}
	<-left
	if err == nil && !wsock.Closed(last) {
		return errUnheard
	}
	return err
}

var (
	// errEnded is the end of a client that was told of its process's end.
	errEnded = errors.New("the process has ended, and its client was told")
	// errUnheard is of a client that did not answer that: what is written to a connection
	// need not arrive.
	errUnheard = errors.New("the process has ended, and whether its client knows is not known")
)

// farewell chooses the close code for what ended a connection before its process.
func farewell(err error) (code int, reason string) {
	var c *CloseError
	switch {
	case errors.As(err, &c):
		return c.Code, c.Message
	case errors.Is(err, errEnded), wsock.Closed(err):
		return wsock.Normal, ""
	}
	return wsock.Policy, err.Error()
}

// output carries what the process says.
func output(ctx context.Context, c *wsock.Conn, s Session) error {
	prefix := []byte{0}
	for {
		channel, data, err := s.Output(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		prefix[0] = channel
		if err := c.Write(ctx, wsock.Binary, prefix, data); err != nil {
			return err
		}
	}
}

// tellEnd says how the process ended, as a kubelet does.
func tellEnd(ctx context.Context, c *wsock.Conn, s Session) error {
	status := metav1.Status{Status: metav1.StatusSuccess}
	switch code, ok := s.ExitCode(); {
	case !ok:
		status = metav1.Status{
			Status: metav1.StatusFailure, Reason: metav1.StatusReasonInternalError, Message: "the process ended, and the engine does not say how",
		}
	case code != 0:
		status = metav1.Status{
			Status: metav1.StatusFailure, Reason: "NonZeroExitCode", Message: "command terminated with non-zero exit code: " + strconv.Itoa(code),
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "ExitCode", Message: strconv.Itoa(code)}}},
		}
	}
	body, err := json.Marshal(status)
	if err != nil {
		return err
	}
	return c.Write(ctx, wsock.Binary, []byte{end}, body)
}

// readAll carries what the client says, until it says no more. Its error is never nil.
func readAll(ctx context.Context, c *wsock.Conn, s Session) error {
	closed := false
	for {
		messageType, data, err := c.Read()
		switch {
		case err != nil:
			return err
		case messageType != wsock.Binary:
			return mistake(wsock.Unsupported, "messages are binary: a channel's byte and then its data")
		case len(data) == 0:
			return mistake(wsock.ProtocolError, "a message without a channel")
		}
		switch channel, data := data[0], data[1:]; channel {
		case stdin:
			if closed {
				return mistake(wsock.ProtocolError, "stdin was closed before")
			}
			// A process that has ended, or has no stdin, takes nothing: its end comes by
			// itself.
			_ = s.Write(ctx, data)
		case resize:
			size, err := parseSize(data)
			if err != nil {
				return err
			}
			_ = s.Resize(size) // of a process that has just ended, or has no terminal
		case closing:
			if len(data) != 1 || data[0] != stdin {
				return mistake(wsock.ProtocolError, "only stdin (channel 0) can be closed")
			}
			closed = true
			_ = s.CloseStdin()
		default:
			return mistake(wsock.ProtocolError, "channel %d is not a client's", channel)
		}
	}
}

// parseSize reads {"Width": 120, "Height": 40}.
func parseSize(data []byte) (engine.TTYSize, error) {
	var size struct{ Width, Height int }
	if err := json.Unmarshal(data, &size); err != nil {
		return engine.TTYSize{}, mistake(wsock.ProtocolError, `a size is {"Width": columns, "Height": rows}`)
	}
	if size.Width < 1 || size.Height < 1 || size.Width > maxSize || size.Height > maxSize {
		return engine.TTYSize{}, mistake(wsock.ProtocolError, "a terminal has 1 to %d columns and rows", maxSize)
	}
	return engine.TTYSize{Width: uint(size.Width), Height: uint(size.Height)}, nil
}
