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

package relay

import (
	"context"
	"errors"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

// forwardRecorded forwards a request, between two records where it changes something.
func (r *Relay) forwardRecorded(ctx context.Context, req *http.Request, c *caller.Caller, q *Request, body []byte) (resp *http.Response, err error) {
	if !q.Change {
		resp, err = r.forward(ctx, req.Header, c, q, body)
		if err == nil && resp.StatusCode == http.StatusForbidden {
			r.record(req.Context(), record(c, q, nil), audit.Denied, string(metav1.StatusReasonForbidden))
		}
		return resp, err
	}
	var failed error // ours, where there is no answer
	err = audit.Do(ctx, r.options.Audit, record(c, q, body), func(ctx context.Context) error {
		resp, failed = r.forward(ctx, req.Header, c, q, body) //nolint:bodyclose // who gets it closes it
		if failed != nil {
			return failed
		}
		return refusal(resp, q)
	})
	switch {
	case errors.Is(err, audit.ErrRefused):
		r.options.Log.Error(err, "A change was not relayed")
		return nil, apistatus.Unavailable("the audit trail cannot be written, and nothing is changed without it")
	case errors.Is(err, audit.ErrOutcomeNotRecorded): // what was done was done
		r.options.Log.Error(err, "The outcome of a relayed change is not on record")
	}
	return resp, failed
}

// refusal is the error that a kube-apiserver's answer stands for, with the reason that
// goes with its code.
func refusal(resp *http.Response, q *Request) error {
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	return apierrors.NewGenericServerResponse(resp.StatusCode, q.Verb, schema.GroupResource{Group: q.Group, Resource: q.Resource}, q.Name, "", 0, true)
}

// denied records a request that the relay refused. What is misspelled is a mistake, and
// not recorded.
func (r *Relay) denied(req *http.Request, c *caller.Caller, q *Request, err error) {
	if apierrors.ReasonForError(err) != metav1.StatusReasonForbidden {
		return
	}
	if q == nil { // not on the list: the path is well-formed, and has no query
		r.record(req.Context(), audit.Record{
			Actor: c.Actor(), Source: c.Source, RequestID: c.RequestID, Verb: strings.ToLower(req.Method),
			Object: audit.Object{Kind: "Path", Name: req.URL.EscapedPath()},
		}, audit.Denied, "NotRelayed")
		return
	}
	r.record(req.Context(), record(c, q, nil), audit.Denied, "NoBearerToken")
}

func (r *Relay) record(ctx context.Context, rec audit.Record, outcome audit.Outcome, reason string) {
	rec.Outcome, rec.Reason = outcome, reason
	if err := r.options.Audit.Record(context.WithoutCancel(ctx), rec); err != nil {
		r.options.Log.Error(err, "A denied request is not on record", "requestID", rec.RequestID)
	}
}

// record says what a request does. The name of what is created is in the body.
func record(c *caller.Caller, q *Request, body []byte) audit.Record {
	name := q.Name
	if q.Verb == "create" {
		name = nameIn(body)
	}
	verb := q.Verb
	if verb == "" {
		verb = "get"
	}
	rec := audit.Record{
		Actor: c.Actor(), Source: c.Source, RequestID: c.RequestID, Verb: verb,
		Host: audit.Host{Namespace: q.Namespace}, Object: audit.Object{Kind: q.Kind(), Name: name},
	}
	if q.Resource == "dockerhosts" {
		rec.Host.Name = name
	}
	return rec
}

// nameIn is the name in an object's metadata; one that the kube-apiserver is to make up
// ends in a star. It is read as there: letter case counts.
func nameIn(body []byte) string {
	var object struct {
		Metadata struct {
			Name         string `json:"name"`
			GenerateName string `json:"generateName"`
		} `json:"metadata"`
	}
	if utiljson.Unmarshal(body, &object) != nil {
		converted, err := yaml.YAMLToJSON(body)
		if err != nil || utiljson.Unmarshal(converted, &object) != nil {
			return "" // the kube-apiserver says what is wrong with it
		}
	}
	switch {
	case object.Metadata.Name != "":
		return object.Metadata.Name
	case object.Metadata.GenerateName != "":
		return object.Metadata.GenerateName + "*"
	}
	return ""
}
