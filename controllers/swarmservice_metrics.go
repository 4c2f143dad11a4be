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

package controllers

import (
	"github.com/prometheus/client_golang/prometheus"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// SwarmServiceMetrics are the series of SwarmServices, of the leader only.
type SwarmServiceMetrics struct {
	replicas *prometheus.GaugeVec
	drift    *prometheus.CounterVec
}

var _ prometheus.Collector = &SwarmServiceMetrics{}

// NewSwarmServiceMetrics makes the series; the caller registers them.
func NewSwarmServiceMetrics() *SwarmServiceMetrics {
	return &SwarmServiceMetrics{
		replicas: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "dockercontrol_swarmservice_replicas",
			Help: "Tasks of a SwarmService, by kind: desired, running, updated (those that run what the spec says) and completed (of a job).",
		}, []string{"namespace", "name", "kind"}),
		drift: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dockercontrol_swarmservice_drift_total",
			Help: "Corrections of a service that was changed behind the operator's back.",
		}, []string{"namespace", "name"}),
	}
}

// Describe tells of the series.
func (m *SwarmServiceMetrics) Describe(ch chan<- *prometheus.Desc) {
	m.replicas.Describe(ch)
	m.drift.Describe(ch)
}

// Collect tells the series.
func (m *SwarmServiceMetrics) Collect(ch chan<- prometheus.Metric) {
	m.replicas.Collect(ch)
	m.drift.Collect(ch)
}

func (m *SwarmServiceMetrics) observe(svc *dcv1.SwarmService) {
	s := &svc.Status
	for kind, n := range map[string]int32{
		"desired": s.DesiredReplicas, "running": s.RunningReplicas, "updated": s.UpdatedReplicas, "completed": s.CompletedReplicas,
	} {
		m.replicas.WithLabelValues(svc.Namespace, svc.Name, kind).Set(float64(n))
	}
	m.drift.WithLabelValues(svc.Namespace, svc.Name) // from 0, so that the first one is an increase
}

func (m *SwarmServiceMetrics) drifted(svc *dcv1.SwarmService) {
	m.drift.WithLabelValues(svc.Namespace, svc.Name).Inc()
}

func (m *SwarmServiceMetrics) forget(namespace, name string) {
	of := prometheus.Labels{"namespace": namespace, "name": name}
	m.replicas.DeletePartialMatch(of)
	m.drift.DeletePartialMatch(of)
}
