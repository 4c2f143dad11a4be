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
	"slices"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

var logRight = access.Right{Subresource: access.Log, Verb: access.Get}

// serveLog serves a container's log, several merged, and the search back through one.
func (h *Handler) serveLog(c *call) error {
	if c.at.Action == searchAction {
		return h.serveSearch(c)
	}
	q, err := parseLogQuery(c.r, c.at)
	if err != nil {
		return err
	}
	var rights []authz.Right
	if c.at.Host != "" {
		rights = append(rights, authz.Right{Host: c.at.Key(), Right: logRight})
	}
	return c.serveFeed(q.as, metrics.Log, rights, func(ctx context.Context) (feed, error) {
		fd, err := openLog(ctx, c, c.at.Key(), q)
		if err == nil && q.limit > 0 {
			fd = &limitedFeed{feed: fd, left: q.limit}
		}
		return fd, err
	})
}

// openLogTopic opens a subscription.
func openLogTopic(ctx context.Context, c *call, r request) (feed, error) {
	q, err := logQueryOf(r)
	if err != nil {
		return nil, err
	}
	return openLog(ctx, c, c.at.Key(), q)
}

// openLog opens the feed of a query. Rights on a host that is named were reviewed; those on
// others are the sources' to look after.
func openLog(ctx context.Context, c *call, host hostcache.Key, q logQuery) (feed, error) {
	if !q.single(host.Name) {
		return openMerged(ctx, c, host, q)
	}
	found, err := c.h.container(ctx, host, q.containers[0])
	if err != nil {
		return nil, err
	}
	source := stream.LogSource{Host: host, Container: found.id}
	if text, ok := q.cursors[sourceName(source)]; ok {
		if q.Resume, err = stream.ParseCursor(text); err != nil {
			return nil, apistatus.BadRequest("the cursor of %s is not one of ours: %s", sourceName(source), err)
		}
	}
	viewer, err := c.h.logs.Open(ctx, source, q.LogQuery)
	if err != nil {
		return nil, unreadable(found, err)
	}
	return &logFeed{viewer: viewer, as: q.as, intro: introduce(q.as, 0, source, found.name)}, nil
}

// unreadable says what to do about a logging driver that keeps no log on the host, in place
// of the engine's bare 501.
func unreadable(of container, err error) error {
	if engine.ClassOf(err) != engine.ClassServer || !strings.Contains(err.Error(), "does not support reading") {
		return err
	}
	return apistatus.New(http.StatusNotImplemented, "NotImplemented",
		"the log of %s cannot be read: its logging driver sends it elsewhere (%s); json-file, local and journald can be read, as others with dual logging", of.name, err)
}

// sourceName names a source in cursors.
func sourceName(s stream.LogSource) string {
	return s.Host.Namespace + "/" + s.Host.Name + "/" + s.Container
}

// introduce is the frame that says what a source's index stands for. Chunked answers of one
// container have none.
func introduce(as format, index uint32, s stream.LogSource, name string) []byte {
	if as != formatFrames {
		return nil
	}
	type source struct {
		Index     uint32 `json:"index"`
		Namespace string `json:"namespace"`
		Host      string `json:"host"`
		Container string `json:"container"`
		Name      string `json:"name"`
	}
	text, err := json.Marshal(map[string]any{"source": source{index, s.Host.Namespace, s.Host.Name, s.Container, name}})
	if err != nil { // it always encodes
		return nil
	}
	return append(text, '\n')
}

// logFeed is one container's log.
type logFeed struct {
	viewer *stream.LogViewer
	as     format
	intro  []byte
}

func (f *logFeed) close() { f.viewer.Close() }

func (f *logFeed) next() (frame, error) {
	if intro := f.intro; intro != nil {
		f.intro = nil
		return frame{kind: frameJSON, body: intro}, nil
	}
	b, err := f.viewer.Next()
	if err != nil {
		return frame{}, err
	}
	metrics.Dropped(b.Lost())
	body := b.Encode(int(f.as), encoders[f.as])
	if f.as != formatFrames {
		return frame{body: body}, nil
	}
	header := b.Encode(int(formatHeader), func([]byte, []stream.Line) []byte { return headerOf(b) })
	return frame{kind: frameLog, header: header, body: body}, nil
}

// headerOf is the header of one container's lines, the same for all who get all of them.
func headerOf(b stream.Batch) []byte {
	header := logHeader{Count: len(b.Lines)}
	if !b.Cursor.IsZero() {
		header.Cursors = map[uint32]string{0: b.Cursor.String()}
	}
	text, _ := json.Marshal(header) // it always encodes
	return text
}

// encoders spell the lines of one container.
var encoders = []func(dst []byte, lines []stream.Line) []byte{
	formatFrames:    appendRecords,
	formatJSON:      func(dst []byte, lines []stream.Line) []byte { return appendJSON(dst, lines, nil) },
	formatText:      func(dst []byte, lines []stream.Line) []byte { return appendText(dst, lines, false, nil) },
	formatTimedText: func(dst []byte, lines []stream.Line) []byte { return appendText(dst, lines, true, nil) },
}

