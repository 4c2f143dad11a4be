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

package audit

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	recordsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dockercontrol_audit_records_total",
		Help: "Audit records written, by outcome (allowed, denied, succeeded, failed).",
	}, []string{"outcome"})
	writeErrorsTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "dockercontrol_audit_write_errors_total",
		Help: "Audit records that could not be written. Changes are refused meanwhile.",
	})
)

func init() {
	metrics.Registry.MustRegister(recordsTotal, writeErrorsTotal)
	for _, o := range []Outcome{Allowed, Denied, Succeeded, Failed} {
		recordsTotal.WithLabelValues(string(o)) // so that a rate has its zero to start from
	}
}

func count(o Outcome, err error) {
	if err != nil {
		writeErrorsTotal.Inc()
		return
	}
	switch o {
	case Allowed, Denied, Succeeded, Failed:
		recordsTotal.WithLabelValues(string(o)).Inc()
	}
}
