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
	"fmt"
	"io"
	"strings"
)

// redirect gives the streams after the redirections.
func (s *shell) redirect(all []redirect) (shell, bool) {
	c := *s
	for _, r := range all {
		var to io.Writer
		file := ""
		if r.dup < 0 {
			var ok bool
			if file, ok = s.text(r.file); !ok {
				return c, false
			}
		}
		switch {
		case r.input && file == "/dev/null":
			c.in = bufio.NewReader(strings.NewReader(""))
			continue
		case r.dup == 1, file == "/dev/stdout":
			to = c.out
		case r.dup == 2, file == "/dev/stderr":
			to = c.err
		case file == "/dev/null":
			to = io.Discard
		default:
			fmt.Fprintf(s.err, "sh: not simulated: redirection to files\n")
			s.status, s.exiting = 127, true
			return c, false
		}
		if r.fd == 2 {
			c.err = to
		} else {
			c.out = to
		}
	}
	return c, true
}
