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

import "strings"

// Detail is what is recorded of a session beside what every record has.
type Detail struct {
	// Command is what an exec runs, with its arguments. Whoever puts a secret on a
	// command line puts it here too, as it is in the engine's own events and in the
	// container's process list.
	Command []string `json:"command,omitempty"`
	// EnvNames are the names of the environment variables an exec is given. What
	// follows a "=" is cut off.
	EnvNames []string `json:"envNames,omitempty"`
	// BytesIn went to the engine, BytesOut came from it.
	BytesIn  int64 `json:"bytesIn,omitempty"`
	BytesOut int64 `json:"bytesOut,omitempty"`
	// ExitCode is the command's, nil where it is not known.
	ExitCode *int `json:"exitCode,omitempty"`
	// LeftoverPID is of a process that the session began and could not end: its number on
	// the host, 0 where that is not known, nil where nothing was left.
	LeftoverPID *int `json:"leftoverPID,omitempty"`
	// Recording is the name of the file that has the session's output.
	Recording string `json:"recording,omitempty"`
}

const (
	// maxCommand bounds the command in bytes, and maxArguments its arguments: what a
	// person reads, and most that people type.
	maxCommand   = 4 << 10
	maxArguments = 256
	// maxEnv and maxEnvNames bound the names of the environment together.
	maxEnv      = 4 << 10
	maxEnvNames = 128
)

func (d *Detail) empty() bool {
	return len(d.Command) == 0 && len(d.EnvNames) == 0 && d.BytesIn == 0 && d.BytesOut == 0 && d.ExitCode == nil &&
		d.LeftoverPID == nil && d.Recording == ""
}

// clean returns a copy with every text bounded and printable.
func (d *Detail) clean() *Detail {
	if d == nil {
		return nil
	}
	c := *d
	c.Command = cleanList(d.Command, maxArguments, maxCommand)
	names := make([]string, 0, min(len(d.EnvNames), maxEnvNames+1))
	for _, name := range d.EnvNames {
		name, _, _ = strings.Cut(name, "=")
		if names = append(names, name); len(names) > maxEnvNames {
			break
		}
	}
	c.EnvNames = cleanList(names, maxEnvNames, maxEnv)
	c.Recording = cleanText(d.Recording, maxName)
	return &c
}

// cleanList bounds a list to count texts of limit bytes together, and marks where it
// cut.
func cleanList(list []string, count, limit int) []string {
	var out []string
	left := limit - len(cutMark) // there is always room for the mark
	for i, s := range list {
		last := i == len(list)-1
		switch {
		case i == count-1 && !last:
			return append(out, cutMark)
		case len(s) > left && (!last || len(s) > left+len(cutMark)):
			return append(out, cleanText(s+cutMark, left+len(cutMark)))
		}
		out = append(out, cleanText(s, limit))
		left -= len(s)
	}
	return out
}
