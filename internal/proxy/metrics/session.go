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
	sessionsEnded = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dockercontrol_sessions_ended_total",
		Help: "Sessions of exec and attach that have ended, by type and reason: Exited, Failed, Gone, Detached, Lost, Vanished, Closed, Revoked, Idle, TotalLimit or Shutdown.",
	}, []string{"type", "reason"})
	leftovers = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "dockercontrol_session_leftovers_total",
		Help: "Processes of ended sessions that could not be ended and may still run; the audit trail names them.",
	})
)

func init() { metrics.Registry.MustRegister(sessionsEnded, leftovers) }

// SessionEnded counts the end of an exec or an attach. The reason is one of a closed set.
func SessionEnded(kind Stream, reason string, leftover bool) {
	sessionsEnded.WithLabelValues(string(kind), reason).Inc()
	if leftover {
		leftovers.Inc()
	}
}
