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

package moby

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// fail makes an Error whose raw error is err. Only a clean end is io.EOF to who
// asks with errors.Is; of others that wrap it the text is kept.
func fail(class engine.Class, cause engine.Cause, err error, format string, args ...any) *engine.Error {
	if errors.Is(err, io.EOF) {
		err = errors.New(err.Error())
	}
	return &engine.Error{Class: class, Cause: cause, Message: fmt.Sprintf(format, args...), Err: err}
}

// closedError is what a call gets that Close ended.
func closedError(name string) *engine.Error {
	return fail(engine.ClassCanceled, "", errClosed, "the connection to %s was closed on our side", name)
}

// callError maps the failure of a request or of reading its answer. connected
// tells whether there was a connection. Once a context has ended, whatever fails
// is its effect.
func (c *client) callError(ctx context.Context, err error, connected bool) error {
	var mapped *engine.Error
	cause := context.Cause(ctx)
	switch {
	case c.ctx.Err() != nil || errors.Is(cause, errClosed):
		return closedError(c.name)
	case errors.As(err, &mapped):
		return mapped
	case errors.Is(cause, context.DeadlineExceeded) || errors.Is(cause, errHeaderTimeout):
		return timeoutError(c.dialer.endpoint, err, connected)
	case cause != nil:
		return fail(engine.ClassCanceled, "", err, "the call to %s was given up", c.name)
	}
	if e := alertError(c.name, err); e != nil {
		return e
	}
	return httpError(c.dialer.endpoint, err)
}

func timeoutError(ep engine.Endpoint, err error, connected bool) *engine.Error {
	if connected {
		return fail(engine.ClassTimeout, engine.CauseTimeout, err,
			"%s accepted the connection but did not answer in time: the engine hangs or is overloaded, or it is not an engine", ep)
	}
	switch ep.Scheme {
	case engine.SchemeUnix:
		return fail(engine.ClassTimeout, engine.CauseTimeout, err, "no connection to %s in time: the engine hangs or is overloaded", ep)
	case engine.SchemeSSH:
		return fail(engine.ClassTimeout, engine.CauseTimeout, err,
			"no ssh connection to %s in time: check the address, the network and its firewalls, and that an ssh server answers there", ep)
	}
	return fail(engine.ClassTimeout, engine.CauseTimeout, err,
		"no connection to %s in time: check the address, the network and its firewalls, and that an engine answers there", ep)
}

// httpError maps a connection that broke, or spoke something else than HTTP.
func httpError(ep engine.Endpoint, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, `malformed HTTP response "\x15\x03`):
		return speaksTLS(ep.String(), err)
	case broken(err), isTimeout(err), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return fail(engine.ClassUnreachable, engine.CauseDialFailed, err, "the connection to %s broke before the answer was complete", ep)
	case strings.Contains(text, "server closed idle connection"):
		return fail(engine.ClassUnreachable, engine.CauseDialFailed, err, "the connection to %s broke before the answer was complete", ep)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return connectError(ep, err)
	}
	return notDocker(ep.String(), nil, err)
}

func speaksTLS(name string, err error) error {
	return fail(engine.ClassServer, engine.CauseEngineError, err, "%s speaks TLS only: set spec.tls", name)
}

// notDocker is for answers that no engine gives.
func notDocker(name string, h http.Header, err error) error {
	what := ""
	if t, _, _ := strings.Cut(h.Get("Content-Type"), ";"); t != "" && t != "application/json" {
		what = fmt.Sprintf(" (it sent %s)", printable(t, 100))
	}
	return fail(engine.ClassServer, engine.CauseEngineError, err, "%s does not answer as a Docker engine does%s: check the endpoint", name, what)
}

func tooMuch(name string) error {
	return fail(engine.ClassServer, engine.CauseEngineError, nil, "%s sent a larger answer than any engine does", name)
}

func apiTooNew(name string) error {
	return fail(engine.ClassServer, engine.CauseAPIVersion, nil,
		"the engine at %s speaks no API version as old as %s: upgrade this program", name, engine.MaxAPIVersion)
}

