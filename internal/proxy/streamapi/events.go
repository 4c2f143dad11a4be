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
	"net/http"
	"slices"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/mask"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/target"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

var eventsRight = access.Right{Subresource: access.Events, Verb: access.Get}

// maxEventTail is how many events of a host the hub keeps.
const maxEventTail = 10_000

// eventQuery is what somebody wants of events.
type eventQuery struct {
	filter       stream.EventFilter
	hostSelector string
	tail         int
	cursors      map[hostcache.Key]stream.EventCursor
	follow       bool
}

// serveEvents serves the events of a host, or merged those of many.
func (h *Handler) serveEvents(c *call) error {
	q, err := parseEventQuery(c)
	if err != nil {
		return err
	}
	var rights []authz.Right
	if c.at.Host != "" {
		rights = append(rights, authz.Right{Host: c.at.Key(), Right: eventsRight})
	}
	return c.serveFeed(formatJSON, metrics.Events, rights, func(ctx context.Context) (feed, error) {
		return openEvents(ctx, c, q)
	})
}

func parseEventQuery(c *call) (eventQuery, error) {
	p := parseParameters(c.r.URL.RawQuery)
	q := eventQuery{
		filter:       stream.EventFilter{Types: p.all("type"), Actions: p.all("action"), Containers: p.all("container"), Labels: p.all("label")},
		hostSelector: p.text("hostSelector"), cursors: map[hostcache.Key]stream.EventCursor{}, follow: p.boolean("follow", true),
	}
	q.tail, _ = p.number("tail", 0, maxEventTail)
	cursor := p.text("cursor")
	if err := p.done(); err != nil {
		return q, err
	}
	if cursor != "" {
		if c.at.Host == "" {
			return q, apistatus.BadRequest("a cursor is of one host; over several hosts cursors travel on %s", Path)
		}
		if err := q.resume(c.at.Key(), cursor); err != nil {
			return q, err
		}
	}
	return q, q.check(c.at.Host)
}

// openEventsTopic opens a subscription.
func openEventsTopic(ctx context.Context, c *call, r request) (feed, error) {
	q := eventQuery{
		filter:       stream.EventFilter{Types: r.Types, Actions: r.Actions, Containers: r.Containers, Labels: r.Labels},
		hostSelector: r.HostSelector, tail: r.Tail, cursors: make(map[hostcache.Key]stream.EventCursor, len(r.Cursors)), follow: r.Follow == nil || *r.Follow,
	}
	if q.tail < 0 || q.tail > maxEventTail {
		return nil, apistatus.BadRequest("tail is a number from 0 to %d", maxEventTail)
	}
	for name, cursor := range r.Cursors {
		if err := q.resume(parseHost(name), cursor); err != nil {
			return nil, err
		}
	}
	if err := q.check(r.Host); err != nil {
		return nil, err
	}
	return openEvents(ctx, c, q)
}

// resume goes on behind a cursor.
func (q *eventQuery) resume(host hostcache.Key, text string) error {
	var cursor stream.EventCursor
	if host.Name == "" {
		return apistatus.BadRequest("cursors of events are by NAMESPACE/HOST")
	}
	if err := cursor.UnmarshalText([]byte(text)); err != nil {
		return err
	}
	q.cursors[host] = cursor
	return nil
}

func (q *eventQuery) check(host string) error {
	if host != "" && q.hostSelector != "" {
		return apistatus.BadRequest("hostSelector chooses among hosts, and one is named: leave it out")
	}
	for _, words := range [][]string{q.filter.Types, q.filter.Actions, q.filter.Containers, q.filter.Labels} {
		if slices.Contains(words, "") {
			return apistatus.BadRequest("type, action, container and label are not empty: leave out what is not to be filtered by")
		}
	}
	return nil
}

// parseHost reads NAMESPACE/HOST; the name is empty for anything else.
func parseHost(text string) hostcache.Key {
	namespace, name, _ := strings.Cut(text, "/")
	return hostcache.Key{Namespace: namespace, Name: name}
}

// hidden says why a filter is refused to who sees events masked: it would tell, with one
// guess after the other, what the mask hides.
func (q *eventQuery) hidden() error {
	filters, err := json.Marshal(map[string][]string{"label": q.filter.Labels, "event": q.filter.Actions})
	if err != nil {
		return err
	}
	return mask.CheckFilters(string(filters))
}

// openEvents opens the feed of a query.
func openEvents(ctx context.Context, c *call, q eventQuery) (feed, error) {
	single := c.at.Host != ""
	if single {
		q.filter.Containers = c.h.fullIDs(c.at.Key(), q.filter.Containers)
	}
	hosts, err := c.followHosts(ctx, eventsRight, q.hostSelector)
	if err != nil {
		return nil, err
	}
	viewer, err := c.h.events.Watch(stream.EventQuery{Filter: q.filter})
	if err != nil {
		hosts.close()
		return nil, err
	}
	f := &eventFeed{ctx: ctx, c: c, query: q, hidden: q.hidden(), hosts: hosts, viewer: viewer, watched: map[hostcache.Key]*watchedHost{}, said: map[hostcache.Key]bool{}}
	if err := f.begin(single); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// fullIDs adds the ids of containers that are named by the beginning of their id, or by a
// name: events of networks have ids alone.
func (h *Handler) fullIDs(host hostcache.Key, names []string) []string {
	listing, _ := h.options.Hosts.List(host, engine.Containers) // those that are gone have events too
	for _, name := range slices.Clone(names) {
		if o, err := target.Object(engine.Containers, listing.Items, name); err == nil && o.ID != name {
			names = append(names, o.ID)
		}
	}
	return names
}

// begin looks at the hosts. What prevents it on the only host is the client's to know.
func (f *eventFeed) begin(single bool) error {
	hosts, _, err := f.hosts.get()
	if err != nil {
		return err
	}
	if single {
		f.only = true
		host := f.c.at.Key()
		if len(hosts) == 0 {
			return apistatus.HostNotFound(host) // the right was authorized
		}
		if hosts[0].masked && f.hidden != nil {
			denied := apistatus.Forbidden(f.c.who.User.GetName(), host, inspect)
			return apistatus.New(http.StatusForbidden, "Forbidden", "%s; %s", denied.Error(), f.hidden.Error())
		}
	}
	f.left = maxEventTail * max(1, len(hosts))
	return f.update()
}
