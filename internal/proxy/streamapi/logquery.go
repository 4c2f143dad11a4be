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
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// maxFilter bounds a filter's text: it is tried on every line.
const maxFilter = 4 << 10

// logQuery is what somebody wants of logs.
type logQuery struct {
	stream.LogQuery
	sourceQuery
	// cursors are by source, as sourceName spells it.
	cursors map[string]string
	as      format
	// limit ends a chunked answer after so many bytes; 0 is no limit.
	limit int
}

// sourceQuery says which logs.
type sourceQuery struct {
	containers    []string
	service       string
	labelSelector string
	hostSelector  string
}

// single reports whether one container is meant, by its name.
func (q sourceQuery) single(host string) bool {
	return host != "" && len(q.containers) == 1 && q.service == "" && q.labelSelector == "" && q.hostSelector == ""
}

// check refuses what contradicts itself.
func (q sourceQuery) check(host string) error {
	switch {
	case host == "" && (q.service != "" || len(q.containers) > 0):
		return apistatus.BadRequest("a service and containers are a host's: name it; over many hosts logs are chosen by labelSelector and hostSelector")
	case host != "" && q.hostSelector != "":
		return apistatus.BadRequest("hostSelector chooses among hosts, and one is named: leave it out")
	case q.service != "" && (len(q.containers) > 0 || q.labelSelector != ""), len(q.containers) > 0 && q.labelSelector != "":
		return apistatus.BadRequest("containers, service and labelSelector are three ways to choose: take one")
	}
	return nil
}

// parseLogQuery reads a request's query, whose names are those of the logs of Pods.
func parseLogQuery(r *http.Request, at route.Route) (logQuery, error) {
	p := parseParameters(r.URL.RawQuery)
	q := logQuery{cursors: map[string]string{}}
	if q.containers = p.all("container"); at.Object != "" {
		if len(q.containers) > 0 {
			p.fail("the path names a container: leave the parameter container out")
		}
		q.containers = []string{at.Object}
	}
	q.service, q.labelSelector, q.hostSelector = p.text("service"), p.text("labelSelector"), p.text("hostSelector")
	q.Follow = p.boolean("follow", false)
	q.Stdout, q.Stderr = p.boolean("stdout", false), p.boolean("stderr", false)
	q.Tail = -1
	if n, ok := p.number("tailLines", 0, math.MaxInt32); ok {
		q.Tail = n
	}
	q.Since = p.moment("sinceTime")
	if n, ok := p.number("sinceSeconds", 1, math.MaxInt32); ok {
		if !q.Since.IsZero() {
			p.fail("sinceTime and sinceSeconds are two ways to say when: take one")
		}
		q.Since = time.Now().Add(-time.Duration(n) * time.Second)
	}
	q.limit, _ = p.number("limitBytes", 1, math.MaxInt32)
	if err := q.setFilter(p.text("filter"), p.text("pattern"), p.boolean("invert", false)); err != nil {
		return q, err
	}
	var err error
	if q.Resume, err = stream.ParseCursor(p.text("cursor")); err != nil {
		p.fail("the cursor is not one of ours: %s", err)
	}
	q.as = logFormat(r, p)
	if err := p.done(); err != nil {
		return q, err
	}
	if !q.Resume.IsZero() && !q.single(at.Host) {
		return q, apistatus.BadRequest("a cursor is of one container; over several logs cursors travel on %s", Path)
	}
	return q, q.check(at.Host)
}

// logFormat is JSON where the client asks for it.
func logFormat(r *http.Request, p *parameters) format {
	timed := p.boolean("timestamps", false)
	switch spelling := p.text("format"); {
	case isWebSocket(r):
		return formatFrames
	case spelling == "json", spelling == "" && strings.Contains(r.Header.Get("Accept"), "json"):
		return formatJSON
	case spelling != "" && spelling != "text":
		p.fail("format is text or json")
	}
	if timed {
		return formatTimedText
	}
	return formatText
}

// setFilter makes the filter.
func (q *logQuery) setFilter(text, pattern string, invert bool) error {
	switch {
	case text != "" && pattern != "":
		return apistatus.BadRequest("filter is a text and pattern a regular expression: take one")
	case len(text) > maxFilter, len(pattern) > maxFilter:
		return apistatus.BadRequest("a filter has at most %d bytes", maxFilter)
	case text == "" && pattern == "":
		if invert {
			return apistatus.BadRequest("invert turns a filter or a pattern round, and there is none")
		}
		return nil
	}
	filter, err := stream.NewFilter(text+pattern, pattern != "", invert)
	if err != nil {
		return apistatus.BadRequest("the pattern is no regular expression (RE2): %s", err)
	}
	q.Filter = filter
	return nil
}

// logQueryOf reads a subscription.
func logQueryOf(r request) (logQuery, error) {
	q := logQuery{
		sourceQuery: sourceQuery{containers: r.Containers, service: r.Service, labelSelector: r.LabelSelector, hostSelector: r.HostSelector},
		cursors:     r.Cursors, as: formatFrames,
	}
	q.Follow = r.Follow == nil || *r.Follow
	q.Stdout, q.Stderr, q.Tail = r.Stdout, r.Stderr, -1
	if r.TailLines != nil {
		if q.Tail = *r.TailLines; q.Tail < 0 {
			return q, apistatus.BadRequest("tailLines is a number of lines")
		}
	}
	if r.SinceTime != nil {
		q.Since = *r.SinceTime
	}
	if err := q.setFilter(r.Filter, r.Pattern, r.Invert); err != nil {
		return q, err
	}
	return q, q.check(r.Host)
}
