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
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

func runEcho(s *shell, argv []string) int {
	args, end, escapes := argv[1:], "\n", false
	for len(args) > 0 && (args[0] == "-n" || args[0] == "-e" || args[0] == "-ne" || args[0] == "-en") {
		if strings.Contains(args[0], "n") {
			end = ""
		}
		escapes = escapes || strings.Contains(args[0], "e")
		args = args[1:]
	}
	text := strings.Join(args, " ")
	if escapes {
		text = unescape(text)
	}
	_, err := io.WriteString(s.out, text+end)
	return truth(err == nil)
}

// unescape reads backslash sequences: \n \t \r \a \b \e \\ \0nnn \xhh.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if at := strings.IndexByte("ntrabe\\", s[i]); at >= 0 {
			b.WriteByte("\n\t\r\a\b\x1b\\"[at])
			continue
		}
		digits, from, width := 8, i, 3
		switch {
		case s[i] == 'x':
			digits, from, width = 16, i+1, 2
		case s[i] == '0':
			from = i + 1
		}
		to := from
		for to < len(s) && to < from+width && strings.IndexByte("0123456789abcdefABCDEF"[:map[int]int{8: 8, 16: 22}[digits]], s[to]) >= 0 {
			to++
		}
		n, err := strconv.ParseUint(s[from:to], digits, 8)
		if err != nil && s[i] != '0' {
			b.WriteByte('\\')
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte(byte(n))
		i = to - 1
	}
	return b.String()
}

// runPrintf is printf with %s %d %i %u %x %c %b %%, widths and zero padding; the
// format is used again while there are arguments left.
func runPrintf(s *shell, argv []string) int {
	if len(argv) < 2 {
		fmt.Fprintln(s.err, "Usage: printf FORMAT [ARG]...")
		return 1
	}
	args := argv[2:]
	for {
		text, used, ok := format(argv[1], args)
		if !ok {
			fmt.Fprintf(s.err, "printf: not simulated: format %s\n", argv[1])
			return 127
		}
		if _, err := io.WriteString(s.out, text); err != nil {
			return 1
		}
		if args = args[used:]; used == 0 || len(args) == 0 {
			return 0
		}
	}
}

func format(f string, args []string) (text string, used int, ok bool) {
	var b strings.Builder
	next := func() string {
		if used >= len(args) {
			return ""
		}
		used++
		return args[used-1]
	}
	for f != "" {
		before, after, found := strings.Cut(f, "%")
		b.WriteString(unescape(before))
		if !found {
			break
		}
		end := strings.IndexFunc(after, func(r rune) bool { return !strings.ContainsRune("-0123456789.", r) })
		if end < 0 {
			return "", 0, false
		}
		flags, verb := after[:end], after[end]
		if len(flags) > len("-0100.1000") {
			return "", 0, false
		}
		f = after[end+1:]
		switch verb {
		case '%':
			b.WriteByte('%')
		case 's':
			fmt.Fprintf(&b, "%"+flags+"s", next())
		case 'b':
			b.WriteString(unescape(next()))
		case 'c':
			if a := next(); a != "" {
				b.WriteByte(a[0])
			}
		case 'd', 'i', 'u', 'x':
			n, _ := strconv.Atoi(next())
			fmt.Fprintf(&b, "%"+flags+map[byte]string{'d': "d", 'i': "d", 'u': "d", 'x': "x"}[verb], n)
		default:
			return "", 0, false
		}
	}
	return b.String(), used, true
}

func runCat(s *shell, argv []string) int {
	if len(argv) > 1 && !slices.Equal(argv[1:], []string{"-"}) {
		status := 0
		for _, file := range argv[1:] {
			if file == "/etc/hostname" {
				fmt.Fprintln(s.out, s.vars["HOSTNAME"])
				continue
			}
			fmt.Fprintf(s.err, "cat: can't open '%s': No such file or directory\n", file)
			status = 1
		}
		return status
	}
	_, err := io.Copy(s.out, s.in)
	return truth(err == nil)
}

