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

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints what failed, what was skipped, the table and the line of numbers. It returns whether all
// is well: no part failed, and every skipped test may be.
func report(w io.Writer, done []outcome, allowed map[string]string) bool {
	good := true
	var passed, failed, skipped int
	var total time.Duration
	for _, o := range done {
		passed += o.passed
		failed += len(o.failed)
		skipped += len(o.skipped)
		total += o.took
		if o.err != nil {
			good = false
			fmt.Fprintf(w, "\nFAILED  %s: %v (log: %s)\n", o.name, o.err, o.log)
			for _, id := range o.failed {
				fmt.Fprintf(w, "        %s\n", id)
			}
		}
		if !reportSkips(w, o, allowed) {
			good = false
		}
	}

	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "part\ttests\tpassed\tfailed\tskipped\tseconds\t")
	for _, o := range done {
		row(table, o.name, o.passed, len(o.failed), len(o.skipped), o.took)
	}
	row(table, "all", passed, failed, skipped, total)
	table.Flush() // its error is the writer's, which the line below meets as well
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	return good
}

func row(table io.Writer, name string, passed, failed, skipped int, took time.Duration) {
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%.0f\t\n",
		name, passed+failed+skipped, passed, failed, skipped, took.Seconds())
}

// reportSkips lists the part's skipped tests, and returns whether all of them may be skipped.
func reportSkips(w io.Writer, o outcome, allowed map[string]string) bool {
	good := true
	for _, id := range o.skipped {
		if reason, ok := skipReason(allowed, id); ok {
			fmt.Fprintf(w, "\nskipped %s: %s\n", id, reason)
			continue
		}
		good = false
		fmt.Fprintf(w, "\nFAILED  %s was skipped, and hack/testparts/skips.txt gives no reason why it may:\n        %s\n",
			id, strings.TrimSpace(o.why[id]))
	}
	return good
}
