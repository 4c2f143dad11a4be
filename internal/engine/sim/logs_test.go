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

package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
)

// texts are the lines of a container's log, as the query gives them.
func texts(t *testing.T, c *client, ref, query string) []string {
	t.Helper()
	var all []string
	for _, f := range unframe(t, c.must(200, "GET", "/containers/"+ref+"/logs?"+query, nil)) {
		all = append(all, fmt.Sprintf("%d %s", f.stream, f.text))
	}
	return all
}

func TestLogs(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.script("l1", "for i in 1 2; do echo out $i; echo err $i >&2; done; printf partial; exit 3")
	c.wait("l1")
	for query, want := range map[string][]string{
		"stdout=1&stderr=1":        {"1 out 1\n", "2 err 1\n", "1 out 2\n", "2 err 2\n", "1 partial"},
		"stdout=1":                 {"1 out 1\n", "1 out 2\n", "1 partial"},
		"stderr=1":                 {"2 err 1\n", "2 err 2\n"},
		"stdout=1&stderr=1&tail=2": {"2 err 2\n", "1 partial"},
		// The tail is of both streams, before one is chosen.
		"stdout=1&tail=2":           {"1 partial"},
		"stdout=1&tail=all":         {"1 out 1\n", "1 out 2\n", "1 partial"},
		"stdout=1&tail=0":           nil,
		"stdout=1&since=9999999999": nil,
		"stdout=1&until=1":          nil,
		"stdout=1&follow=1&tail=1":  {"1 partial"},
	} {
		if got := texts(t, c, "l1", query); !slices.Equal(got, want) {
			t.Errorf("%s gives %q; want %q", query, got, want)
		}
	}
}

// TestLogTimes resumes at each line's own time, to the nanosecond.
func TestLogTimes(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.script("l1", "for i in $(seq 20); do echo $i; done")
	c.wait("l1")
	all := texts(t, c, "l1", "stdout=1&timestamps=1")
	if len(all) != 20 {
		t.Fatalf("the log is %q", all)
	}
	last := time.Time{}
	for i, line := range all {
		stamp, text, _ := strings.Cut(strings.TrimPrefix(line, "1 "), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil || len(stamp) != len("2006-01-02T15:04:05.000000000Z") || text != fmt.Sprintln(i+1) || !at.After(last) {
			t.Fatalf("line %d is %q after %v: %v", i, line, last, err)
		}
		last = at
		nano := fmt.Sprintf("%d.%09d", at.Unix(), at.Nanosecond())
		if got := texts(t, c, "l1", "stdout=1&timestamps=1&since="+nano); !slices.Equal(got, all[i:]) {
			t.Errorf("since line %d come %d lines; want %d", i, len(got), len(all)-i)
		}
		if got := texts(t, c, "l1", "stdout=1&timestamps=1&until="+nano); !slices.Equal(got, all[:i+1]) {
			t.Errorf("until line %d come %d lines; want %d", i, len(got), i+1)
		}
	}
}

func TestLogFollow(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.create("f1", map[string]any{"Cmd": []string{"sh", "-c", "echo first; read x; echo $x"}, "OpenStdin": true, "StdinOnce": true})
	c.must(204, "POST", "/containers/f1/start", nil)
	in := c.stream("/containers/f1/logs?stdout=1&follow=1&tail=all")
	a := c.hijack("/containers/f1/attach?stream=1&stdin=1&stdout=1", nil)
	a.send("second\n")
	var got []string
	for in.Scan() {
		got = append(got, in.Text()[8:])
	}
	if err := in.Err(); err != nil || !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("followed %q, %v", got, err)
	}
}

func TestLogTTY(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.create("t1", map[string]any{"Cmd": []string{"sh", "-c", "echo out; echo err >&2"}, "Tty": true})
	c.must(204, "POST", "/containers/t1/start", nil)
	c.wait("t1")
	if got := string(c.must(200, "GET", "/containers/t1/logs?stdout=1", nil)); got != "out\r\nerr\r\n" {
		t.Errorf("the log is %q", got)
	}
}

func TestLogParts(t *testing.T) {
	nano := int64(0)
	l := &logStore{limit: logLimit}
	tick := func() int64 { nano++; return nano }
	l.write(tick, stdoutStream, []byte(strings.Repeat("a", 40000)))
	l.write(tick, stderrStream, []byte("e\n"))
	l.write(tick, stdoutStream, []byte("\nb\n"))
	entries, _, _, _ := l.from(0)
	var got []string
	for _, en := range entries {
		got = append(got, fmt.Sprint(en.nano, " ", en.stream, " ", len(en.text), " ", en.eol))
	}
	want := []string{"1 1 16384 false", "1 1 16384 false", "2 2 1 true", "1 1 7232 true", "3 1 1 true"}
	if !slices.Equal(got, want) {
		t.Errorf("the entries are %q; want %q", got, want)
	}
}

func TestLogBound(t *testing.T) {
	nano := int64(0)
	l := &logStore{limit: logBound(container.LogConfig{Config: map[string]string{"max-size": "1k", "max-file": "2"}})}
	if l.limit != 2048 {
		t.Fatalf("the bound is %d", l.limit)
	}
	for i := range 1000 {
		l.write(func() int64 { nano++; return nano }, stdoutStream, fmt.Appendf(nil, "line %d\n", i))
	}
	entries, next, _, _ := l.from(0)
	if l.size > l.limit || len(entries) == 0 || string(entries[len(entries)-1].text) != "line 999" || next != 1000 {
		t.Errorf("%d entries of %d bytes, next %d", len(entries), l.size, next)
	}
	if got, _, _, _ := l.from(l.tail(3)); len(got) != 3 || string(got[0].text) != "line 997" {
		t.Errorf("the tail is %+v", got)
	}
}
