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
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

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
	case hostKeyUnsafe:
		text = "known_hosts holds only keys of %s that are of an unsafe type: add an ed25519, ECDSA or RSA one, after checking it"
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
