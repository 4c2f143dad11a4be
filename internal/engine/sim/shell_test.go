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
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// outcome runs a command as a process of its own and returns what it wrote.
func outcome(t *testing.T, argv []string, stdin string, change func(*process)) (stdout, stderr string, code int) {
	t.Helper()
	var mu sync.Mutex
	var out, errs strings.Builder
	var group sync.WaitGroup
	done := make(chan int, 1)
	p := &process{
		pid: 7, argv: argv, in: &pipe{}, group: &group, exited: func(code int) { done <- code },
		env: map[string]string{"HOME": "/root", "HOSTNAME": "box"},
		output: func(_ context.Context, stream byte, b []byte) {
			mu.Lock()
			defer mu.Unlock()
			if stream == stderrStream {
				errs.Write(b)
			} else {
				out.Write(b)
			}
		},
	}
	if change != nil {
		change(p)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	p.start(ctx)
	if _, err := p.in.write(ctx, []byte(stdin)); err == nil {
		p.in.end()
	}
	code = <-done
	group.Wait()
	if ctx.Err() != nil {
		t.Errorf("%q did not end", argv)
	}
	return out.String(), errs.String(), code
}

func TestScripts(t *testing.T) {
	tests := []struct {
		script, stdin, stdout, stderr string
		code                          int
	}{
		{script: "", code: 0},
		{script: "echo hello world", stdout: "hello world\n"},
		{script: "echo out; echo err >&2; exit 3", stdout: "out\n", stderr: "err\n", code: 3},
		{script: "echo -n a; echo 'b  c' \"d  e\"", stdout: "ab  c d  e\n"},
		{script: "false", code: 1},
		{script: "! false && echo yes || echo no", stdout: "yes\n"},
		{script: "false || { echo a; echo b; } && echo c", stdout: "a\nb\nc\n"},
		{script: "for i in 1 2 3; do echo $i; done", stdout: "1\n2\n3\n"},
		{script: "for i in $(seq 2 4); do printf '%s,' $i; done", stdout: "2,3,4,"},
		{script: "i=0; while [ $i -lt 3 ]; do i=$((i + 1)); echo line $i; done", stdout: "line 1\nline 2\nline 3\n"},
		{script: "i=5; until [ $i -le 3 ]; do i=$((i-1)); done; echo $i", stdout: "3\n"},
		{script: "while true; do echo x; break; done; echo y", stdout: "x\ny\n"},
		{script: "for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done", stdout: "1\n3\n"},
		{script: "for i in 1 2; do for j in 1 2; do continue 2; done; echo no; done; echo $i", stdout: "2\n"},
		{script: "if [ -z '' ]; then echo a; elif true; then echo b; else echo c; fi", stdout: "a\n"},
		{script: "if false; then echo a; elif true; then echo b; fi", stdout: "b\n"},
		{script: "a=1; (a=2; echo $a); echo $a", stdout: "2\n1\n"},
		{script: "a='x y'; for i in $a; do echo $i; done; for i in \"$a\"; do echo $i; done", stdout: "x\ny\nx y\n"},
		{script: "echo ${A:-none} ${HOME}x", stdout: "none /rootx\n"},
		{script: "A=5 printenv A; echo \"[$A]\"", stdout: "5\n[]\n"},
		{script: "echo $((2 * (3 + 4) % 5)) $((7 / 2)) $((1 < 2))", stdout: "4 3 1\n"},
		{script: "seq 3 | cat | wc -l", stdout: "3\n"},
		{script: "yes | head -n 2", stdout: "y\ny\n"},
		{script: "while :; do echo forever; done | head -1n", code: 127, stderr: "head: not simulated: files\n"},
		{script: "read a b; echo \"$b-$a\"; cat", stdin: "one two three\nrest\n", stdout: "two three-one\nrest\n"},
		{script: "while read x; do echo got $x; done", stdin: "1\n2\n", stdout: "got 1\ngot 2\n"},
		{script: "cat | wc -c", stdin: "\x00\x01\xff", stdout: "3\n"},
		{script: "printf 'a\\tb\\n%s-%03d-%5.1s|\\n' x 7 yz", stdout: "a\tb\nx-007-    y|\n"},
		{script: "printf '%s\\n' a b c", stdout: "a\nb\nc\n"},
		{script: `printf '\000\101\x42'`, stdout: "\x00AB"},
		{script: "{ echo a; echo b >&2; } 2>&1", stdout: "a\nb\n"},
		{script: "echo x >/dev/null; echo y 2>/dev/null; echo z 1>&2", stdout: "y\n", stderr: "z\n"},
		{script: "cat </dev/null; echo $?", stdin: "unread", stdout: "0\n"},
		{script: "sh -c 'echo $1; exit 4' x y; echo $?", stdout: "y\n4\n"},
		{script: "set -e; true; false; echo no", code: 1},
		{script: "set -e; if false; then :; fi; echo yes", stdout: "yes\n"},
		{script: "trap 'echo bye' EXIT; echo hi; exit 2", stdout: "hi\nbye\n", code: 2},
		{script: "trap 'echo caught; exit 5' TERM; kill -TERM $$; echo no", stdout: "caught\n", code: 5},
		{script: "trap '' TERM; kill $$; echo alive", stdout: "alive\n"},
		{script: "kill -9 $$; sleep 1; echo no", code: 137},
		{script: "sleep 0.01 & wait; echo done", stdout: "done\n"},
		{script: "hostname; id -u; whoami; pwd", stdout: "box\n0\nroot\n/\n"},
		{script: "exec echo only; echo no", stdout: "only\n"},
		{script: "# a comment\necho a # and another\n\necho b", stdout: "a\nb\n"},
		{script: "echo a \\\n b", stdout: "a b\n"},
		{script: "no-such-command", stderr: "sh: no-such-command: not found\n", code: 127},
		{script: "echo 'open", stderr: "sh: syntax error: unterminated quoted string\n", code: 2},
		{script: "echo a; done", stderr: "sh: syntax error: unexpected \"d\"\n", code: 2},
		{script: "if true; then echo", stderr: "sh: syntax error: expected \"fi\"\n", code: 2},
		{script: "case x in x) echo;; esac", stderr: "sh: not simulated: case and function\n", code: 127},
		{script: "f() { echo; }", stderr: "sh: not simulated: functions\n", code: 127},
		{script: "cat <<X\na\nX", stderr: "sh: not simulated: here-documents\n", code: 127},
		{script: "echo `date`", stderr: "sh: not simulated: backquotes; write $(...)\n", code: 127},
		{script: "echo a > /tmp/file", stderr: "sh: not simulated: redirection to files\n", code: 127},
		{script: "echo $((1 / 0))", stderr: "sh: divide by zero\n", code: 2},
		{script: strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60), stderr: "sh: not simulated: commands nested that deep\n", code: 127},
	}
	for _, test := range tests {
		t.Run(test.script, func(t *testing.T) {
			stdout, stderr, code := outcome(t, []string{"sh", "-c", test.script}, test.stdin, nil)
			if stdout != test.stdout || stderr != test.stderr || code != test.code {
				t.Errorf("stdout %q, stderr %q, code %d; want %q, %q, %d", stdout, stderr, code, test.stdout, test.stderr, test.code)
			}
		})
	}
}

