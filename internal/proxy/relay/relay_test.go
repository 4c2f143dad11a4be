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
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

func TestForwardsOnlyWhatIsListed(t *testing.T) {
	got := make(chan *http.Request, 1)
	b := newBed(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.Clone(context.Background())
		for name, value := range map[string]string{
			"Content-Type": "application/json", "Warning": `299 - "old"`, "X-Kubernetes-Pf-Flowschema-Uid": "f",
			"Set-Cookie": "a=b", "Location": "/elsewhere", "Audit-Id": "theirs",
		} {
			w.Header().Set(name, value)
		}
		_, _ = io.WriteString(w, "{}")
	})
	header := http.Header{}
	for name, value := range map[string]string{
		"Accept": "application/json;as=Table", "Accept-Encoding": "gzip", "User-Agent": "dsctl/1", "If-None-Match": `"e"`,
		"Authorization": "Bearer other", "Cookie": "session=1", "X-Remote-User": "root", "X-Remote-Group": "system:masters",
		"Impersonate-User": "root", "Impersonate-Group": "system:masters", "Impersonate-Extra-A": "b", "Impersonate-Uid": "1",
		"X-Forwarded-For": "198.51.100.1", "Forwarded": "for=198.51.100.1", "X-Http-Method-Override": "DELETE",
		"Audit-Id": "mine", "Origin": "https://evil.example", "Traceparent": "00-1",
	} {
		header.Set(name, value)
	}
	resp, _ := b.ask(t, "GET "+hosts+"?limit=5&continue=a%2Bb", "", header)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("got %s", resp.Status)
	}
	want := http.Header{
		"Accept": {"application/json;as=Table"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"dsctl/1"}, "If-None-Match": {`"e"`},
		"Authorization": {"Bearer adas-token"}, "Audit-Id": {"req-1"},
	}
	forwarded := <-got
	if diff := cmp.Diff(want, forwarded.Header); diff != "" {
		t.Errorf("the kube-apiserver got other headers (-want +got):\n%s", diff)
	}
	if forwarded.URL.RequestURI() != "/base"+hosts+"?continue=a%2Bb&limit=5" || forwarded.Method != http.MethodGet {
		t.Errorf("the kube-apiserver got %s %s", forwarded.Method, forwarded.URL)
	}
	for _, name := range []string{"Set-Cookie", "Location", "Audit-Id"} {
		if resp.Header.Get(name) != "" {
			t.Errorf("the answer has %s", name)
		}
	}
	for _, name := range []string{"Content-Type", "Warning", "X-Kubernetes-Pf-Flowschema-Uid", "Cache-Control"} {
		if resp.Header.Get(name) == "" {
			t.Errorf("the answer lacks %s", name)
		}
	}
}

func TestRefusesBeforeAsking(t *testing.T) {
	b := newBed(t, func(http.ResponseWriter, *http.Request) { t.Error("the kube-apiserver was asked") })
	as := func(contentType ...string) http.Header { return http.Header{"Content-Type": contentType} }
	encoded := as("application/json")
	encoded.Set("Content-Encoding", "gzip")
	for name, tc := range map[string]struct {
		request, body string
		header        http.Header
		code          int32
	}{
		"not on the list":          {"GET /api/v1/namespaces/web/pods", "", nil, 403},
		"a Secret read":            {"GET " + secretPath, "", nil, 403},
		"an escape":                {"GET /apis/dockercontrol%2Edev", "", nil, 400},
		"a body with GET":          {"GET " + hosts, "{}", nil, 400},
		"no type":                  {"POST " + hosts, "{}", nil, 415},
		"a form":                   {"POST " + hosts, "a=b", as("application/x-www-form-urlencoded"), 415},
		"two types":                {"POST " + hosts, "{}", as("application/json", "application/yaml"), 415},
		"compressed":               {"POST " + hosts, "{}", encoded, 415},
		"too long":                 {"POST " + hosts, strings.Repeat(" ", maxBody+1), as("application/json"), 413},
		"a JSON patch of a Secret": {"PATCH " + secretPath + "?fieldManager=a", "[]", as("application/json-patch+json"), 415},
		"a Secret as CBOR":         {"PATCH " + secretPath + "?fieldManager=a", "a", as("application/apply-patch+cbor"), 415},
		"a Secret unmanaged":       {"PATCH " + secretPath, "{}", as(applyYAML), 400},
	} {
		t.Run(name, func(t *testing.T) {
			if _, body := b.ask(t, tc.request, tc.body, tc.header); code(t, body) != tc.code {
				t.Errorf("got %s, want %d", body, tc.code)
			}
		})
	}
}

