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
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDetailIsBounded(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for name, tc := range map[string]struct{ in, want []string }{
		"nothing":           {nil, nil},
		"short":             {[]string{"sh", "-c", "echo \x1b[0m"}, []string{"sh", "-c", "echo ?[0m"}},
		"one long":          {[]string{long}, []string{strings.Repeat("x", maxCommand-len(cutMark)) + cutMark}},
		"long in the midst": {[]string{"sh", long, "y"}, []string{"sh", strings.Repeat("x", maxCommand-len(cutMark)-2) + cutMark}},
		"just fits":         {[]string{"sh", long[:maxCommand-2]}, []string{"sh", long[:maxCommand-2]}},
		"just fits not":     {[]string{"sh", long[:maxCommand-3], "y"}, []string{"sh", long[:maxCommand-5] + cutMark}},
		"many":              {slices.Repeat([]string{"a"}, 1000), append(slices.Repeat([]string{"a"}, maxArguments-1), cutMark)},
		"as many":           {slices.Repeat([]string{"a"}, maxArguments), slices.Repeat([]string{"a"}, maxArguments)},
		"many empty":        {slices.Repeat([]string{""}, 1000), append(slices.Repeat([]string{""}, maxArguments-1), cutMark)},
	} {
		t.Run(name, func(t *testing.T) {
			d := (&Detail{Command: tc.in}).clean()
			if diff := cmp.Diff(tc.want, d.Command); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if n := len(strings.Join(d.Command, "")); n > maxCommand {
				t.Errorf("%d bytes", n)
			}
			if diff := cmp.Diff(d, d.clean()); diff != "" {
				t.Errorf("cleaning twice is not cleaning once:\n%s", diff)
			}
		})
	}
}

func TestEnvironmentHasNamesOnly(t *testing.T) {
	in := []string{"PATH", "PASSWORD=hunter2", "=x", "A=b=c"}
	d := (&Detail{EnvNames: in}).clean()
	if diff := cmp.Diff([]string{"PATH", "PASSWORD", "", "A"}, d.EnvNames); diff != "" {
		t.Error(diff)
	}
	if in[1] != "PASSWORD=hunter2" {
		t.Error("the caller's list was changed")
	}
	d = (&Detail{EnvNames: slices.Repeat([]string{"NAME=v"}, 10_000)}).clean()
	if len(d.EnvNames) != maxEnvNames || d.EnvNames[maxEnvNames-1] != cutMark {
		t.Errorf("got %d names, the last %q", len(d.EnvNames), d.EnvNames[len(d.EnvNames)-1])
	}
}

// TestDoSession has the numbers of a session in its second record, as a Trail writes
// and reads them.
func TestDoSession(t *testing.T) {
	trail, lines := bufferTrail(t)
	r := testRecord(1)
	r.Verb, r.Detail = "exec", &Detail{Command: []string{"sh", "-c", "exit 3"}, EnvNames: []string{"TERM=xterm"}}
	failed := errors.New("exit code 3")
	err := DoSession(t.Context(), trail, r, func(_ context.Context, d *Detail) error {
		code := 3
		d.BytesIn, d.BytesOut, d.ExitCode = 10, 2000, &code
		return failed
	})
	if !errors.Is(err, failed) {
		t.Error(err)
	}
	if err := Do(t.Context(), trail, testRecord(2), func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, text := range strings.Split(strings.TrimSpace(lines.String()), "\n")[1:] {
		l, _, _, err := decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		detail := "none"
		if d := l.Detail; d != nil {
			detail = fmt.Sprint(d.Command, d.EnvNames, d.BytesIn, d.BytesOut, d.ExitCode != nil && *d.ExitCode == 3)
		}
		got = append(got, fmt.Sprint(l.Outcome, " ", detail))
	}
	want := []string{
		"allowed [sh -c exit 3] [TERM] 0 0 false", "failed [sh -c exit 3] [TERM] 10 2000 true",
		"allowed none", "succeeded none",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if r.Detail.BytesIn != 0 {
		t.Error("the caller's detail was changed")
	}
}