// statusError makes an error of an answer that is none of success, reads the
// engine's message and closes the body. Not modified is success: a container
// that is started already.
func (c *client) statusError(resp *http.Response) error {
	code := resp.StatusCode
	if code/100 == 2 || code == http.StatusNotModified {
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	if code/100 == 3 || code/100 == 1 {
		return fail(engine.ClassServer, engine.CauseEngineError, nil, "%s redirects elsewhere, which no Docker engine does: check the endpoint", c.name)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil && len(raw) == 0 {
		return c.callError(resp.Request.Context(), err, true)
	}
	html := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
	message := engineMessage(raw)
	switch {
	case strings.HasPrefix(message, "Client sent an HTTP request to an HTTPS server"):
		return speaksTLS(c.name, nil)
	case html && code != http.StatusUnauthorized && code != http.StatusForbidden:
		return notDocker(c.name, resp.Header, nil)
	case html || message == "":
		message = http.StatusText(code)
	}
	class, cause := classOfStatus(code, message)
	switch {
	case cause == engine.CauseAPIVersion:
		return fail(class, cause, nil, "%s does not speak our API version: %s", c.name, message)
	case class == engine.ClassAuth:
		return fail(class, cause, nil, "%s refused the request (HTTP %d): %s", c.name, code, message)
	}
	return fail(class, cause, nil, "the engine says: %s", message)
}

// conflicts are parts of messages that say that an object's state forbids the
// call, whatever the status, which is 403, 500 or 503.
var conflicts = []string{
	"update out of sequence", "not a swarm manager", "not part of a swarm", // swarm
	"is not paused", "cannot resize a stopped container", // dockerd
	"has active endpoints", "pre-defined network", "cannot be used with services", // dockerd's networks
	"state improper", "network is being used", "already in use", // Podman
	"already exists", "default network", "does not support service", "UNIQUE constraint failed", // Podman
}

// invalids are parts of the messages of Podman's 500s that say that a request is
// malformed.
var invalids = []string{
	"invalid argument", "invalid signal", "invalid reference format", "no command or entrypoint",
	"command that was not found",
}

// absents are parts of the messages of 500s that say that an object is not there: swarm's,
// and Podman's of a container's changes.
var absents = []string{"code = NotFound desc", "layer not known"}

func containsAny(message string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(message, part) })
}

// classOfStatus also looks at the message, because engines file some wrongly.
func classOfStatus(code int, message string) (engine.Class, engine.Cause) {
	switch {
	case containsAny(message, conflicts):
		return engine.ClassConflict, ""
	case code == http.StatusInternalServerError && containsAny(message, invalids):
		return engine.ClassInvalid, ""
	case code == http.StatusInternalServerError && containsAny(message, absents):
		return engine.ClassNotFound, ""
	case code == http.StatusBadRequest && strings.Contains(message, "client version") &&
		(strings.Contains(message, "is too new") || strings.Contains(message, "is too old")):
		return engine.ClassServer, engine.CauseAPIVersion
	}
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return engine.ClassAuth, engine.CauseAuthenticationFailed
	case http.StatusNotFound:
		return engine.ClassNotFound, ""
	case http.StatusConflict, http.StatusPreconditionFailed:
		return engine.ClassConflict, ""
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return engine.ClassTimeout, engine.CauseTimeout
	}
	if code/100 == 4 {
		return engine.ClassInvalid, ""
	}
	return engine.ClassServer, engine.CauseEngineError
}

// engineMessage reads {"message": ...}, or the text of a body that is no JSON.
func engineMessage(raw []byte) string {
	var v struct{ Message string }
	if json.Unmarshal(raw, &v) != nil {
		v.Message = string(raw[:min(len(raw), maxPlainText)])
	}
	return stable(v.Message)
}

// sdkError unpacks what apiTransport returned through the SDK; what is left are
// the SDK's own refusals and answers it could not decode.
func (c *client) sdkError(ctx context.Context, err error) error {
	var mapped *engine.Error
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mapped):
		return mapped
	case ctx.Err() != nil:
		return c.callError(ctx, err, true)
	case errors.As(err, &syntax), errors.As(err, &mismatch), broken(err):
		return notDocker(c.name, nil, err)
	}
	return fail(engine.ClassInvalid, "", err, "the request is malformed: %s", stable(err.Error()))
}

// localAddress is the ephemeral side of a connection in Go's network errors.
var localAddress = regexp.MustCompile(`\S*:[0-9]+->`)

// stable makes a foreign text fit for a message: no ports that differ from one
// attempt to the next, printable, short.
func stable(s string) string {
	return localAddress.ReplaceAllString(printable(strings.TrimSpace(s), maxErrorText), "")
}

// printable strips control characters and cuts s to at most limit bytes.
func printable(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case isControl(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// isControl also finds the invisible characters that reorder text.
func isControl(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }
