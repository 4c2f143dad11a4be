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
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

// requestHeaders are handed on as they came, but for those that the relay sets itself.
var requestHeaders = []string{"Accept", "Accept-Encoding", "Content-Type", "If-None-Match", "User-Agent"}

// answerHeaders are handed back as they came. Those that protect a browser are the
// server's, and Audit-Id is the same on both sides.
var answerHeaders = []string{
	"Cache-Control", "Content-Encoding", "Content-Length", "Content-Type", "Etag", "Retry-After", "Vary", "Warning",
	"X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid",
}

// namesOnly asks for an object's metadata in place of the object.
const namesOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// anonymousTransport leads to a kube-apiserver, and has no credentials that could get on
// the way. It is not client-go's own, which other clients of the process share.
func anonymousTransport(config *rest.Config) (*url.URL, *http.Transport, error) {
	config = rest.AnonymousClientConfig(config)
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("the relay's kube-apiserver: %w", err)
	}
	if base.User != nil {
		return nil, nil, errors.New("the relay's kube-apiserver: its address holds a user, which is a credential of the manager's")
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("the relay's kube-apiserver: %w", err)
	}
	dial := config.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	return base, utilnet.SetTransportDefaults(&http.Transport{
		Proxy: config.Proxy, DialContext: dial, TLSClientConfig: tlsConfig, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true, // what the client and the kube-apiserver agree on is theirs
	}), nil
}

// forward sends a request on and returns the answer with its headers, a Status of the
// kube-apiserver's included. The error is a Status of ours.
func (r *Relay) forward(ctx context.Context, header http.Header, c *caller.Caller, q *Request, body []byte) (*http.Response, error) {
	target := url.URL{Scheme: r.base.Scheme, Host: r.base.Host, Path: strings.TrimSuffix(r.base.Path, "/") + q.Path, RawQuery: q.Query}
	out, err := http.NewRequestWithContext(ctx, q.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the relay's request: %w", err)
	}
	for _, name := range requestHeaders {
		if values := header.Values(name); len(values) > 0 {
			out.Header[name] = values
		}
	}
	if q.rule != nil && q.rule.flags&secret != 0 {
		out.Header.Set("Accept", namesOnly)
		out.Header.Del("Accept-Encoding")
	}
	out.Header.Set("Authorization", "Bearer "+c.BearerToken)
	if c.RequestID != "" {
		out.Header.Set("Audit-Id", c.RequestID)
	}
	resp, err := r.transport.RoundTrip(out) // which follows no redirects
	if err != nil {
		return nil, r.unreachable(ctx, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode >= 300 && resp.StatusCode < 400 && !notModified(out, resp) {
		_ = resp.Body.Close() // nobody wants the rest
		return nil, apistatus.New(http.StatusBadGateway, metav1.StatusReasonInternalError,
			"the kube-apiserver answered with %d, which is not followed: is there something else at its address?", resp.StatusCode)
	}
	return resp, nil
}

// notModified is the one answer below 400 beside the 200s: the client has it already.
func notModified(req *http.Request, resp *http.Response) bool {
	return resp.StatusCode == http.StatusNotModified && req.Method == http.MethodGet && req.Header.Get("If-None-Match") != ""
}

// unreachable is the Status for an answer that did not come. Its text is for the log: it
// has addresses.
func (r *Relay) unreachable(ctx context.Context, err error) error {
	r.options.Log.V(1).Info("The kube-apiserver did not answer a relayed request", "error", err.Error())
	var network net.Error
	if why := context.Cause(ctx); errors.Is(why, errSlow) || errors.Is(why, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout() {
		return apistatus.New(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "the kube-apiserver did not answer in time; a change may have been made all the same")
	}
	return apistatus.Unavailable("the kube-apiserver cannot be reached; try again")
}

// copyHeader hands an answer's headers back.
func copyHeader(to, from http.Header) {
	for _, name := range answerHeaders {
		if values := from.Values(name); len(values) > 0 {
			to[name] = values
		}
	}
	if to.Get("Cache-Control") == "" {
		to.Set("Cache-Control", "no-cache, private")
	}
}
