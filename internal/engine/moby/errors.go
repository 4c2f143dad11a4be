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
	"crypto/tls"
	"crypto/x509"
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

	"golang.org/x/crypto/ssh"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// fail makes an Error whose raw error is err.
func fail(class engine.Class, cause engine.Cause, err error, format string, args ...any) *engine.Error {
	return &engine.Error{Class: class, Cause: cause, Message: fmt.Sprintf(format, args...), Err: err}
}

// closedError is what a call gets that Close ended.
func closedError(name string) *engine.Error {
	return fail(engine.ClassCanceled, "", errClosed, "the connection to %s was closed on our side", name)
}

// callError maps the failure of a request or of reading its answer. connected
// tells whether there was a connection.
func (c *client) callError(ctx context.Context, err error, connected bool) error {
	var mapped *engine.Error
	switch {
	case c.ctx.Err() != nil:
		return closedError(c.name)
	case errors.As(err, &mapped):
		return mapped
	}
	if contextual(err) {
		switch cause := context.Cause(ctx); {
		case cause == nil:
		case errors.Is(cause, context.DeadlineExceeded) || errors.Is(cause, errHeaderTimeout):
			return timeoutError(c.dialer.endpoint, err, connected)
		case errors.Is(cause, errClosed):
			return closedError(c.name)
		default:
			return fail(engine.ClassCanceled, "", err, "the call to %s was given up", c.name)
		}
	}
	if e := alertError(c.name, err); e != nil {
		return e
	}
	return httpError(c.dialer.endpoint, err)
}

// contextual reports whether err may be but the effect of a context that ended.
func contextual(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, errHeaderTimeout) || errors.Is(err, errClosed) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.ErrClosedPipe)
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