// runCount is wc -c, -l or -w of stdin.
func runCount(s *shell, argv []string) int {
	if len(argv) != 2 || !slices.Contains([]string{"-c", "-l", "-w"}, argv[1]) {
		fmt.Fprintln(s.err, "wc: not simulated: anything but -c, -l and -w of stdin")
		return 127
	}
	n, inWord := 0, false
	for {
		c, err := s.in.ReadByte()
		if err != nil {
			break
		}
		space := c == ' ' || c == '\n' || c == '\t' || c == '\r'
		if argv[1] == "-c" || argv[1] == "-l" && c == '\n' || argv[1] == "-w" && !space && !inWord {
			n++
		}
		inWord = !space
	}
	fmt.Fprintln(s.out, n)
	return 0
}

func runChecksum(s *shell, _ []string) int {
	h := sha256.New()
	if _, err := io.Copy(h, s.in); err != nil {
		return 1
	}
	fmt.Fprintf(s.out, "%x  -\n", h.Sum(nil))
	return 0
}

func runSeq(s *shell, argv []string) int {
	var n []int
	for _, a := range argv[1:] {
		v, err := strconv.Atoi(a)
		if err != nil {
			fmt.Fprintf(s.err, "seq: invalid number '%s'\n", a)
			return 1
		}
		n = append(n, v)
	}
	from, step, to := 1, 1, 0
	switch len(n) {
	case 1:
		to = n[0]
	case 2:
		from, to = n[0], n[1]
	case 3:
		from, step, to = n[0], n[1], n[2]
	default:
		fmt.Fprintln(s.err, "Usage: seq [FIRST [INC]] LAST")
		return 1
	}
	for i := from; step > 0 && i <= to || step < 0 && i >= to; i += step {
		if _, err := fmt.Fprintln(s.out, i); err != nil || s.ctx.Err() != nil {
			return 1
		}
	}
	return 0
}

func runYes(s *shell, argv []string) int {
	text := "y"
	if len(argv) > 1 {
		text = strings.Join(argv[1:], " ")
	}
	for s.ctx.Err() == nil {
		if _, err := io.WriteString(s.out, text+"\n"); err != nil {
			break
		}
	}
	return 1
}

// runTest is test and [: strings, numbers, ! and the joints -a and -o are left out.
func runTest(s *shell, argv []string) int {
	args := argv[1:]
	if argv[0] == "[" {
		if len(args) == 0 || args[len(args)-1] != "]" {
			fmt.Fprintln(s.err, "[: missing ]")
			return 2
		}
		args = args[:len(args)-1]
	}
	holds, ok := condition(s, args)
	if !ok {
		fmt.Fprintf(s.err, "test: not simulated: %s\n", strings.Join(args, " "))
		return 2
	}
	return truth(holds)
}

func condition(s *shell, args []string) (holds, ok bool) {
	if len(args) > 1 && args[0] == "!" {
		holds, ok = condition(s, args[1:])
		return !holds, ok
	}
	switch len(args) {
	case 0:
		return false, true
	case 1:
		return args[0] != "", true
	case 2:
		switch args[0] {
		case "-n":
			return args[1] != "", true
		case "-z":
			return args[1] == "", true
		case "-t":
			return s.p.tty, true
		}
	case 3:
		return compare(args[0], args[1], args[2])
	}
	return false, false
}

func compare(left, op, right string) (holds, ok bool) {
	switch op {
	case "=", "==":
		return left == right, true
	case "!=":
		return left != right, true
	}
	a, errA := strconv.Atoi(left)
	b, errB := strconv.Atoi(right)
	if errA != nil || errB != nil {
		return false, false
	}
	switch op {
	case "-eq":
		return a == b, true
	case "-ne":
		return a != b, true
	case "-lt":
		return a < b, true
	case "-le":
		return a <= b, true
	case "-gt":
		return a > b, true
	case "-ge":
		return a >= b, true
	}
	return false, false
}
