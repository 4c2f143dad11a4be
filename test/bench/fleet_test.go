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
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

const (
	// settle is how long after the last host became Ready the fleet counts as
	// steady.
	settle = 20 * time.Second
	// smallSteady is how long fleets that serve for comparison are measured.
	smallSteady = 30 * time.Second
	// writers is how many requests make the fleet's DockerHosts at once; it is as
	// many as the manager uses for statuses.
	writers = 16
	// probeInterval is the default of spec.healthCheck.interval.
	probeInterval = 10 * time.Second
)

// fleetRun is what one fleet cost its manager.
type fleetRun struct {
	hosts int
	// create is how long the bare API server took to store the DockerHosts, start
	// how long the manager from its start to all of them Ready, startCPU what that
	// cost it.
	create, start, startCPU time.Duration
	// cores, of the manager, of the engines.
	cores, simCores float64
	rss, peak       float64
	goroutines      float64
	files           int
	writesPerMinute float64
}

// costs tells what fleets of several sizes cost the manager.
func costs(runs []fleetRun) [][]string {
	rows := [][]string{{"hosts", "start to all Ready", "CPU of the start", "CPU, steady", "CPU a host", "RSS", "peak RSS", "RSS a host",
		"goroutines a host", "open files a host", "writes a minute", "the engines' CPU"}}
	none := runs[0]
	for _, r := range runs {
		row := []string{fmt.Sprint(r.hosts), "", seconds(r.startCPU.Seconds()), cores(r.cores), "",
			megabytes(r.rss), megabytes(r.peak), "", "", "", number(r.writesPerMinute), cores(r.simCores)}
		if r.hosts > 0 {
			n := float64(r.hosts)
			row[1] = seconds(r.start.Seconds())
			row[4] = fmt.Sprintf("%.3f millicores", (r.cores-none.cores)*1000/n)
			row[7] = fmt.Sprintf("%.0f kB", (r.rss-none.rss)/1e3/n)
			row[8] = fmt.Sprintf("%.1f", (r.goroutines-none.goroutines)/n)
			row[9] = fmt.Sprintf("%.1f", float64(r.files-none.files)/n)
		}
		rows = append(rows, row)
	}
	return rows
}

// measureFleet makes n DockerHosts, starts a manager for them, and measures it.
func (c *cluster) measureFleet(b *testing.B, w *hostWatch, sim *simulated, n int, window time.Duration) fleetRun {
	b.Helper()
	r := fleetRun{hosts: n}
	names := make([]string, n)
	begun := time.Now()
	inParallel(b, n, writers, func(i int) error {
		names[i] = fmt.Sprintf("fleet-%d-%04d", n, i)
		return w.apply(b.Context(), names[i], sim.sockets[i], dcv1.DockerHostHealthCheck{})
	})
	r.create = time.Since(begun)

	before := c.writes(b)
	begun = time.Now()
	m := c.startManager(b)
	if n > 0 {
		r.start = slices.Max(w.wait(b, 5*time.Minute, metav1.ConditionTrue, begun, names...))
	}
	r.startCPU = m.usage(b).cpu
	_, wrote := sumSince(before, c.writes(b))
	say("%d hosts: all Ready after %s, which took the manager %s of CPU and these writes: %s", n, seconds(r.start.Seconds()), seconds(r.startCPU.Seconds()), wrote)
	pause(b, min(settle, window))

	manager, engines, writes := m.usage(b), sim.usage(b), c.writes(b)
	if n == 0 {
		r.startCPU = manager.cpu
	}
	pause(b, window)
	after := m.usage(b)
	r.cores, r.simCores = after.coresSince(manager), sim.usage(b).coresSince(engines)
	r.rss, r.peak, r.files = after.rss, after.peak, after.files
	r.goroutines = m.goroutines(b)
	count, wrote := sumSince(writes, c.writes(b))
	r.writesPerMinute = count / window.Minutes()
	say("%d hosts, steady for %v: %s, %s, %s writes a minute (%s)", n, window, cores(r.cores), megabytes(r.rss), number(r.writesPerMinute), wrote)
	m.stop(b)
	w.deleteAll(b)
	return r
}

// bareFleet asks every engine without the code under test: the CPU of one ping a
// host each probeInterval in cores, how long lists of all containers take, and
// how large the whole inventory is in bytes of JSON.
func bareFleet(b *testing.B, sockets []string) (ping float64, list time.Duration, size float64) {
	b.Helper()
	engines := make([]*bare, len(sockets))
	for i, socket := range sockets {
		engines[i] = newBare(socket, true, 0)
	}
	defer func() {
		for _, e := range engines {
			e.http.CloseIdleConnections()
		}
	}()
	var bytes atomic.Int64
	get := func(path string) func(i int) error {
		return func(i int) error {
			body, err := engines[i].call(http.MethodGet, path)
			bytes.Add(int64(len(body)))
			return err
		}
	}
	begun := time.Now()
	inParallel(b, len(engines), writers, get("/containers/json?all=1"))
	list = time.Since(begun)
	for _, path := range []string{"/images/json", "/volumes", "/networks"} {
		inParallel(b, len(engines), writers, get(path))
	}
	size = float64(bytes.Load())

	const pings = 5
	before := ownCPU()
	for range pings {
		inParallel(b, len(engines), 1, get("/_ping"))
	}
	ping = (ownCPU() - before).Seconds() / pings / probeInterval.Seconds()
	return ping, list, size
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// inParallel calls do for 0 to n-1, at most limit at once.
func inParallel(b *testing.B, n, limit int, do func(i int) error) {
	b.Helper()
	var g errgroup.Group
	g.SetLimit(limit)
	for i := range n {
		g.Go(func() error {
			if interrupted.Err() != nil {
				return errors.New("interrupted")
			}
			return do(i)
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}