// dialError maps what kept a connection from being made.
func dialError(ctx context.Context, ep engine.Endpoint, err error) error {
	var mapped *engine.Error
	if errors.As(err, &mapped) {
		return mapped
	}
	var refused policyError
	var dns *net.DNSError
	var hs *handshakeError
	var hostKey *hostKeyError
	var channel *ssh.OpenChannelError
	switch {
	case errors.As(err, &refused):
		return fail(engine.ClassForbidden, engine.CauseEndpointForbidden, err,
			"%s may not be dialled: %s; change the endpoint, or have the operator's --endpoint-cidrs allow it", ep, refused.Error())
	case errors.As(err, &hostKey):
		return hostKeyFailure(ep, hostKey)
	case errors.Is(ctx.Err(), context.Canceled):
		return fail(engine.ClassCanceled, "", err, "the call to %s was given up", ep)
	case errors.As(err, &dns):
		return nameError(ep, dns)
	case errors.As(err, &hs) && isTimeout(err):
		return fail(engine.ClassTimeout, engine.CauseTimeout, err,
			"%s accepted the connection but did not finish the handshake in time: check that the port is right", ep)
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return timeoutError(ep, err, false)
	case errors.As(err, &channel):
		return forwardingError(ep, channel)
	case errors.As(err, &hs) && ep.Scheme == engine.SchemeSSH:
		return sshError(ep, hs.error)
	case errors.As(err, &hs):
		return tlsError(ep, hs.error)
	}
	return connectError(ep, err)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func nameError(ep engine.Endpoint, err *net.DNSError) error {
	if err.IsNotFound {
		return fail(engine.ClassUnreachable, engine.CauseNameNotResolved, err, "the name %s does not exist: check the endpoint", ep.Host)
	}
	return fail(engine.ClassUnreachable, engine.CauseNameNotResolved, err, "the name %s cannot be resolved now: check the manager's DNS", ep.Host)
}

// connectError maps what the operating system said.
func connectError(ep engine.Endpoint, err error) error {
	text := ""
	unix := ep.Scheme == engine.SchemeUnix
	var errno syscall.Errno
	switch {
	case unix && errors.Is(err, syscall.ENOENT):
		text = fmt.Sprintf("there is no socket %s on the manager's machine: check the path, and that the engine runs", ep.Path)
	case unix && errors.Is(err, syscall.ECONNREFUSED):
		text = fmt.Sprintf("nobody listens on the socket %s: start the engine", ep.Path)
	case unix && errors.Is(err, os.ErrPermission):
		text = fmt.Sprintf("permission denied on the socket %s: let the manager's user read and write it", ep.Path)
	case errors.Is(err, syscall.ECONNREFUSED):
		text = fmt.Sprintf("%s refused the connection: check the port, and that a server listens there", ep)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		text = fmt.Sprintf("there is no way to %s: check the address and the network", ep)
	case broken(err):
		text = fmt.Sprintf("%s closed the connection while it was being made", ep)
	case errors.As(err, &errno):
		text = fmt.Sprintf("cannot connect to %s: %s", ep, errno.Error())
	default:
		text = fmt.Sprintf("cannot connect to %s: %s", ep, stable(err.Error()))
	}
	return fail(engine.ClassUnreachable, engine.CauseDialFailed, err, "%s", text)
}

// broken reports whether the other side ended the connection.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}

// tlsError maps a failed TLS handshake.
func tlsError(ep engine.Endpoint, err error) error {
	var plain tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var cert x509.CertificateInvalidError
	switch {
	case errors.As(err, &plain):
		return fail(engine.ClassServer, engine.CauseEngineError, err,
			"%s does not speak TLS: use the engine's TLS port (2376 as a rule), or leave spec.tls out", ep)
	case errors.As(err, &cert) && cert.Reason == x509.Expired:
		return fail(engine.ClassAuth, engine.CauseCertificateExpired, err,
			"the server certificate of %s has expired or is not valid yet: renew it on the engine's side, and check the clocks", ep)
	case errors.As(err, &authority):
		return fail(engine.ClassAuth, engine.CauseCertificateUntrusted, err,
			"the server certificate of %s is not signed by the CA in ca.crt: put the CA that signed it there", ep)
	case errors.As(err, &name):
		return fail(engine.ClassAuth, engine.CauseCertificateUntrusted, err,
			"the server certificate of %s is for another name than %s: set spec.tls.serverName to a name that it carries", ep, name.Host)
	case errors.As(err, &cert):
		return fail(engine.ClassAuth, engine.CauseCertificateUntrusted, err,
			"the server certificate of %s cannot be used: %s", ep, stable(cert.Error()))
	case broken(err):
		return fail(engine.ClassUnreachable, engine.CauseDialFailed, err,
			"%s closed the connection during the TLS handshake: check that the engine speaks TLS there", ep)
	}
	if e := alertError(ep.String(), err); e != nil {
		return e
	}
	return fail(engine.ClassServer, engine.CauseEngineError, err, "the TLS handshake with %s failed: %s", ep, stable(err.Error()))
}

// alertError maps the TLS alerts by which an engine refuses us; nil where err is
// none. Go has no type for them.
func alertError(name string, err error) error {
	if !isAlert(err) {
		return nil
	}
	var op *net.OpError
	errors.As(err, &op)
	switch text := op.Err.Error(); {
	case strings.HasSuffix(text, "expired certificate"):
		return fail(engine.ClassAuth, engine.CauseCertificateExpired, err, "%s says that our client certificate has expired: renew tls.crt, and check the engine's clock", name)
	case strings.HasSuffix(text, "protocol version not supported"):
		return fail(engine.ClassServer, engine.CauseEngineError, err, "%s speaks no TLS 1.2 or later: upgrade it", name)
	case strings.HasSuffix(text, "unrecognized name"):
		return fail(engine.ClassAuth, engine.CauseCertificateUntrusted, err, "%s has no certificate for the name it was asked for: set spec.tls.serverName", name)
	case strings.HasSuffix(text, "internal error"):
		return fail(engine.ClassServer, engine.CauseEngineError, err, "%s failed in the TLS handshake: see its log", name)
	default:
		return fail(engine.ClassAuth, engine.CauseAuthenticationFailed, err,
			"%s refused our client certificate (%s): tls.crt must be signed by the engine's CA, for client use, and not expired or revoked", name, stable(text))
	}
}

// sshError maps a failed ssh handshake.
func sshError(ep engine.Endpoint, err error) error {
	var algorithms *ssh.AlgorithmNegotiationError
	text := err.Error()
	switch {
	case strings.Contains(text, "unable to authenticate"), strings.Contains(text, "Too many authentication failures"):
		return fail(engine.ClassAuth, engine.CauseAuthenticationFailed, err,
			"%s refused the user %s: its authorized_keys must hold the public key of ssh-privatekey", ep, ep.User)
	case errors.As(err, &algorithms) && strings.Contains(algorithms.What, "host key"):
		return fail(engine.ClassAuth, engine.CauseHostKeyMismatch, err,
			"%s shows no host key of the types that known_hosts has for it: add its present key, after checking it", ep)
	case errors.As(err, &algorithms):
		return fail(engine.ClassServer, engine.CauseEngineError, err, "%s has no ssh algorithms that are still held to be safe: upgrade its ssh server", ep)
	case broken(err):
		return fail(engine.ClassUnreachable, engine.CauseDialFailed, err,
			"%s closed the connection during the ssh handshake: check that an ssh server listens there and lets us in", ep)
	case strings.Contains(text, "version string"), strings.Contains(text, "version line"):
		return fail(engine.ClassServer, engine.CauseEngineError, err, "%s is not an ssh server: check the port", ep)
	}
	return fail(engine.ClassServer, engine.CauseEngineError, err, "the ssh handshake with %s failed: %s", ep, stable(text))
}

func hostKeyFailure(ep engine.Endpoint, err *hostKeyError) error {
	text := "the host key of %s is not the one in known_hosts: somebody is in between, or the server was set up anew; replace its line in known_hosts after checking the new key"
	switch err.reason {
	case hostUnknown:
		text = "%s is not in known_hosts: add the line that ssh-keyscan prints for it, after checking the key"
	case hostKeyRevoked:
		text = "the host key of %s is marked as revoked in known_hosts"
	}
	return fail(engine.ClassAuth, engine.CauseHostKeyMismatch, err, text, ep)
}

// forwardingError: sshd says "open failed" for all three causes.
func forwardingError(ep engine.Endpoint, err error) error {
	return fail(engine.ClassUnreachable, engine.CauseForwardingRefused, err,
		"the ssh server did not open %s on %s: the engine is not running there, or the user %s has no permission on the socket, or sshd forbids forwarding (AllowStreamLocalForwarding)",
		ep.Path, ep.Host, ep.User)
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
	"has active endpoints", "pre-defined network", // dockerd's networks
	"state improper", "network is being used", // Podman
}

// classOfStatus also looks at the message, because engines file some wrongly.
func classOfStatus(code int, message string) (engine.Class, engine.Cause) {
	switch {
	case slices.ContainsFunc(conflicts, func(part string) bool { return strings.Contains(message, part) }):
		return engine.ClassConflict, ""
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
		v.Message = string(raw)
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
	case contextual(err):
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
