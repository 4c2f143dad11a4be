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
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
)

const (
	// maxBody is what a kube-apiserver takes.
	maxBody = 3 << 20
	// unaryTimeout is less than the minute that the server gives an answer and the
	// kube-apiserver a request, so that the caller gets a Status and not a cut connection.
	unaryTimeout = 55 * time.Second
)

// Options say where a Relay leads.
type Options struct {
	// RESTConfig leads to the kube-apiserver. Its address and what verifies it are used,
	// its credentials are not.
	RESTConfig *rest.Config
	// Audit takes a record of each change and of each request that is denied.
	Audit audit.Recorder
	// Guard returns a context that ends when a caller's session does, for watches. Nil: only
	// the caller's Expires ends it, beside the reviews of the Relay itself.
	Guard func(ctx context.Context, c *caller.Caller) (guarded context.Context, stop func())
	Log   logr.Logger
}

// Relay is the handler. Its requests carry a caller.Caller in their context.
type Relay struct {
	options   Options
	base      *url.URL
	transport *http.Transport
	watches   watches
	// Of tests; reviewInterval and reviewOutage else.
	interval, outage time.Duration
}

// New returns a Relay to the kube-apiserver of o.RESTConfig.
func New(o Options) (*Relay, error) {
	switch {
	case o.RESTConfig == nil:
		return nil, errors.New("the relay needs a kube-apiserver to lead to")
	case o.Audit == nil:
		return nil, errors.New("the relay needs an audit trail to write changes to")
	}
	if o.Guard == nil {
		o.Guard = untilExpired
	}
	base, transport, err := anonymousTransport(o.RESTConfig)
	if err != nil {
		return nil, err
	}
	return &Relay{options: o, base: base, transport: transport, interval: reviewInterval, outage: reviewOutage}, nil
}

// Close drops the connections that no request uses.
func (r *Relay) Close() { r.transport.CloseIdleConnections() }

// ServeHTTP judges a request, forwards it and hands the answer back.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	c := caller.From(req.Context())
	if c == nil {
		apistatus.Write(w, apistatus.Unauthorized("nobody knows who asks"))
		return
	}
	q, err := Classify(req.Method, req.URL.EscapedPath(), req.URL.RawQuery)
	if err == nil {
		metrics.Set(req.Context(), access.Right{Verb: access.Verb(q.Verb)}) // of no host
		err = checkHeaders(q, req)
	}
	if err == nil && c.BearerToken == "" {
		err = refused("the proxy can hand only bearer tokens on to the kube-apiserver, and you came with another proof (%s): "+
			"ask the kube-apiserver itself, with kubectl, or come with a token (kubectl create token SERVICEACCOUNT)", c.Means)
	}
	if err != nil {
		r.denied(req, c, q, err)
		apistatus.Write(w, err)
		return
	}
	body, err := readBody(w, req)
	if err != nil {
		apistatus.Write(w, err)
		return
	}
	if q.Watch {
		r.serveWatch(w, req, c, q)
		return
	}
	r.serve(w, req, c, q, body)
}

// serve is for requests whose answer has an end.
func (r *Relay) serve(w http.ResponseWriter, req *http.Request, c *caller.Caller, q *Request, body []byte) {
	ctx, cancel := context.WithTimeout(req.Context(), unaryTimeout)
	defer cancel()
	resp, err := r.forwardRecorded(ctx, req, c, q, body)
	if err != nil {
		apistatus.Write(w, err)
		return
	}
	defer resp.Body.Close()
	if q.rule.flags&secret != 0 {
		answerNames(w, resp)
		return
	}
	copyHeader(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // the client must not take what it has for the whole
	}
}

// checkHeaders refuses bodies of other types than the rule has.
func checkHeaders(q *Request, req *http.Request) error {
	types := q.rule.types
	if len(types) == 0 || q.rule.flags&optionalBody != 0 && req.ContentLength == 0 {
		if req.ContentLength != 0 {
			return apistatus.BadRequest("a body was sent with %s, which has none", q.Method)
		}
		return nil
	}
	values := req.Header.Values("Content-Type")
	if len(values) == 1 {
		if got, _, err := mime.ParseMediaType(values[0]); err == nil && slices.Contains(types, got) {
			if req.Header.Get("Content-Encoding") == "" {
				return nil
			}
			return apistatus.New(http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, "a body cannot have a Content-Encoding here")
		}
	}
	return apistatus.New(http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType,
		"the Content-Type has to be one of: %s", strings.Join(types, ", "))
}

// readBody reads the body whole, so that one that is too long or breaks off changes
// nothing.
func readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	if req.ContentLength == 0 {
		return nil, nil
	}
	var tooLong *http.MaxBytesError
	body, err := io.ReadAll(limit.Reader(w, req.Body, maxBody))
	switch {
	case errors.As(err, &tooLong):
		return nil, apistatus.New(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "the body is longer than %d bytes", maxBody)
	case err != nil:
		return nil, apistatus.BadRequest("the body did not arrive whole")
	}
	return body, nil
}
