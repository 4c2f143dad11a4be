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
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// modulePath is cut from the names of packages that are printed.
const modulePath = "github.com/dockercontrol/dockercontrol"

func main() {
	only := flag.String("only", "", "comma-separated names of the parts to run; empty runs all")
	logs := flag.String("logs", ".test-logs", "folder for one log file a part")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, *only, *logs)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testparts:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run runs the parts and prints the report. It returns false where anything failed.
func run(ctx context.Context, only, logs string) (bool, error) {
	allowed, err := parseSkips(skipsText)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return false, fmt.Errorf("make the folder for the logs: %w", err)
	}
	chosen, err := choose(parts(), only)
	if err != nil {
		return false, err
	}
	r := &runner{root: ".", logs: logs, out: os.Stdout}
	var done []outcome
	for i, p := range chosen {
		r.say("part %d of %d: %s", i+1, len(chosen), p.name)
		o := r.runPart(ctx, p)
		done = append(done, o)
		if ctx.Err() != nil {
			r.say("interrupted")
			break
		}
		if o.err != nil && p.required {
			r.say("the other parts need %q: they did not run", p.name)
			break
		}
	}
	complete := len(done) == len(chosen)
	return report(os.Stdout, done, allowed) && complete, nil
}

// choose returns the parts named by a comma-separated list, in the order they are run.
func choose(all []part, only string) ([]part, error) {
	if only == "" {
		return all, nil
	}
	names := strings.Split(only, ",")
	var chosen []part
	for _, p := range all {
		if i := slices.Index(names, p.name); i >= 0 {
			chosen = append(chosen, p)
			names = slices.Delete(names, i, i+1)
		}
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("no part is called %s", strings.Join(names, " or "))
	}
	return chosen, nil
}
