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
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

// ada is who asks in these tests.
var ada = caller.Caller{
	User: &user.DefaultInfo{Name: "ada"}, Means: caller.Token, BearerToken: "adas-token", Source: "192.0.2.1", RequestID: "req-1",
}

// trail keeps records, or fails.
type trail struct {
	mu      sync.Mutex
	records []audit.Record
	err     error
}

func (t *trail) Record(_ context.Context, r audit.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.records = append(t.records, r)
	}
	return t.err
}

// lines are the records in short.
func (t *trail) lines() (lines []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.records {
		lines = append(lines, strings.Join([]string{
			r.Actor.User, r.Source, r.RequestID, r.Verb, r.Object.Kind, r.Host.Namespace, r.Object.Name, "host=" + r.Host.Name, string(r.Outcome), r.Reason,
		}, " "))
	}
	return lines
}

// bed is a relay between a client and a kube-apiserver.
type bed struct {
	*Relay
	trail  *trail
	url    string
	client *http.Client
	as     caller.Caller // set before the first request
}

// deadlines are what a bed's server gives requests and answers, but in the test of them.
const deadlines = 30 * time.Second

// newBed serves a relay to upstream. The configuration has all the credentials that must
// not be used.
func newBed(t *testing.T, upstream http.HandlerFunc) *bed {
	t.Helper()
	return newImpatientBed(t, upstream, deadlines)
}

// newImpatientBed is newBed with a server that gives requests and answers so long.
func newImpatientBed(t *testing.T, upstream http.HandlerFunc, deadline time.Duration) *bed {
	t.Helper()
	up := httptest.NewUnstartedServer(upstream)
	up.EnableHTTP2 = true
	up.StartTLS()
	t.Cleanup(up.Close)
	return serveBed(t, &rest.Config{
		Host: up.URL + "/base", TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		BearerToken: "the-managers", Username: "manager", Password: "secret",
		Impersonate: rest.ImpersonationConfig{UserName: "root"},
	}, deadline)
}

// serveBed serves a relay over TLS, HTTP/2 included, by a server that gives requests and
// answers so long.
func serveBed(t *testing.T, config *rest.Config, deadline time.Duration) *bed {
	t.Helper()
	b := &bed{trail: &trail{}, as: ada}
	relay, err := New(Options{RESTConfig: config, Audit: b.trail, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	b.Relay = relay
	down := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		as := b.as
		relay.ServeHTTP(w, r.WithContext(caller.With(r.Context(), &as)))
	}))
	down.EnableHTTP2 = true
	down.Config.WriteTimeout, down.Config.ReadTimeout = deadline, deadline
	down.StartTLS()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	b.url, b.client = down.URL, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		down.Close()
		relay.Close()
	})
	return b
}

// ask sends a request, "GET /path", and returns the answer with its body.
func (b *bed) ask(t *testing.T, request, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	resp, err := b.send(t, request, body, header)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func (b *bed) send(t *testing.T, request, body string, header http.Header) (*http.Response, error) {
	t.Helper()
	method, target, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	return b.client.Do(req)
}

// code is that of a Status.
func code(t *testing.T, body string) int32 {
	t.Helper()
	var status metav1.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil || status.Kind != "Status" {
		t.Fatalf("%q is no Status (%v)", body, err)
	}
	return status.Code
}
