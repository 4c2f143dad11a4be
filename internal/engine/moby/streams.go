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

package moby

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// stream is an answer that goes on until its context ends.
type stream struct {
	io.Reader
	header http.Header
	body   io.Closer
	cancel context.CancelCauseFunc
}

// Close ends the stream and its connection.
func (s *stream) Close() error {
	s.cancel(context.Canceled)
	return s.body.Close()
}

// openStream makes a GET on a connection of its own. The header must come within
// wait; 0 waits until ctx ends.
func (c *client) openStream(ctx context.Context, path string, query url.Values, wait time.Duration) (*stream, error) {
	ctx, cancel := c.streamContext(ctx)
	req, err := c.newRequest(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	stop := func() bool { return true }
	if wait > 0 {
		stop = time.AfterFunc(wait, func() { cancel(errHeaderTimeout) }).Stop
	}
	resp, err := c.streamCalls().RoundTrip(req)
	if !stop() && err == nil {
		_ = resp.Body.Close()
		err = timeoutError(c.dialer.endpoint, errHeaderTimeout, true)
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return &stream{Reader: resp.Body, header: resp.Header, body: resp.Body, cancel: cancel}, nil
}

// lateStream is a stream whose header may not have come yet.
type lateStream struct {
	cancel context.CancelFunc
	ready  chan struct{} // closed once s or err is set
	s      *stream
	err    error
}

// openLate begins a GET. Its goroutine ends with ctx, with Close, or when the
// header has come.
func (c *client) openLate(ctx context.Context, path string, query url.Values) *lateStream {
	ctx, cancel := context.WithCancel(ctx)
	l := &lateStream{cancel: cancel, ready: make(chan struct{})}
	go func() {
		defer close(l.ready)
		l.s, l.err = c.openStream(ctx, path, query, 0)
	}()
	return l
}

// Read implements io.Reader.
func (l *lateStream) Read(p []byte) (int, error) {
	<-l.ready
	if l.err != nil {
		return 0, l.err
	}
	return l.s.Read(p)
}

// Close ends the stream.
func (l *lateStream) Close() error {
	l.cancel()
	<-l.ready
	if l.s == nil {
		return nil
	}
	return l.s.Close()
}

// unixNano spells a time as the API wants it in queries.
func unixNano(t time.Time) string {
	nano := strconv.Itoa(1_000_000_000 + t.Nanosecond())[1:]
	return strconv.FormatInt(t.Unix(), 10) + "." + nano
}

// jsonStream reads one JSON value after the other from a stream.
type jsonStream struct {
	*stream
	name   string
	values *valueReader
}

func newJSONStream(name string, s *stream) jsonStream {
	return jsonStream{stream: s, name: name, values: newValueReader(s, maxEventBytes)}
}

// next returns the next value; io.EOF is the engine's clean end.
func (s jsonStream) next() ([]byte, error) {
	raw, err := s.values.next()
	var mapped *engine.Error
	switch {
	case err == nil || errors.Is(err, io.EOF) || errors.As(err, &mapped):
		return raw, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fail(engine.ClassUnreachable, engine.CauseDialFailed, err, "the connection to %s broke before the answer was complete", s.name)
	}
	return nil, notDocker(s.name, s.header, err)
}

type eventStream struct{ jsonStream }

// Events opens /events.
func (c *client) Events(ctx context.Context, opts engine.EventsOptions) (engine.EventStream, error) {
	query := url.Values{}
	if !opts.Since.IsZero() {
		query.Set("since", unixNano(opts.Since))
	}
	s, err := c.openStream(ctx, "/events", query, c.timeout)
	if err != nil {
		return nil, err
	}
	return eventStream{newJSONStream(c.name, s)}, nil
}

// Next implements engine.EventStream.
func (s eventStream) Next() (engine.Event, error) {
	raw, err := s.next()
	if err != nil {
		return engine.Event{}, err
	}
	e, err := engine.ParseEvent(raw)
	if err != nil {
		return engine.Event{}, notDocker(s.name, s.header, err)
	}
	return e, nil
}

type statsStream struct{ jsonStream }

// Stats opens a container's statistics.
func (c *client) Stats(ctx context.Context, id string) (engine.StatsStream, error) {
	if err := checkID(engine.Containers, id); err != nil {
		return nil, err
	}
	s, err := c.openStream(ctx, "/containers/"+id+"/stats", url.Values{"stream": {"1"}}, c.timeout)
	if err != nil {
		return nil, err
	}
	return statsStream{newJSONStream(c.name, s)}, nil
}

// Next implements engine.StatsStream.
func (s statsStream) Next() (container.StatsResponse, error) {
	raw, err := s.next()
	if err != nil {
		return container.StatsResponse{}, err
	}
	var v container.StatsResponse
	if err := lenient(raw, &v); err != nil {
		return container.StatsResponse{}, notDocker(s.name, s.header, err)
	}
	return v, nil
}
