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

package auditcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/audit"
)

// verify checks a trail and prints what it found.
func (o *options) verify(ctx context.Context, names []string, s Streams) error {
	if slices.Contains(names, "-") && slices.Contains(o.headFiles, "-") {
		return errors.New("standard input can be the trail or the heads, not both")
	}
	in, err := o.read(ctx, s)
	if err != nil {
		return err
	}
	return in.verify(names, s)
}

func (in *inputs) verify(names []string, s Streams) error {
	sources, closeAll, err := open(names, s.In)
	defer closeAll()
	if err != nil {
		return err
	}
	summary, err := audit.Check{Keys: in.chainKeys, Heads: in.heads, Published: in.published}.Run(sources...)
	problems := in.problems
	if err != nil {
		problems = append(problems, err)
	}
	if err == nil && len(summary.Chains) == 0 {
		problems = append(problems, errors.New("there is no record at all"))
	}
	printSummary(s.Out, len(sources), summary)
	if len(problems) == 0 {
		fmt.Fprintln(s.Out, "Nothing is wrong with it.")
		return nil
	}
	lines := strings.Split(errors.Join(problems...).Error(), "\n")
	for _, line := range lines {
		fmt.Fprintln(s.Out, "PROBLEM", line)
	}
	fmt.Fprintf(s.Out, "%d problems.\n", len(lines))
	return ErrProblems
}

// open opens what is to be checked, the oldest first. closeAll is never nil.
func open(names []string, stdin io.Reader) (sources []audit.Source, closeAll func(), err error) {
	if len(names) == 1 && names[0] != "-" {
		return audit.OpenFiles(names[0])
	}
	var files []*os.File
	closeAll = func() {
		for _, f := range files {
			_ = f.Close() // read only
		}
	}
	for _, name := range names {
		if name == "-" {
			sources = append(sources, audit.Source{Name: "standard input", Reader: stdin})
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, closeAll, fmt.Errorf("opening the audit trail: %w", err)
		}
		files = append(files, f)
		sources = append(sources, audit.Source{Name: name, Reader: f})
	}
	return sources, closeAll, nil
}

func printSummary(w io.Writer, files int, s audit.Summary) {
	fmt.Fprintf(w, "%d records in %d chains, in %d files.\n", s.Records, len(s.Chains), files)
	for _, c := range s.Chains {
		judged := "no head of it was kept: a cut end would not show"
		if c.Published != nil {
			judged = fmt.Sprintf("its head of %s is there (record %d)", c.Published.Time.Format(time.RFC3339), c.Published.Seq)
		}
		records := fmt.Sprintf("records %d to %d", c.First, c.Head.Seq)
		if c.Head.Seq == 0 {
			records = "no record"
		}
		fmt.Fprintf(w, "chain %s: %s, from %s to %s; %s.\n", c.Head.Chain, records,
			c.From.Format(time.RFC3339), c.To.Format(time.RFC3339), judged)
	}
	for _, h := range s.Older {
		fmt.Fprintf(w, "older than these files: chain %s, which had %d records at %s.\n", h.Chain, h.Seq, h.Time.Format(time.RFC3339))
	}
	if len(s.Others) > 0 {
		fmt.Fprintf(w, "%d heads are of other replicas, whose trails these files are not.\n", len(s.Others))
	}
}

// heads prints the signed heads.
func (o *options) heads(ctx context.Context, s Streams) error {
	in, err := o.read(ctx, s)
	if err != nil {
		return err
	}
	slices.SortFunc(in.published, func(a, b audit.SignedHead) int { return a.Time.Compare(b.Time) })
	for _, h := range in.published {
		fmt.Fprintln(s.Out, h)
	}
	return errors.Join(in.problems...)
}
