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

package metrics

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/dockercontrol/dockercontrol/internal/access"
)

var containers = access.Right{Subresource: access.Containers, Verb: access.Get}

// observed is how many durations there are.
func observed(t *testing.T) (n uint64) {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "dockercontrol_proxy_request_duration_seconds" {
			for _, m := range family.GetMetric() {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

func TestRequestsAreCounted(t *testing.T) {
	set := func(right access.Right, code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			Set(r.Context(), right)
			if code != 0 {
				w.WriteHeader(code)
			}
		}
	}
	for name, tc := range map[string]struct {
		serve  http.HandlerFunc
		labels []string
		timed  bool
		panics bool
	}{
		"not understood":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, []string{"none", "none", "401"}, true, false},
		"a right":           {set(containers, 403), []string{"containers", "get", "403"}, true, false},
		"without a word":    {set(containers, 0), []string{"containers", "get", "200"}, true, false},
		"what nobody knows": {set(access.Right{Subresource: "x\n", Verb: "watch"}, 404), []string{"other", "other", "404"}, true, false},
		"a code of no name": {set(containers, 799), []string{"containers", "get", "0"}, true, false},
		"the first code": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusGone)
			w.WriteHeader(http.StatusInternalServerError)
		}, []string{"none", "none", "410"}, true, false},
		"a body": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
			w.WriteHeader(http.StatusInternalServerError)
		}, []string{"none", "none", "200"}, true, false},
		"a flush": {func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			w.WriteHeader(http.StatusInternalServerError)
		}, []string{"none", "none", "200"}, true, false},
		"a stream":            {func(_ http.ResponseWriter, r *http.Request) { Open(r.Context(), Watch)() }, []string{"none", "none", "200"}, false, false},
		"cut before it began": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{"none", "none", "0"}, true, true},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			panic(http.ErrAbortHandler)
		}, []string{"none", "none", "206"}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			count := func() float64 { return testutil.ToFloat64(requestsTotal.WithLabelValues(tc.labels...)) }
			before, timed := count(), observed(t)
			func() {
				defer func() {
					if (recover() != nil) != tc.panics {
						t.Error("a panic was made or lost")
					}
				}()
				Handler(tc.serve).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			}()
			if n := count() - before; n != 1 {
				t.Errorf("%v was counted %v times", tc.labels, n)
			}
			if n := observed(t) - timed; (n == 1) != tc.timed {
				t.Errorf("%d durations", n)
			}
		})
	}
}

func TestStreams(t *testing.T) {
	gauge := streams.WithLabelValues(string(Tunnel))
	before := testutil.ToFloat64(gauge)
	done, another := Open(context.Background(), Tunnel), Open(t.Context(), Tunnel)
	if n := testutil.ToFloat64(gauge) - before; n != 2 {
		t.Errorf("%v streams, want 2", n)
	}
	done()
	done()
	another()
	if n := testutil.ToFloat64(gauge) - before; n != 0 {
		t.Errorf("%v streams are left", n)
	}
	Set(t.Context(), containers) // without a request: nothing
}

func TestReviews(t *testing.T) {
	for decision, count := range map[string]func(){
		"allowed": func() { Reviewed(true, nil) },
		"denied":  func() { Reviewed(false, nil) },
		"error":   func() { Reviewed(false, errors.New("away")) },
	} {
		before := testutil.ToFloat64(reviewsTotal.WithLabelValues(decision))
		count()
		if n := testutil.ToFloat64(reviewsTotal.WithLabelValues(decision)) - before; n != 1 {
			t.Errorf("%s was counted %v times", decision, n)
		}
	}
	before := testutil.ToFloat64(cacheHitsTotal)
	CacheHit()
	if n := testutil.ToFloat64(cacheHitsTotal) - before; n != 1 {
		t.Errorf("a hit was counted %v times", n)
	}
}

// TestTheConnectionIsReached takes a connection over, sets deadlines and flushes through
// the counting writer, as handlers do.
func TestTheConnectionIsReached(t *testing.T) {
	taken := requestsTotal.WithLabelValues("attach", "create", "101")
	before, timed := testutil.ToFloat64(taken), observed(t)
	served := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(served)
		Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			Set(r.Context(), access.Right{Subresource: access.Attach, Verb: access.Create})
			control := http.NewResponseController(w)
			if err := errors.Join(control.SetReadDeadline(time.Now().Add(time.Minute)), control.SetWriteDeadline(time.Now().Add(time.Minute)), control.EnableFullDuplex()); err != nil {
				t.Errorf("the controller: %v", err)
			}
			c, _, err := control.Hijack()
			if err != nil {
				t.Errorf("taking it over: %v", err)
				return
			}
			defer c.Close()
			_, _ = io.WriteString(c, "raw\n")
		})).ServeHTTP(w, r)
	}))
	defer server.Close()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "raw\n" {
		t.Errorf("the client got %q, %v", line, err)
	}
	<-served
	if n := testutil.ToFloat64(taken) - before; n != 1 {
		t.Errorf("a connection taken over was counted %v times", n)
	}
	if n := observed(t) - timed; n != 0 {
		t.Errorf("%d durations of a connection taken over", n)
	}
}

func TestNamesAndHelp(t *testing.T) {
	problems, err := testutil.GatherAndLint(metrics.Registry, "dockercontrol_proxy_requests_total", "dockercontrol_proxy_request_duration_seconds",
		"dockercontrol_streams", "dockercontrol_stream_upstreams", "dockercontrol_stream_sent_bytes_total", "dockercontrol_stream_dropped_lines_total",
		"dockercontrol_authorization_reviews_total", "dockercontrol_authorization_cache_hits_total")
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for name, want := range map[string]int{
		"dockercontrol_streams": 11, "dockercontrol_stream_upstreams": 3, "dockercontrol_stream_sent_bytes_total": 3,
		"dockercontrol_stream_dropped_lines_total": 1, "dockercontrol_authorization_reviews_total": 3,
	} {
		if n, err := testutil.GatherAndCount(metrics.Registry, name); n != want || err != nil {
			t.Errorf("%d series of %s from the start, %v; want %d", n, name, err, want)
		}
	}
}