func TestNeedsABearerToken(t *testing.T) {
	b := newBed(t, func(http.ResponseWriter, *http.Request) { t.Error("the kube-apiserver was asked") })
	b.as.BearerToken, b.as.Means = "", caller.Certificate
	if _, body := b.ask(t, "GET "+hosts, "", nil); code(t, body) != 403 || !strings.Contains(body, "kubectl create token") {
		t.Errorf("got %s", body)
	}
	_, _ = b.ask(t, "GET "+secretPath, "", nil)
	want := []string{
		"ada 192.0.2.1 req-1 list DockerHost web  host= denied NoBearerToken",
		"ada 192.0.2.1 req-1 get Path  " + secretPath + " host= denied NotRelayed",
	}
	if diff := cmp.Diff(want, b.trail.lines()); diff != "" {
		t.Error(diff)
	}
	recorder := httptest.NewRecorder()
	b.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, hosts, nil))
	if recorder.Code != http.StatusUnauthorized {
		t.Errorf("without a caller: %d", recorder.Code)
	}
}

func TestRecordsChanges(t *testing.T) {
	answer := make(chan int, 1)
	b := newBed(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(<-answer) })
	for _, r := range []struct {
		answer                     int
		request, body, contentType string
	}{
		{201, "POST " + hosts, `{"metadata":{"name":"prod","NAME":"other"}}`, "application/json"},
		{201, "POST " + hosts + "?dryRun=All", `{"metadata":{"name":"prod"}}`, "application/json"},
		{201, "POST " + ours + "/namespaces/web/hostpermissions", "metadata:\n  generateName: ci-\n", "application/yaml"},
		{201, "POST " + reviewPath, "{}", "application/json"},
		{403, "DELETE " + hosts + "/prod", "", ""},
		{403, "GET " + hosts + "/prod", "", ""},
		{409, "PUT " + ours + "/namespaces/web/swarmservices/shop/scale", "{}", "application/json"},
	} {
		answer <- r.answer
		resp, body := b.ask(t, r.request, r.body, http.Header{"Content-Type": {r.contentType}})
		if resp.StatusCode != r.answer {
			t.Errorf("%s: got %s %s", r.request, resp.Status, body)
		}
	}
	want := []string{
		"ada 192.0.2.1 req-1 create DockerHost web prod host=prod allowed ",
		"ada 192.0.2.1 req-1 create DockerHost web prod host=prod succeeded ",
		"ada 192.0.2.1 req-1 create HostPermission web ci-* host= allowed ",
		"ada 192.0.2.1 req-1 create HostPermission web ci-* host= succeeded ",
		"ada 192.0.2.1 req-1 delete DockerHost web prod host=prod allowed ",
		"ada 192.0.2.1 req-1 delete DockerHost web prod host=prod failed Forbidden",
		"ada 192.0.2.1 req-1 get DockerHost web prod host=prod denied Forbidden",
		"ada 192.0.2.1 req-1 update SwarmService/scale web shop host= allowed ",
		"ada 192.0.2.1 req-1 update SwarmService/scale web shop host= failed Conflict",
	}
	if diff := cmp.Diff(want, b.trail.lines()); diff != "" {
		t.Error(diff)
	}
}

func TestChangesNothingOffTheRecord(t *testing.T) {
	b := newBed(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Error("the kube-apiserver was asked for a change")
		}
	})
	b.trail.err = errors.New("disk full")
	if _, body := b.ask(t, "DELETE "+hosts+"/prod", "", nil); code(t, body) != 503 || strings.Contains(body, "disk full") {
		t.Errorf("got %s", body)
	}
	if resp, _ := b.ask(t, "GET "+hosts+"/prod", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("a read: %s", resp.Status)
	}
}

func TestUpstreamFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		upstream http.HandlerFunc
		code     int32
	}{
		"redirects":             {http.RedirectHandler("https://evil.example/", http.StatusFound).ServeHTTP, 502},
		"not modified, unasked": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, 502},
		"dies":                  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := newBed(t, tc.upstream).ask(t, "GET "+hosts, "", nil)
			if code(t, body) != tc.code || resp.Header.Get("Location") != "" {
				t.Errorf("got %s", body)
			}
		})
	}
	t.Run("is away", func(t *testing.T) {
		resp, body := serveBed(t, &rest.Config{Host: "https://127.0.0.1:1"}, deadlines).ask(t, "GET "+hosts, "", nil)
		if code(t, body) != 503 || resp.Header.Get("Retry-After") == "" || strings.Contains(body, "127.0.0.1") {
			t.Errorf("got %s", body)
		}
	})
}

// TestCutAnswers: what breaks off upstream breaks off for the client.
func TestCutAnswers(t *testing.T) {
	for _, request := range []string{"GET " + hosts, "GET " + hosts + "?watch=true"} {
		t.Run(request, func(t *testing.T) {
			b := newBed(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"items":[`)
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			resp, err := b.send(t, request, "", nil)
			if err != nil {
				return // cut before its headers left
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("got %q as a whole answer", got)
			}
		})
	}
}
