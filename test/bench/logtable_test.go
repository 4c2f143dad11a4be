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
	"time"
)

func (r *logRun) way() string {
	if r.direct {
		return "the engine itself"
	}
	return "the proxy"
}

// share is how much of all lines of all viewers some were.
func (r *logRun) share(of func(*tally) uint64) float64 {
	return float64(r.sum(of)) / float64(r.lines) / float64(r.viewers)
}

func (r *logRun) sum(of func(*tally) uint64) (sum uint64) {
	for _, t := range r.tallies {
		sum += of(t)
	}
	return sum
}

func delivered(t *tally) uint64 { return t.delivered }

// missing is what a viewer has not got, and was not told of.
func (r *logRun) missing(t *tally) uint64 { return t.lost + r.lines - t.next }

// ways are the sampled times from the engine to the viewers.
func (r *logRun) ways() []float64 {
	var ways []float64
	for _, t := range r.tallies {
		for _, w := range t.ways {
			ways = append(ways, float64(w))
		}
	}
	return ways
}

// perCPU is how many lines were delivered for each second of the CPU of those who serve.
func (r *logRun) perCPU() float64 {
	used := r.dockerd
	if !r.direct {
		used += r.manager
	}
	return float64(r.sum(delivered)) / used.Seconds()
}

func percent(v float64) string {
	if v == 0 || v == 1 {
		return fmt.Sprintf("%.0f %%", v*100)
	}
	return fmt.Sprintf("%.2f %%", v*100)
}

var logHead = []string{
	"viewers", "of", "delivered in time", "delivered in the end", "counted in gaps", "not accounted for", "twice", "p50", "p99",
	"CPU: manager", "CPU: dockerd", "CPU: viewers", "CPU: all else", "RSS", "read at the engine", "viewer-lines a CPU second", "times elsewhere", "dockerd's CPU: times one viewer's",
}

// row spells a run; one is that with a single viewer, if there was one.
func (r *logRun) row(one *logRun) []string {
	ways, cpu := r.ways(), func(d time.Duration) string { return seconds(d.Seconds()) }
	row := []string{
		fmt.Sprint(r.viewers), r.way(), percent(r.share(func(t *tally) uint64 { return t.inTime })), "", "", "", "",
		seconds(quantile(ways, 0.5)), seconds(quantile(ways, 0.99)), "", cpu(r.dockerd), cpu(r.client), cpu(r.rest), "", fmt.Sprint(r.upstreams),
		fmt.Sprintf("%.0f", r.perCPU()), ratio(r.perCPU() / elsewhere), "",
	}
	if !r.direct { // an engine's own viewer goes on where it is
		row[3], row[4] = percent(r.share(delivered)), percent(r.share(func(t *tally) uint64 { return t.gaps }))
		row[5], row[6] = fmt.Sprint(r.sum(r.missing)), fmt.Sprint(r.sum(func(t *tally) uint64 { return t.again }))
		row[9], row[13] = cpu(r.manager), megabytes(r.rss)
	}
	if one != nil {
		row[17] = ratio(r.dockerd.Seconds() / one.dockerd.Seconds())
	}
	return row
}

// report makes the tables.
func (l *logBench) report() {
	var one *logRun
	rows := [][]string{logHead}
	var figures []figure
	for _, r := range l.runs {
		if !r.direct && r.viewers == 1 {
			one = r
		}
	}
	for _, r := range l.runs {
		rows = append(rows, r.row(one))
		if !r.direct {
			figures = append(figures, r.figures(one)...)
		}
	}
	what := fmt.Sprintf("A log of %d lines of %d bytes a second, for %v", *logRate, lineBytes, *logTime)
	addRows(what, rows)
	add(what+", against the aims", figures...)
}

// figures are what the issue has aims for.
func (r *logRun) figures(one *logRun) []figure {
	name := fmt.Sprintf("%d viewers: ", r.viewers)
	if r.viewers == 1 {
		name = "1 viewer: "
	}
	share, gone := 1.0, float64(r.sum(r.missing))
	if r.viewers > 200 {
		share = 0.9
	}
	figures := []figure{
		{name: name + "lines delivered", unit: percent, share: share, samples: []float64{r.share(delivered)}, reference: 1, of: "lines written"},
		{name: name + "lines neither delivered nor counted in a gap", unit: number, judge: worst, samples: []float64{gone}},
		{name: name + "from the engine's time of a line to the viewer", unit: seconds, aim: 0.25, judge: p99, samples: r.ways()},
		{name: name + "streams of the engine's", unit: number, aim: 1, judge: worst, samples: []float64{float64(r.upstreams)}},
	}
	if one != nil && r != one {
		figures = append(figures, figure{
			name: name + "dockerd's CPU", unit: seconds, samples: []float64{r.dockerd.Seconds()}, reference: one.dockerd.Seconds(), of: "with one viewer",
		})
	}
	lines := figure{
		name: name + "viewer-lines a second of the manager's and dockerd's CPU", unit: perSecond, samples: []float64{r.perCPU()},
		reference: elsewhere, of: "a viewer that streams from the engine for each of 10, on such cores",
	}
	if r.viewers == 200 {
		lines.share = 50
	}
	return append(figures, lines)
}
