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
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

func runTail(s *shell, argv []string) int {
	if strings.Join(argv[1:], " ") == "-f /dev/null" {
		return runPause(s, argv)
	}
	fmt.Fprintln(s.err, "tail: not simulated: anything but -f /dev/null")
	return 127
}

func runHead(s *shell, argv []string) int {
	lines, bytes := 10, -1
	for i := 1; i < len(argv); i++ {
		flag, value := argv[i], ""
		switch {
		case (flag == "-n" || flag == "-c") && i+1 < len(argv):
			i++
			value = argv[i]
		case strings.HasPrefix(flag, "-n"), strings.HasPrefix(flag, "-c"):
			flag, value = flag[:2], flag[2:]
		default:
			fmt.Fprintln(s.err, "head: not simulated: files")
			return 127
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			fmt.Fprintf(s.err, "head: invalid number '%s'\n", value)
			return 1
		}
		if flag == "-c" {
			bytes = n
		} else {
			lines = n
		}
	}
	if bytes >= 0 {
		_, err := io.CopyN(s.out, s.in, int64(bytes))
		return truth(err == nil || errors.Is(err, io.EOF))
	}
	return copyLines(s.out, s.in, lines)
}

func copyLines(w io.Writer, r *bufio.Reader, n int) int {
	for range n {
		line, err := r.ReadString('\n')
		if _, werr := io.WriteString(w, line); werr != nil {
			return 1
		}
		if err != nil {
			break
		}
	}
	return 0
}
