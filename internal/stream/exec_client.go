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
	"context"
	"errors"
	"io"
	"sync"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// ErrReplaced is what a client gets whose session another connection took over.
var ErrReplaced = errors.New("the session was taken over by another connection of its owner")

// ErrStdinClosed is what writing to a process gives that no longer reads.
var ErrStdinClosed = errors.New("the process takes no input, or no more")

// ExecClient is one connection to a session. Read is for one goroutine, the other
// methods for any.
type ExecClient struct {
	s    *ExecSession
	pos  int64
	gone chan struct{}
	once sync.Once
}

// ExecOutput is a piece of what the process wrote.
type ExecOutput struct {
	Stream Stream
	// Data must not be changed.
	Data []byte
	// Offset is how much output there was up to the end of this piece: what Reattach
	// wants to know.
	Offset int64
	// Skipped is how many bytes before this piece are no longer kept.
	Skipped int64
}

// connect makes a client the session's only one.
func (s *ExecSession) connect(after int64) *ExecClient {
	c := &ExecClient{s: s, gone: make(chan struct{})}
	s.mu.Lock()
	if s.client != nil {
		s.client.leave()
	}
	s.client = c
	c.pos = s.out.seek(after)
	s.mu.Unlock()
	s.note()
	return c
}

func (s *ExecSession) note() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *ExecSession) attached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client != nil
}

func (c *ExecClient) leave() { c.once.Do(func() { close(c.gone) }) }

// Session is what the client is connected to.
func (c *ExecClient) Session() *ExecSession { return c.s }

// Offset is how much output there was before what Read returns next. It is for the
// goroutine that reads.
func (c *ExecClient) Offset() int64 { return c.pos }

// Read returns the next output. io.EOF means that the session has ended: its Result
// is there. While a client does not read, the process waits to write.
func (c *ExecClient) Read(ctx context.Context) (ExecOutput, error) {
	for {
		out, ok, ended, more := c.s.out.read(&c.pos, c.gone)
		switch {
		case ok:
			return out, nil
		case ended:
			return ExecOutput{}, io.EOF
		}
		select {
		case <-more:
		case <-c.gone:
			return ExecOutput{}, ErrReplaced
		case <-ctx.Done():
			return ExecOutput{}, ctx.Err()
		}
	}
}

// Write sends input. It waits while the process does not read, and keeps no part of
// p. ErrStdinClosed says that the process takes none.
func (c *ExecClient) Write(ctx context.Context, p []byte) error {
	if !c.s.stdin {
		return ErrStdinClosed
	}
	select {
	case <-c.gone:
		return ErrReplaced
	default:
	}
	return c.s.in.add(ctx, c.gone, p)
}

// CloseStdin ends the input after what was written before.
func (c *ExecClient) CloseStdin() {
	if c.s.stdin {
		c.s.in.closeAfter()
	}
}

// Resize gives the terminal another size, in the background. Sizes that no terminal
// has, and sessions without one, are refused.
func (c *ExecClient) Resize(size engine.TTYSize) error {
	if err := checkSize(size); err != nil {
		return err
	}
	if !c.s.info.TTY {
		return engine.Errorf(engine.ClassInvalid, "", "the session has no terminal to resize")
	}
	c.s.setSize(size)
	return nil
}

// Quit ends the session for a client that is done, unless another has taken its place.
func (c *ExecClient) Quit() {
	c.s.mu.Lock()
	current := c.s.client == c
	c.s.mu.Unlock()
	if current {
		c.s.End(ExecClosed)
	}
}

// Close says that the client's connection is gone. The session waits for another
// one as long as it may. A client that is done calls Quit first.
func (c *ExecClient) Close() {
	c.leave()
	c.s.mu.Lock()
	if c.s.client == c {
		c.s.client = nil
		c.s.out.detach()
	}
	c.s.mu.Unlock()
	c.s.note()
}
