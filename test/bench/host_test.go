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

package bench

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

const (
	// engineContainers is how many containers the real engine has. They are created
	// and not started: a killed engine would have to stop them when it comes back,
	// and its start is not what is measured.
	engineContainers = 20
	// longOutage is past the half minute for which a lost engine is dialled every
	// second.
	longOutage = 65 * time.Second
	// crowd is how many DockerHosts name the one engine where a round takes long:
	// each has a connection, a probe and a backoff of its own, so that a round gives
	// that many samples.
	crowd = 8
)

// strict is a health check that finds a black hole within 6 s.
var strict = dcv1.DockerHostHealthCheck{
	Interval: &metav1.Duration{Duration: time.Second}, Timeout: &metav1.Duration{Duration: time.Second}, FailureThreshold: 3,
}

// hostBench is one real engine, one manager, and what the API server tells.
type hostBench struct {
	*hostWatch
	engine *testbed.Dockerd
	named  int
}

// create makes n DockerHosts of the engine, waits until all are Ready, and
// returns their names and how long each took.
func (h *hostBench) create(b *testing.B, n int, health dcv1.DockerHostHealthCheck) (names []string, took []time.Duration) {
	b.Helper()
	begun := time.Now()
	for range n {
		h.named++
		name := fmt.Sprintf("host-%d", h.named)
		if err := h.apply(b.Context(), name, h.engine.Socket(), health); err != nil {
			b.Fatal(err)
		}
		names = append(names, name)
	}
	return names, h.wait(b, time.Minute, metav1.ConditionTrue, begun, names...)
}

// applied measures from the request that creates a DockerHost to Ready.
func (h *hostBench) applied(b *testing.B) []figure {
	b.Helper()
	reference := newBare(h.engine.Socket(), false, 0)
	var ready, info, write []float64
	for range 2 * *rounds {
		begun := time.Now()
		names, took := h.create(b, 1, dcv1.DockerHostHealthCheck{})
		ready = append(ready, secondsOf(took)...)
		write = append(write, h.addedAt(names[0]).Sub(begun).Seconds())
		info = append(info, reference.timed(b, "/info").Seconds())
		h.deleteAll(b)
	}
	say("apply to Ready: %s", seconds(quantile(ready, 0.5)))
	return []figure{{
		name: "one real host: apply to Ready", unit: seconds, aim: 0.5, judge: p95, samples: ready,
		reference: quantile(info, 0.5) + 2*quantile(write, 0.5), of: "a bare GET /info, and two writes (spec, status) with their watch events",
	}}
}

// outages kills the engine and starts it again. Each round has a DockerHost of
// its own: one whose connection has just been lost is dialled less often.
func (h *hostBench) outages(b *testing.B) []figure {
	b.Helper()
	var lost, closed, back, boot []float64
	for round := range *rounds {
		names, _ := h.create(b, 1, dcv1.DockerHostHealthCheck{})
		pause(b, time.Duration(rand.Int64N(int64(time.Second))))
		l, c := h.kill(b, names)
		lost, closed = append(lost, l...), append(closed, c)
		pause(b, 500*time.Millisecond+time.Duration(rand.Int64N(int64(2*time.Second))))
		t, r := h.restart(b, names)
		back, boot = append(back, t...), append(boot, r)
		h.deleteAll(b)
		say("outage %d of %d: NotReady after %s, Ready again after %s", round+1, *rounds, seconds(l[0]), seconds(t[0]))
	}
	return []figure{
		{
			name: "engine killed to NotReady (refused)", unit: seconds, aim: 2, judge: p95, samples: lost,
			reference: quantile(closed, 0.5), of: "until the socket refuses connections",
		},
		{
			name: "engine back to Ready, outage of seconds", unit: seconds, aim: 2, judge: p95, samples: back,
			reference: quantile(boot, 0.5), of: "the engine's own start, to its first answer",
		},
	}
}

