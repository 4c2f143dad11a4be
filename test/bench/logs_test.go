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
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

const (
	// cutoffAfter is how long after the writer's end a line is still in time.
	cutoffAfter = time.Second
	// drainLimit is how much longer a viewer may take for what it is behind with.
	drainLimit = 20 * time.Second
	// elsewhere is what a popular log viewer, which opens a stream of the engine's for each
	// of its own, delivered to 10 viewers on two such cores: 36,000 lines for each second of
	// its CPU and the engine's.
	elsewhere = 36_000.0
)

// BenchmarkLogs has a container of a real engine write 10,000 lines a second for many
// viewers, each with a WebSocket over TLS of its own; and, for comparison, for some that ask
// the engine itself.
func BenchmarkLogs(b *testing.B) {
	sizes := numbers(b, *logViewers)
	most := slices.Max(sizes)
	p := startProxy(b, fmt.Sprintf("--container-viewers=%d", most), fmt.Sprintf("--user-streams=%d", most+10))
	say("starting a real engine")
	engine := testbed.StartDockerd(b, testbed.DockerdOptions{Name: "bench"})
	engine.ImportBusybox(b, "bench:1")
	p.addHost(b, "logs", engine.Endpoint())
	way := p.client(b, "the proxy", p.url()+"/namespaces/"+p.w.namespace+"/dockerhosts/logs", p.user(b, "viewer", dcv1.HostViewer))
	l := &logBench{proxyBed: p, engine: engine, way: way}

	for _, n := range numbers(b, *logDirect) {
		l.measure(b, n, true)
	}
	for _, n := range sizes {
		l.measure(b, n, false)
	}
	p.end(b)
	l.report()
	b.ReportMetric(0, "ns/op") // the tables are the result
}

// numbers reads a flag like "1,10,50".
func numbers(b *testing.B, list string) []int {
	b.Helper()
	var out []int
	for s := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			b.Fatalf("%q is no list of numbers: %v", list, err)
		}
		out = append(out, n)
	}
	return out
}

// logBench is a real engine, a proxy and what was measured.
type logBench struct {
	*proxyBed
	engine *testbed.Dockerd
	way    *api
	runs   []*logRun
}

// logRun is one container's log for some viewers.
type logRun struct {
	viewers int
	direct  bool
	lines   uint64
	cutoff  time.Time // what comes later is late

	tallies                  []*tally
	manager, dockerd, client time.Duration
	rest                     time.Duration // all else that ran on the machine
	rss                      float64
	upstreams                int
}

// watcher is a viewer of either kind.
type watcher interface{ watch(run *logRun) error }

func (l *logBench) measure(b *testing.B, viewers int, direct bool) {
	b.Helper()
	run := &logRun{viewers: viewers, direct: direct, lines: uint64(logLines())}
	say("%d viewers of %d lines a second, %s", viewers, *logRate, run.way())
	container := l.startWriter(b)
	defer l.engine.RemoveContainer(b, container)
	watchers := l.open(b, run, container)

	pause(b, time.Second) // the opening is over
	manager, dockerd, client, all := l.m.usage(b), l.dockerd(b), ownCPU(), machineCPU(b)
	l.engine.Call(b, http.MethodPost, "/containers/"+container+"/kill?signal=SIGUSR1", nil)
	run.cutoff = time.Now().Add(*logTime + cutoffAfter)
	var watching errgroup.Group
	for _, w := range watchers {
		watching.Go(func() error { return w.watch(run) })
	}
	pause(b, *logTime/2)
	run.upstreams = l.readers(b, container)
	pause(b, *logTime-*logTime/2)
	run.rss = l.m.usage(b).rss
	err := watching.Wait()
	pause(b, time.Until(run.cutoff))
	run.manager, run.dockerd, run.client = l.m.usage(b).cpu-manager.cpu, l.dockerd(b).cpu-dockerd.cpu, ownCPU()-client
	run.rest = machineCPU(b) - all - run.manager - run.dockerd - run.client
	if err != nil {
		b.Fatalf("%d viewers, %s: %v", viewers, run.way(), err)
	}
	l.runs = append(l.runs, run)
	say("%s", strings.Join(run.row(nil), ", "))
}

func logLines() int { return *logRate * int(*logTime/time.Second) }

// startWriter starts a container with this program as the writer, and returns when it is
// ready.
func (l *logBench) startWriter(b *testing.B) string {
	b.Helper()
	self := program(b, "bench.test")
	var created struct{ ID string }
	answer := l.engine.Call(b, http.MethodPost, "/containers/create", map[string]any{
		"Image": "bench:1", "Cmd": []string{"/writer", fmt.Sprintf("--be-writer=%d,%d", *logRate, logLines())},
		"HostConfig": map[string]any{"Binds": []string{self + ":/writer:ro"}, "LogConfig": map[string]any{"Type": "json-file"}},
	})
	if err := json.Unmarshal(answer, &created); err != nil {
		b.Fatal(err)
	}
	l.engine.Call(b, http.MethodPost, "/containers/"+created.ID+"/start", nil)
	eventually(b, time.Minute, "the writer", func() bool {
		log, err := l.engine.TryCall(http.MethodGet, "/containers/"+created.ID+"/logs?stdout=1", nil)
		return err == nil && strings.Contains(string(log), writerReady)
	})
	return created.ID
}

// open opens all viewers of a run.
func (l *logBench) open(b *testing.B, run *logRun, container string) []watcher {
	b.Helper()
	watchers := make([]watcher, run.viewers)
	run.tallies = make([]*tally, run.viewers)
	inParallel(b, run.viewers, callers, func(i int) error {
		if run.direct {
			d, err := openDirect(l.engine.Socket(), container)
			if err != nil {
				return err
			}
			watchers[i], run.tallies[i] = d, d.tally
			return nil
		}
		v, err := openViewer(interrupted, l.way, "/log/"+container+"?follow=true&tailLines=0")
		if err != nil {
			return err
		}
		watchers[i], run.tallies[i] = v, v.tally
		return nil
	})
	return watchers
}

func (l *logBench) dockerd(b *testing.B) usage {
	b.Helper()
	u, err := usageOf(l.engine.PID())
	if err != nil {
		b.Fatal(err)
	}
	return u
}

// readers counts who reads a container's log at the engine: the files that it has open for
// that, but for the one it writes.
func (l *logBench) readers(b *testing.B, container string) int {
	b.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", l.engine.PID())
	files, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	n := -1
	for _, f := range files {
		to, _ := os.Readlink(filepath.Join(dir, f.Name()))
		if strings.HasSuffix(to, container+"-json.log") {
			n++
		}
	}
	return n
}
