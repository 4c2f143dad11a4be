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

import "bytes"

// lineLimit is the longest line that a terminal takes before its end; what is
// longer is dropped, as Linux does.
const lineLimit = 4095

// Control characters that a terminal acts on.
const (
	ctrlC     = 0x03
	ctrlD     = 0x04
	backspace = 0x08
	ctrlU     = 0x15
	ctrlBack  = 0x1c // quit
	erase     = 0x7f
)

// terminal is a pseudo-terminal's line discipline: it echoes, edits the line,
// and turns control characters into signals and the end of input.
type terminal struct {
	line []byte
}

// typed takes what a client typed. It calls deliver with finished lines, echo
// with what appears on the screen, and raise with a signal; end is the ^D.
func (t *terminal) typed(p []byte, deliver func([]byte), echo func([]byte), raise func(sig int), end func()) {
	for _, b := range p {
		switch b {
		case '\r', '\n':
			echo([]byte("\r\n"))
			deliver(append(t.line, '\n'))
			t.line = nil
		case ctrlC:
			echo([]byte("^C"))
			t.line = nil
			raise(sigInt)
		case ctrlBack:
			t.line = nil
			raise(signalNumbers["QUIT"])
		case ctrlD:
			if len(t.line) == 0 {
				end()
				continue
			}
			deliver(t.line)
			t.line = nil
		case ctrlU:
			echo(bytes.Repeat([]byte("\b \b"), len(t.line)))
			t.line = nil
		case backspace, erase:
			if len(t.line) > 0 {
				t.line = t.line[:len(t.line)-1]
				echo([]byte("\b \b"))
			}
		default:
			if len(t.line) < lineLimit {
				t.line = append(t.line, b)
				echo([]byte{b})
			}
		}
	}
}

// newlines turns \n into \r\n, as a terminal's output does.
func newlines(p []byte) []byte { return bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n")) }
