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
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// direct is a viewer without a proxy: a stream of the engine's own, by its socket.
type direct struct {
	*tally
	body io.ReadCloser
	stop context.CancelFunc
}

func openDirect(socket, container string) (*direct, error) {
	ctx, stop := context.WithCancel(interrupted)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/containers/"+container+"/logs?follow=1&stdout=1&timestamps=1&tail=1", nil)
	if err == nil {
		var resp *http.Response
		if resp, err = c.Do(req); err == nil {
			return &direct{tally: newTally(), body: resp.Body, stop: stop}, nil
		}
	}
	stop()
	return nil, err
}

// watch counts until the cutoff: an engine keeps what a viewer is late for, as a file.
func (d *direct) watch(run *logRun) error {
	defer d.body.Close()
	end := time.AfterFunc(time.Until(run.cutoff), d.stop)
	defer end.Stop()
	r := bufio.NewReaderSize(d.body, 64<<10)
	for d.next < run.lines {
		if err := d.frame(r); err != nil {
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
	}
	return nil
}

// frame counts a line: 8 bytes that end in its length, its time, a space, its text.
func (d *direct) frame(r *bufio.Reader) error {
	head, err := r.Peek(8)
	if err != nil {
		return err
	}
	size := int(binary.BigEndian.Uint32(head[4:]))
	frame, err := r.Peek(8 + size)
	if err != nil {
		return err
	}
	const stamp = len("2006-01-02T15:04:05.000000000Z")
	if size < stamp+1 {
		return fmt.Errorf("a frame of %d bytes: %q", size, frame)
	}
	if d.line(frame[8+stamp+1:]) {
		at, err := time.Parse(time.RFC3339Nano, string(frame[8:8+stamp]))
		if err != nil {
			return err
		}
		d.took(time.Since(at))
	}
	d.inTime = d.delivered
	_, err = r.Discard(8 + size)
	return err
}
