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

package streamapi

import (
	"math"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// Bounds of what a session is asked with, all of which has to fit into a URL of 64 KiB.
const (
	maxArguments   = 1000
	maxEnvironment = 500
	maxListBytes   = 32 << 10
	maxTextBytes   = 4 << 10 // a path, a user
	maxTerminal    = 65535   // the kernel's
)

// sessionQuery is the query of exec and attach, in the words of a kubelet's.
type sessionQuery struct {
	stdin, stdout, stderr, tty bool
	size                       engine.TTYSize
	// reattach keeps the session for a client whose connection broke.
	reattach bool
	// session is one to come back to, after so many bytes of its output; -1: all that is
	// kept.
	session string
	after   int64

	// Of exec.
	command, env     []string
	user, workingDir string
	privileged       bool
	// Of attach.
	logs bool
}

// parseExecQuery reads the query of an exec.
func parseExecQuery(raw string) (sessionQuery, error) {
	p := parseParameters(raw)
	q := p.session()
	if q.session != "" {
		return q, p.done()
	}
	q.command, q.env = p.list("command", maxArguments), p.list("env", maxEnvironment)
	q.user, q.workingDir = p.short("user"), p.short("workingDir")
	q.privileged = p.boolean("privileged", false)
	switch {
	case len(q.command) == 0 || q.command[0] == "":
		p.fail("no command: say command=..., once for each of its arguments")
	case q.size != (engine.TTYSize{}) && !q.tty:
		p.fail("width and height are a terminal's: ask for one with tty=true")
	}
	for _, variable := range q.env {
		if i := strings.IndexByte(variable, '='); i < 1 {
			p.fail("an env is NAME=VALUE")
		}
	}
	if q.tty {
		q.stderr = false // a terminal has one output; kubelets leave it out too
	}
	return q, p.done()
}

// parseAttachQuery reads the query of an attach. Whether there is a terminal is the
// container's.
func parseAttachQuery(raw string) (sessionQuery, error) {
	p := parseParameters(raw)
	q := p.session()
	if q.session == "" {
		q.logs = p.boolean("logs", false)
	}
	return q, p.done()
}

// session reads what exec and attach have in common.
func (p *parameters) session() sessionQuery {
	q := sessionQuery{size: p.size(), after: -1}
	if id, has := p.one("session"); has {
		q.session, q.reattach = id, true
		if id == "" {
			p.fail("session is empty: it is what channel 5 told")
		}
		if n, has := p.number("after", 0, math.MaxInt); has {
			q.after = int64(n)
		}
		return q
	}
	q.stdin, q.stdout, q.stderr = p.boolean("stdin", false), p.boolean("stdout", true), p.boolean("stderr", false)
	q.tty, q.reattach = p.boolean("tty", false), p.boolean("reattach", false)
	if !q.stdin && !q.stdout && !q.stderr {
		p.fail("none of stdin, stdout and stderr is asked for: ask for one at least")
	}
	return q
}

// size reads a terminal's.
func (p *parameters) size() engine.TTYSize {
	width, hasWidth := p.number("width", 1, maxTerminal)
	height, hasHeight := p.number("height", 1, maxTerminal)
	if hasWidth != hasHeight {
		p.fail("width and height go together")
	}
	if !hasWidth || !hasHeight {
		return engine.TTYSize{}
	}
	return engine.TTYSize{Width: uint(width), Height: uint(height)}
}

// list reads a parameter that may be there often.
func (p *parameters) list(name string, most int) []string {
	values := p.all(name)
	total := 0
	for _, value := range values {
		total += len(value)
		p.whole(name, value)
	}
	if len(values) > most || total > maxListBytes {
		p.fail("there are at most %d of %s, and %d bytes together", most, name, maxListBytes)
		return nil
	}
	return values
}

// short reads a text.
func (p *parameters) short(name string) string {
	value := p.text(name)
	p.whole(name, value)
	if len(value) > maxTextBytes {
		p.fail("%s has at most %d bytes", name, maxTextBytes)
		return ""
	}
	return value
}

// whole refuses what the kernel would take for a text's end.
func (p *parameters) whole(name, value string) {
	if strings.IndexByte(value, 0) >= 0 {
		p.fail("%s has a zero byte, which no program can be given", name)
	}
}

// unknownSession is one answer for sessions that have ended, are another's, are elsewhere
// or never were.
func unknownSession() error {
	return apistatus.NotFound("the session is not known here: it has ended, was begun by another user, or at another replica; start a new one")
}
