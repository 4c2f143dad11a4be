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
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// report holds the tables of the run, in the order they were made.
var report []string

// figure is one measured number, or the distribution of many, with its aim and
// with what the same moment's bare machine gave.
type figure struct {
	name string
	unit unit
	// aim bounds what judge picks of the samples; without judge there is no aim.
	aim   float64
	judge string
	// samples are in the unit's base: seconds, cores, bytes.
	samples []float64
	// reference is what of stands for.
	reference float64
	of        string
	// share is how much of the reference is the aim, for what had better be more.
	share float64
}

// unit spells a number.
type unit func(float64) string

func seconds(v float64) string {
	if math.Abs(v) < 1 {
		return fmt.Sprintf("%.1f ms", v*1000)
	}
	return fmt.Sprintf("%.2f s", v)
}

func cores(v float64) string { return fmt.Sprintf("%.4f cores", v) }

func megabytes(v float64) string { return fmt.Sprintf("%.0f MB", v/1e6) }

func megabytesPerSecond(v float64) string { return fmt.Sprintf("%.0f MB/s", v/1e6) }

func perSecond(v float64) string { return fmt.Sprintf("%.0f/s", v) }

func microseconds(v float64) string { return fmt.Sprintf("%.0f us", v*1e6) }

func kB(v float64) string { return fmt.Sprintf("%.0f kB", v/1e3) }

func number(v float64) string { return fmt.Sprintf("%.4g", v) }

// How an aim is judged.
const (
	p95   = "p95"
	p99   = "p99"
	worst = "max"
	// least is for what had better be more: the aim is a lower bound.
	least = "min"
)

func (f figure) judged() float64 {
	switch f.judge {
	case p99:
		return quantile(f.samples, 0.99)
	case worst:
		return slices.Max(f.samples)
	case least:
		return slices.Min(f.samples)
	}
	return quantile(f.samples, 0.95)
}

// bound says where the aim lies, and whether it is met.
func (f figure) bound() (sign string, met bool) {
	if f.judge == least {
		return ">=", f.judged() >= f.aim
	}
	return "<=", f.judged() <= f.aim
}

// row spells a figure: name, aim, p50, p95, p99, max, n, reference, ratio.
func (f figure) row() []string {
	cells := []string{f.name, "", "", "", "", "", fmt.Sprint(len(f.samples)), "", ""}
	if f.judge != "" {
		sign, is := f.bound()
		met := "met"
		if !is {
			met = "missed"
		}
		what := f.judge + " "
		if len(f.samples) == 1 {
			what = ""
		}
		cells[1] = fmt.Sprintf("%s%s %s: %s", what, sign, f.unit(f.aim), met)
	}
	middle := quantile(f.samples, 0.5)
	if f.share > 0 {
		met := "met"
		if middle < f.share*f.reference {
			met = "missed"
		}
		cells[1] = fmt.Sprintf("ratio >= %.1f: %s", f.share, met)
	}
	cells[2] = f.unit(middle)
	if len(f.samples) > 1 {
		cells[3], cells[5] = f.unit(quantile(f.samples, 0.95)), f.unit(slices.Max(f.samples))
	}
	if len(f.samples) >= 100 {
		cells[4] = f.unit(quantile(f.samples, 0.99))
	}
	if f.of != "" {
		cells[7] = fmt.Sprintf("%s: %s", f.unit(f.reference), f.of)
		if f.reference > 0 {
			cells[8] = ratio(middle / f.reference)
		}
	}
	return cells
}

func ratio(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// add prints the figures and puts their table into the report.
func add(title string, figures ...figure) {
	rows := [][]string{{"figure", "aim", "p50, or the value", "p95", "p99", "max", "n", "reference", "ratio"}}
	for _, f := range figures {
		rows = append(rows, f.row())
	}
	addRows(title, rows)
}

// addRows puts a table into the report; its first row is the head.
func addRows(title string, rows [][]string) {
	table := title + ":\n\n" + markdown(rows)
	fmt.Fprintf(os.Stderr, "\n%s\n\n", table)
	report = append(report, table)
}

func markdown(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var lines []string
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "| %-*s ", widths[i], cell)
		}
		lines = append(lines, line.String()+"|")
		if n == 0 {
			lines = append(lines, "|"+strings.Repeat("---|", len(row)))
		}
	}
	return strings.Join(lines, "\n")
}

// quantile is the smallest sample that at least a share q of them does not exceed.
func quantile(samples []float64, q float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1]
}

// The lines between which replaceTable writes.
const (
	tableBegin = "<!-- measured: begin -->"
	tableEnd   = "<!-- measured: end -->"
)

// replaceTable replaces what stands between the two markers of a file.
func replaceTable(path, table string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begun := strings.Cut(string(data), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !begun || !ended {
		return fmt.Errorf("%s has no lines %q and %q to write the table between", path, tableBegin, tableEnd)
	}
	text := fmt.Sprintf("%s%s\n%s.\n\n%s\n%s%s", before, tableBegin, conditions, table, tableEnd, after)
	return os.WriteFile(path, []byte(text), 0o644)
}

func secondsOf(samples []time.Duration) []float64 {
	out := make([]float64, len(samples))
	for i, d := range samples {
		out[i] = d.Seconds()
	}
	return out
}