// kill ends the engine without a word and waits until every host is NotReady.
func (h *hostBench) kill(b *testing.B, names []string) (lost []float64, closed float64) {
	b.Helper()
	begun := time.Now()
	refusedAfter := make(chan time.Duration, 1)
	go func() { refusedAfter <- refused(h.engine.Socket(), begun) }()
	h.engine.Kill(b)
	took := h.wait(b, time.Minute, metav1.ConditionFalse, begun, names...)
	return secondsOf(took), (<-refusedAfter).Seconds()
}

// restart starts the engine and returns how long after its first answer each host
// was Ready, and how long the engine took to that answer.
func (h *hostBench) restart(b *testing.B, names []string) (back []float64, boot float64) {
	b.Helper()
	begun := time.Now()
	h.engine.Start(b)
	answered := time.Now()
	for _, after := range h.wait(b, time.Minute, metav1.ConditionTrue, begun, names...) {
		back = append(back, begun.Add(after).Sub(answered).Seconds())
	}
	return back, answered.Sub(begun).Seconds()
}

// blackHoles stops the engine's process: its socket accepts and says nothing.
func (h *hostBench) blackHoles(b *testing.B) []figure {
	b.Helper()
	reference := newBare(h.engine.Socket(), false, strict.Timeout.Duration)
	bound := (strict.Interval.Duration + strict.Timeout.Duration) * time.Duration(strict.FailureThreshold)
	var lost, healed, bare []float64
	for range max(1, *rounds/4) {
		names, _ := h.create(b, crowd, strict)
		pause(b, time.Second+time.Duration(rand.Int64N(int64(time.Second))))
		begun := time.Now()
		h.engine.Pause(b)
		bare = append(bare, unanswered(b, reference, begun).Seconds())
		lost = append(lost, secondsOf(h.wait(b, time.Minute, metav1.ConditionFalse, begun, names...))...)
		pause(b, time.Duration(rand.Int64N(int64(time.Second))))
		begun = time.Now()
		h.engine.Resume(b)
		healed = append(healed, secondsOf(h.wait(b, time.Minute, metav1.ConditionTrue, begun, names...))...)
		h.deleteAll(b)
	}
	say("black hole to NotReady: %s", seconds(quantile(lost, 0.5)))
	return []figure{
		{
			name: "black hole to NotReady (interval 1s, timeout 1s, threshold 3)", unit: seconds, aim: bound.Seconds(), judge: worst, samples: lost,
			reference: quantile(bare, 0.5), of: "three bare GET /_ping timing out in a row",
		},
		{name: "black hole healed to Ready (interval 1s)", unit: seconds, aim: 2, judge: p95, samples: healed},
	}
}

// unanswered pings a stopped engine until as many pings in a row as the threshold
// has timed out, and returns how long after since that was. The first may still be
// answered: a process of many threads does not stop at once.
func unanswered(b *testing.B, engine *bare, since time.Time) time.Duration {
	b.Helper()
	for n := int32(0); n < strict.FailureThreshold; {
		_, err := engine.call(http.MethodGet, "/_ping")
		switch {
		case err != nil:
			n++
		case time.Since(since) > time.Second:
			b.Fatal("a stopped engine answered")
		}
	}
	return time.Since(since)
}

// longOutages keeps the engine away for more than a minute, under the default
// health check.
func (h *hostBench) longOutages(b *testing.B) []figure {
	b.Helper()
	if *longRounds == 0 {
		return nil
	}
	var back, boot []float64
	for round := range *longRounds {
		say("outage of %v, %d of %d", longOutage, round+1, *longRounds)
		names, _ := h.create(b, crowd, dcv1.DockerHostHealthCheck{})
		begun := time.Now()
		h.kill(b, names)
		// Up to a whole interval more, for the phase of the dials.
		pause(b, time.Until(begun.Add(longOutage+time.Duration(rand.Int64N(int64(10*time.Second))))))
		t, r := h.restart(b, names)
		back, boot = append(back, t...), append(boot, r)
		h.deleteAll(b)
	}
	return []figure{{
		name: "engine back to Ready, outage of more than a minute (interval 10s)", unit: seconds, aim: 11, judge: worst, samples: back,
		reference: quantile(boot, 0.5), of: "the engine's own start, to its first answer",
	}}
}