// limitedFeed ends after a number of bytes.
type limitedFeed struct {
	feed
	left int
}

func (f *limitedFeed) next() (frame, error) {
	if f.left <= 0 {
		return frame{}, io.EOF
	}
	fr, err := f.feed.next()
	if len(fr.body) > f.left {
		fr.body = fr.body[:f.left]
	}
	f.left -= len(fr.body)
	return fr, err
}

// sourceSet is logs that somebody chose. It ends with the context that it was made with.
type sourceSet interface {
	stream.Sources
	// name is what people call a source: "web-1".
	name(s stream.LogSource) string
	// notices returns what people have to know of what is not shown, each once.
	notices() []string
	// failed is why nothing of them may be read any more, nil while something may.
	failed() error
	close()
}

// openMerged opens the feed of several logs.
func openMerged(ctx context.Context, c *call, host hostcache.Key, q logQuery) (feed, error) {
	sources, err := openSources(ctx, c, host, q)
	if err != nil {
		return nil, err
	}
	resume, err := parseCursors(q.cursors)
	if err != nil {
		sources.close()
		return nil, err
	}
	viewer := c.h.logs.OpenMerged(ctx, sources, q.LogQuery, resume)
	return &mergedFeed{viewer: viewer, sources: sources, as: q.as}, nil
}

// mergedFeed is several logs in the order of time.
type mergedFeed struct {
	viewer  *stream.MergedViewer
	sources sourceSet
	as      format

	pending []stream.Line // whose sources are being introduced
	known   []string      // by Line.Source: how the format names it
	buf     []byte
}

func (f *mergedFeed) close() {
	f.viewer.Close()
	f.sources.close()
}

func (f *mergedFeed) next() (frame, error) {
	if lines := f.pending; len(lines) > 0 {
		f.pending = nil
		if err := f.sources.failed(); err != nil { // while the introduction was sent
			return frame{}, err
		}
		return f.frame(lines)
	}
	for {
		lines, err := f.viewer.Next()
		if failed := f.sources.failed(); failed != nil {
			err = failed
		}
		if err != nil {
			return frame{}, err
		}
		if intro := f.introduce(lines); len(intro) > 0 {
			f.pending = lines
			return frame{kind: frameJSON, body: intro}, nil
		}
		if len(lines) > 0 { // there are none where the sources have changed
			return f.frame(lines)
		}
	}
}

// introduce names the sources that are new, and says what people have to know.
func (f *mergedFeed) introduce(lines []stream.Line) []byte {
	var intro []byte
	for i := range lines {
		index := lines[i].Source
		for int(index) >= len(f.known) {
			f.known = append(f.known, "")
		}
		if f.known[index] != "" {
			continue
		}
		s := f.viewer.Name(&lines[i])
		name := f.sources.name(s)
		switch f.as {
		case formatFrames:
			f.known[index] = name + " " // an own name is never empty
			intro = append(intro, introduce(f.as, index, s, name)...)
		case formatJSON:
			f.known[index] = string(appendSource(nil, s, name))
		default:
			f.known[index] = s.Host.Name + "/" + name
		}
	}
	for _, notice := range f.sources.notices() {
		switch f.as {
		case formatFrames, formatJSON:
			intro = append(appendString(append(intro, `{"type":"notice","message":`...), notice), "}\n"...)
		default:
			intro = append(append(append(intro, "--- "...), notice...), " ---\n"...)
		}
	}
	return intro
}

// appendSource spells the members that name a source in JSON.
func appendSource(dst []byte, s stream.LogSource, name string) []byte {
	dst = appendString(append(dst, `"namespace":`...), s.Host.Namespace)
	dst = appendString(append(dst, `,"host":`...), s.Host.Name)
	dst = appendString(append(dst, `,"container":`...), s.Container)
	dst = appendString(append(dst, `,"name":`...), name)
	return append(dst, ',')
}

func (f *mergedFeed) frame(lines []stream.Line) (frame, error) {
	metrics.Dropped(stream.Lost(lines))
	name := func(l *stream.Line) string { return f.known[l.Source] }
	switch f.as {
	case formatJSON:
		f.buf = appendJSON(f.buf[:0], lines, name)
	case formatText, formatTimedText:
		f.buf = appendText(f.buf[:0], lines, f.as == formatTimedText, name)
	default:
		return f.binary(lines)
	}
	return frame{body: f.buf}, nil
}

func (f *mergedFeed) binary(lines []stream.Line) (frame, error) {
	f.buf = appendRecords(f.buf[:0], lines)
	header := logHeader{Count: len(lines), Cursors: map[uint32]string{}}
	for _, l := range slices.Backward(lines) {
		if _, has := header.Cursors[l.Source]; !has && !l.Cursor.IsZero() {
			header.Cursors[l.Source] = l.Cursor.String()
		}
	}
	text, err := json.Marshal(header)
	return frame{kind: frameLog, header: text, body: f.buf}, err
}

// errSource says that a cursor's source cannot be read.
var errSource = errors.New("a source is NAMESPACE/HOST/CONTAINER")