func TestShellReadsScript(t *testing.T) {
	stdout, _, code := outcome(t, []string{"sh"}, "echo a\nexit 6\necho no\n", nil)
	if stdout != "a\n" || code != 6 {
		t.Errorf("stdout %q, code %d", stdout, code)
	}
}

func TestSleepTimes(t *testing.T) {
	for arg, want := range map[string]time.Duration{
		"0": 0, "1": time.Second, "0.25": 250 * time.Millisecond, "2m": 2 * time.Minute, "1h": time.Hour, "inf": -1, "infinity": -1,
		"1e300": maxSleep, "x": -2, "-1": -2, "nan": -2, "": -2,
	} {
		got, err := sleepTime(arg)
		if err != nil {
			got = -2
		}
		if got != want {
			t.Errorf("sleep %s is %v; want %v", arg, got, want)
		}
	}
}

// TestFirstProcessIgnoresSignals is what makes `docker stop` of a sleep take its
// whole grace.
func TestFirstProcessIgnoresSignals(t *testing.T) {
	var group sync.WaitGroup
	for _, argv := range [][]string{{"sleep", "1000"}, {"sh", "-c", "sleep 1000"}} {
		for _, first := range []bool{true, false} {
			done := make(chan int, 1)
			p := &process{argv: argv, first: first, group: &group, exited: func(code int) { done <- code }}
			p.start(t.Context())
			p.signal(sigTerm)
			want := 128 + sigTerm
			if first {
				p.signal(sigKill)
				want = 128 + sigKill
			}
			if code := <-done; code != want {
				t.Errorf("%v, PID 1 %t: code %d; want %d", argv, first, code, want)
			}
		}
	}
	group.Wait()
}

func TestTerminal(t *testing.T) {
	tests := []struct {
		typed, delivered, echo string
		signals, ends          int
	}{
		{"ls\r", "ls\n", "ls\r\n", 0, 0},
		{"lx\x7fs\n", "ls\n", "lx\b \bs\r\n", 0, 0},
		{"abc\x15d\n", "d\n", "abc\b \b\b \b\b \bd\r\n", 0, 0},
		{"abc\x03", "", "abc^C", 1, 0},
		{"\x04", "", "", 0, 1},
		{"ab\x04", "ab", "ab", 0, 0},
		{strings.Repeat("x", lineLimit+10) + "\n", strings.Repeat("x", lineLimit) + "\n", strings.Repeat("x", lineLimit) + "\r\n", 0, 0},
	}
	for _, test := range tests {
		var screen terminal
		var delivered, echo strings.Builder
		signals, ends := 0, 0
		screen.typed([]byte(test.typed), func(b []byte) { delivered.Write(b) }, func(b []byte) { echo.Write(b) }, func(int) { signals++ }, func() { ends++ })
		if delivered.String() != test.delivered || echo.String() != test.echo || signals != test.signals || ends != test.ends {
			t.Errorf("%.20q: delivers %.20q, echoes %.20q, %d signals, %d ends", test.typed, delivered.String(), echo.String(), signals, ends)
		}
	}
}

func FuzzScript(f *testing.F) {
	for _, s := range []string{"echo $((1+(2)))", "for i in $(seq 3); do :; done", "a=${b:-c}; { x; } 2>&1 | y &", "$(", "${", "'", "if", "((", "trap 'x' 1"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, script string) {
		_, _ = parseScript(script)
		_, _ = evaluate(script, func(string) string { return "1" })
		_, _, _ = format(script, []string{"1", "x"})
		_ = unescape(script)
	})
}
