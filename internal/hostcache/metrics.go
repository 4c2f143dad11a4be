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

package hostcache

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

var (
	hostLabels = []string{"namespace", "name"}

	descUp = prometheus.NewDesc("dockercontrol_host_up",
		"Whether the host is connected: 1 or 0.", hostLabels, nil)
	descProbe = prometheus.NewDesc("dockercontrol_host_probe_duration_seconds",
		"How long the last probe that succeeded took.", hostLabels, nil)
	descConnects = prometheus.NewDesc("dockercontrol_host_connects_total",
		"Attempts to connect to the host, by result: success or failure.", append(hostLabels[:2:2], "result"), nil)
	descContainers = prometheus.NewDesc("dockercontrol_host_containers",
		"Containers of the host by state (running, paused, stopped), as docker info counts them.", append(hostLabels[:2:2], "state"), nil)
	descExpiry = prometheus.NewDesc("dockercontrol_host_certificate_expiry_timestamp_seconds",
		"When the client certificate for the host expires.", hostLabels, nil)
	descConnections = prometheus.NewDesc("dockercontrol_host_connections",
		"Connections to the host that are open, idle ones and streams included.", hostLabels, nil)
	descAge = prometheus.NewDesc("dockercontrol_inventory_age_seconds",
		"How long ago the host's engine last confirmed the listing of its containers; 0 while it is current.", hostLabels, nil)
)

// Describe implements prometheus.Collector.
func (c *Cache) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descUp, descProbe, descConnects, descContainers, descExpiry, descConnections, descAge} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It reads the hosts as they are, so
// that no series outlives its host.
func (c *Cache) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, a := range c.all("") {
		a.collect(ch, now)
	}
}

func (a *accessor) collect(ch chan<- prometheus.Metric, now time.Time) {
	emit := func(d *prometheus.Desc, t prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, value, append([]string{a.key.Namespace, a.key.Name}, labels...)...)
	}
	s := a.snapshot()
	up := 0.0
	if s.Connected() {
		up = 1
	}
	emit(descUp, prometheus.GaugeValue, up)
	emit(descConnects, prometheus.CounterValue, float64(a.connects.Load()), "success")
	emit(descConnects, prometheus.CounterValue, float64(a.failures.Load()), "failure")
	if !s.LastProbe.IsZero() {
		emit(descProbe, prometheus.GaugeValue, s.Latency.Seconds())
	}
	if !s.Credentials.NotAfter.IsZero() {
		emit(descExpiry, prometheus.GaugeValue, float64(s.Credentials.NotAfter.Unix()))
	}
	if n, ok := a.connections(); ok {
		emit(descConnections, prometheus.GaugeValue, float64(n))
	}
	listed, observedAt := a.inv.age(engine.Containers)
	if !listed {
		return
	}
	emit(descAge, prometheus.GaugeValue, max(0, now.Sub(observedAt).Seconds()))
	emit(descContainers, prometheus.GaugeValue, float64(s.Counts.Running), "running")
	emit(descContainers, prometheus.GaugeValue, float64(s.Counts.Paused), "paused")
	emit(descContainers, prometheus.GaugeValue, float64(s.Counts.Stopped), "stopped")
}

// connections is how many connections a live engine has, where it counts them.
func (a *accessor) connections() (int, bool) {
	eng, err := a.liveEngine()
	if err != nil {
		return 0, false
	}
	counter, ok := eng.(interface{ Connections() int })
	if !ok {
		return 0, false
	}
	return counter.Connections(), true
}
