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

package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

// auditPath is where the audit trail is searched. Who may is who may "get" it as a
// non-resource URL: the trail is about all namespaces.
const auditPath = "/audit"

// auditTrail answers with records of this replica's trail.
type auditTrail struct {
	file     string
	authz    *authz.Authorizer
	recorder audit.Recorder
	log      logr.Logger
}

func (a *auditTrail) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	readOnly(w, r, func() {
		page, err := a.query(r)
		if err != nil {
			apistatus.Write(w, err)
			return
		}
		apistatus.WriteJSON(w, http.StatusOK, page)
	})
}

func (a *auditTrail) query(r *http.Request) (audit.Page, error) {
	who := caller.From(r.Context())
	allowed, err := a.authz.AllowedPath(r.Context(), who.User, auditPath, "get")
	if err != nil {
		return audit.Page{}, err
	}
	if !allowed {
		return audit.Page{}, a.refuse(r.Context(), who)
	}
	filter, err := auditFilter(r.URL.RawQuery)
	if err != nil {
		return audit.Page{}, err
	}
	page, err := audit.Query(r.Context(), a.file, filter)
	switch {
	case errors.Is(err, audit.ErrContinue):
		return page, apistatus.New(http.StatusGone, metav1.StatusReasonExpired, "%s", err.Error())
	case errors.Is(err, audit.ErrNoQuery):
		return page, apistatus.New(http.StatusNotImplemented, metav1.StatusReasonMethodNotAllowed, "%s", err.Error())
	case err != nil && r.Context().Err() == nil:
		a.log.Error(err, "The audit trail could not be searched", "requestID", who.RequestID)
	}
	return page, err
}

// refuse puts the refusal on record and returns it.
func (a *auditTrail) refuse(ctx context.Context, who *caller.Caller) error {
	record := audit.Record{
		Actor: who.Actor(), Source: who.Source, RequestID: who.RequestID, Verb: "get",
		Object: audit.Object{Kind: "AuditTrail"}, Outcome: audit.Denied, Reason: "Forbidden",
	}
	if err := a.recorder.Record(context.WithoutCancel(ctx), record); err != nil {
		a.log.Error(err, "A refusal could not be put on record", "requestID", who.RequestID)
	}
	return apistatus.New(http.StatusForbidden, metav1.StatusReasonForbidden,
		"user %q cannot get the audit trail: bind the ClusterRole dockercontrol-audit-reader to those who should", who.User.GetName())
}

// auditFilter reads the parameters. An unknown one is an error: what it was to leave out
// would be answered.
func auditFilter(raw string) (audit.Filter, error) {
	var f audit.Filter
	values, err := url.ParseQuery(raw)
	if err != nil {
		return f, apistatus.BadRequest("the query is not one: escape its values")
	}
	texts := map[string]*string{
		"user": &f.User, "namespace": &f.Namespace, "host": &f.Host, "verb": &f.Verb, "requestID": &f.RequestID,
		"kind": &f.ObjectKind, "object": &f.Object, "continue": &f.Continue, "outcome": (*string)(&f.Outcome),
	}
	times := map[string]*time.Time{"since": &f.Since, "until": &f.Until}
	for name, all := range values {
		if len(all) != 1 {
			return f, apistatus.BadRequest("the parameter %q is there more than once", name)
		}
		switch {
		case texts[name] != nil:
			*texts[name] = all[0]
		case times[name] != nil:
			if *times[name], err = time.Parse(time.RFC3339, all[0]); err != nil {
				return f, apistatus.BadRequest("%s is no RFC 3339 time, as in 2026-01-31T00:00:00Z", name)
			}
		case name == "limit":
			if f.Limit, err = strconv.Atoi(all[0]); err != nil || f.Limit < 1 || f.Limit > audit.MaxLimit {
				return f, apistatus.BadRequest("limit is a number from 1 to %d", audit.MaxLimit)
			}
		default:
			return f, apistatus.BadRequest("there is no parameter %q: there are limit, since, until, %s", name, strings.Join(sortedKeys(texts), ", "))
		}
	}
	if outcomes := audit.Outcomes(); f.Outcome != "" && !slices.Contains(outcomes, f.Outcome) {
		return f, apistatus.BadRequest("there is no outcome %q: there are %v", string(f.Outcome), outcomes)
	}
	return f, nil
}

func sortedKeys(m map[string]*string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
