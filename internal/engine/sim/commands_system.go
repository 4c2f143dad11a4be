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
	"maps"
	"slices"
	"strings"
	"time"
)

// runEnv is env without a command, and printenv.
func runEnv(s *shell, argv []string) int {
	if len(argv) > 1 {
		if argv[0] == "printenv" {
			v, ok := s.vars[argv[1]]
			if ok {
				fmt.Fprintln(s.out, v)
			}
			return truth(ok)
		}
		fmt.Fprintln(s.err, "env: not simulated: running a command")
		return 127
	}
	for _, k := range slices.Sorted(maps.Keys(s.vars)) {
		fmt.Fprintf(s.out, "%s=%s\n", k, s.vars[k])
	}
	return 0
}

func runPwd(s *shell, _ []string) int {
	dir := s.p.dir
	if dir == "" {
		dir = "/"
	}
	fmt.Fprintln(s.out, dir)
	return 0
}

// runID is id -u, id -un and whoami.
func runID(s *shell, argv []string) int {
	user, _, _ := strings.Cut(s.p.user, ":")
	uid, name := user, user
	if user == "" || user == "0" || user == "root" {
		uid, name = "0", "root"
	}
	switch {
	case base(argv[0]) == "whoami", len(argv) > 1 && argv[1] == "-un":
		fmt.Fprintln(s.out, name)
	case len(argv) > 1 && (argv[1] == "-u" || argv[1] == "-g"):
		fmt.Fprintln(s.out, uid)
	default:
		fmt.Fprintf(s.out, "uid=%s(%s) gid=%s(%s)\n", uid, name, uid, name)
	}
	return 0
}

func runHostname(s *shell, _ []string) int {
	fmt.Fprintln(s.out, s.vars["HOSTNAME"])
	return 0
}

// runDate is date, date +%s and date +%s%N.
func runDate(s *shell, argv []string) int {
	now := time.Now().UTC()
	switch {
	case len(argv) == 1:
		fmt.Fprintln(s.out, now.Format(time.UnixDate))
	case argv[1] == "+%s":
		fmt.Fprintln(s.out, now.Unix())
	case argv[1] == "+%s%N":
		fmt.Fprintln(s.out, now.UnixNano())
	default:
		fmt.Fprintln(s.err, "date: not simulated: that format")
		return 127
	}
	return 0
}

// runStty is stty size; the other settings are taken and do nothing.
func runStty(s *shell, argv []string) int {
	if !s.p.tty {
		fmt.Fprintln(s.err, "stty: standard input: Not a tty")
		return 1
	}
	if len(argv) > 1 && argv[1] == "size" {
		s.p.mu.Lock()
		height, width := s.p.height, s.p.width
		s.p.mu.Unlock()
		fmt.Fprintf(s.out, "%d %d\n", height, width)
	}
	return 0
}
