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
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dockercontrol_proxy_requests_total",
		Help: "Requests that the proxy has answered, by the right they asked for and the answer's code (101: a connection taken over).",
	}, []string{"subresource", "verb", "code"})
	requestDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "dockercontrol_proxy_request_duration_seconds",
		Help: "How long requests took that do not go on, by the subresource they asked for.",
		// The default ones, and on to the minute that an answer may take.
		Buckets: append(prometheus.DefBuckets[:len(prometheus.DefBuckets):len(prometheus.DefBuckets)], 30, 60),
	}, []string{"subresource"})
	streams = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "dockercontrol_streams",
		Help: "Streams that are open, by type: tunnel, passthrough, watch, relay, job, log, stats, events, exec, attach, or connection (of /stream, whose subscriptions count too).",
	}, []string{"type"})
	upstreams = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "dockercontrol_stream_upstreams",
		Help: "What is read from engines for viewers, by type: log, stats or events. All viewers of one container share one.",
	}, []string{"type"})
	sentBytesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dockercontrol_stream_sent_bytes_total",
		Help: "Bytes of logs, statistics and events that were sent to viewers, by type.",
	}, []string{"type"})
	droppedLinesTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "dockercontrol_stream_dropped_lines_total",
		Help: "Lines of logs that viewers were told to have missed, because they were too slow or the engine had none any more.",
	})
	reviewsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dockercontrol_authorization_reviews_total",
		Help: "SubjectAccessReviews that were sent, by decision: allowed, denied, or error where nobody could be asked.",
	}, []string{"decision"})
	cacheHitsTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "dockercontrol_authorization_cache_hits_total",
		Help: "Questions about rights that were answered without a SubjectAccessReview, from one of seconds before.",
	})
)

// Stream is a type of streams.
type Stream string

// The types.
const (
	// Tunnel is a connection that an engine took over.
	Tunnel Stream = "tunnel"
	// Passthrough is a request of the Docker API whose body or answer has no bound.
	Passthrough Stream = "passthrough"
	// Watch is a watch of a list.
	Watch Stream = "watch"
	// Relay is a watch of the kube-apiserver's.
	Relay Stream = "relay"
	// Job is a watch of a job.
	Job Stream = "job"
	// Log, Stats and Events are viewers of one, by requests or subscriptions.
	Log    Stream = "log"
	Stats  Stream = "stats"
	Events Stream = "events"
	// Exec and Attach are sessions of containers.
	Exec   Stream = "exec"
	Attach Stream = "attach"
	// Connection is a WebSocket that carries subscriptions.
	Connection Stream = "connection"
)

// What a review decided.
const (
	allowed = "allowed"
	denied  = "denied"
	failed  = "error"
)

func init() {
	metrics.Registry.MustRegister(requestsTotal, requestDuration, streams, upstreams, sentBytesTotal, droppedLinesTotal, reviewsTotal, cacheHitsTotal)
	for _, s := range []Stream{Tunnel, Passthrough, Watch, Relay, Job, Log, Stats, Events, Exec, Attach, Connection} {
		streams.WithLabelValues(string(s)) // so that there is a zero
	}
	for _, s := range []Stream{Log, Stats, Events} {
		upstreams.WithLabelValues(string(s))
		sentBytesTotal.WithLabelValues(string(s))
	}
	for _, decision := range []string{allowed, denied, failed} {
		reviewsTotal.WithLabelValues(decision)
	}
}

// Upstream returns what counts the upstreams of a type, up or down.
func Upstream(s Stream) func(delta int) {
	gauge := upstreams.WithLabelValues(string(s))
	return func(delta int) { gauge.Add(float64(delta)) }
}

// Sent counts bytes that a viewer was sent.
func Sent(s Stream, bytes int) { sentBytesTotal.WithLabelValues(string(s)).Add(float64(bytes)) }

// Dropped counts lines that a viewer was told to have missed.
func Dropped(lines uint64) { droppedLinesTotal.Add(float64(lines)) }

// Reviewed counts a SubjectAccessReview.
func Reviewed(isAllowed bool, err error) {
	decision := denied
	switch {
	case err != nil:
		decision = failed
	case isAllowed:
		decision = allowed
	}
	reviewsTotal.WithLabelValues(decision).Inc()
}

// CacheHit counts a question that needed no review.
func CacheHit() { cacheHitsTotal.Inc() }
