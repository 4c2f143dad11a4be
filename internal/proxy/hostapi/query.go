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

package hostapi

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/hostapi/selector"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// maxWatch bounds timeoutSeconds, which must not overflow.
const maxWatch = 7 * 24 * time.Hour

// query is what a request asks for beside its path.
type query struct {
	labels selector.Selector
	hosts  labels.Selector // nil for all
	limit  int64           // 0 for none
	after  position        // zero for the beginning
	scope  string          // what a continue token is good for
	watch  bool
	// timeout ends a watch; 0 for none.
	timeout time.Duration
	// stale asks for the last inventory of hosts that are not connected.
	stale bool
}

// tolerated are parameters that Kubernetes clients send and that change nothing here.
var tolerated = []string{"pretty", "resourceVersionMatch", "allowWatchBookmarks", "sendInitialEvents", "timeoutSeconds", "includeObject"}

// parseQuery refuses what it does not know by name: a selector with a typo would be a list
// of everything.
func (h *Handler) parseQuery(raw string, at route.Route) (query, error) {
	// A merged list has the last of every host, as a list of Pods has those of nodes that
	// are lost; of one host that is lost the answer is that it is.
	q := query{stale: at.Host == ""}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, apistatus.BadRequest("the query cannot be read: it is not escaped as a URL's")
	}
	var token string
	for name, all := range values {
		if len(all) > 1 {
			return q, apistatus.BadRequest("the parameter %.80q is there twice; what is meant?", name)
		}
		if err := q.set(name, all[0], at, &token); err != nil {
			return q, err
		}
	}
	q.scope = scopeOf(at, q)
	if q.watch {
		switch {
		case q.limit > 0 || token != "":
			return q, apistatus.BadRequest("a watch has neither limit nor continue")
		case at.Host == "" && !q.stale:
			return q, apistatus.BadRequest("a watch over many hosts keeps the last items of those that are lost; leave stale=false out")
		}
	}
	if token != "" {
		q.after, err = h.openToken(token, q.scope)
	}
	return q, err
}

// set takes one parameter.
func (q *query) set(name, value string, at route.Route, token *string) error {
	list := at.Object == ""
	var err error
	switch {
	case name == "stale":
		q.stale, err = parseBool(name, value)
	case name == "resourceVersion":
		if value != "" && value != "0" {
			return expired()
		}
	case list && name == "labelSelector":
		if q.labels, err = selector.Parse(value); err != nil {
			return apistatus.BadRequest("labelSelector cannot be read: %s", err)
		}
	case list && name == "hostSelector" && at.Host == "":
		if q.hosts, err = labels.Parse(value); err != nil {
			return apistatus.BadRequest("hostSelector cannot be read: %s", err)
		}
	case name == "hostSelector" && list:
		return apistatus.BadRequest("hostSelector chooses among hosts, and the path names one: leave it out, or ask without dockerhosts/%s", at.Host)
	case list && name == "limit":
		if q.limit, err = strconv.ParseInt(value, 10, 64); value != "" && (err != nil || q.limit < 0) {
			return apistatus.BadRequest("limit is a number of items, 0 for all")
		}
		return nil
	case list && name == "continue":
		*token = value
	case list && name == "watch":
		q.watch, err = parseBool(name, value)
	case slices.Contains(tolerated, name):
		err = q.tolerate(name, value)
	default:
		return apistatus.BadRequest("the parameter %.80q is not known here", name)
	}
	return err
}

// tolerate reads what matters to watches only.
func (q *query) tolerate(name, value string) error {
	if name != "timeoutSeconds" || value == "" {
		return nil
	}
	seconds, err := strconv.ParseInt(value, 10, 32)
	if err != nil || seconds < 0 {
		return apistatus.BadRequest("timeoutSeconds is a number of seconds")
	}
	q.timeout = min(time.Duration(seconds)*time.Second, maxWatch)
	return nil
}

// parseBool reads a boolean as Kubernetes does: alone it is true.
func parseBool(name, value string) (bool, error) {
	if value == "" {
		return true, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, apistatus.BadRequest("%s is true or false", name)
	}
	return b, nil
}

// expired sends a client back to the list: there are no versions to go on from.
func expired() error {
	return apierrors.NewResourceExpired("there is no going on from a resourceVersion here: list anew, or watch without one")
}

// scopeOf names what a continue token is good for.
func scopeOf(at route.Route, q query) string {
	hosts := ""
	if q.hosts != nil {
		hosts = q.hosts.String()
	}
	return strconv.Quote(at.Segment) + strconv.Quote(at.Namespace) + strconv.Quote(at.Host) +
		strconv.Quote(q.labels.String()) + strconv.Quote(hosts) + strconv.FormatBool(q.stale)
}
