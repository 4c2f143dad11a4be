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

package engine

import (
	"context"
	"errors"
	"fmt"
)

// Class says what kind of failure an error is, for callers that decide by it.
type Class string

// The classes.
const (
	ClassUnreachable Class = "unreachable" // no connection could be made, or it broke
	ClassTimeout     Class = "timeout"     // no answer in time
	ClassAuth        Class = "auth"        // credentials missing, bad, refused, or the other side not who it should be
	ClassForbidden   Class = "forbidden"   // our own policy does not let us dial there
	ClassNotFound    Class = "not found"
	ClassConflict    Class = "conflict" // already exists, wrong state, out of sequence, not a swarm manager
	ClassInvalid     Class = "invalid"  // the engine, or we, call the request malformed
	ClassServer      Class = "server"   // the engine failed, or is not an engine
	ClassCanceled    Class = "canceled" // the caller gave up
)

// Cause is the precise cause of a failure to connect. Controllers turn it into a
// condition's reason one to one.
type Cause string

// The causes. Empty means the class says enough.
const (
	CauseEndpointInvalid      Cause = "EndpointInvalid"
	CauseEndpointForbidden    Cause = "EndpointForbidden"
	CauseCredentialsMissing   Cause = "CredentialsMissing"
	CauseCredentialsInvalid   Cause = "CredentialsInvalid"
	CauseCertificateExpired   Cause = "CertificateExpired"
	CauseCertificateUntrusted Cause = "CertificateUntrusted"
	CauseHostKeyMismatch      Cause = "HostKeyMismatch"
	CauseAuthenticationFailed Cause = "AuthenticationFailed"
	CauseForwardingRefused    Cause = "ForwardingRefused"
	CauseDialFailed           Cause = "DialFailed"
	CauseNameNotResolved      Cause = "NameNotResolved"
	CauseTimeout              Cause = "Timeout"
	CauseAPIVersion           Cause = "APIVersionUnsupported"
	CauseEngineError          Cause = "EngineError"
)

// CauseRegistryDenied is a registry that wants other credentials, or none at all for
// what was asked.
const CauseRegistryDenied Cause = "RegistryDenied"

// Error is every failure of an Engine.
type Error struct {
	Class Class
	Cause Cause
	// Message says what happened, to what, and what to do. It is stable: the
	// same failure gives the same text, with no ports, ids or times that differ
	// from one attempt to the next, so that it can stand in a status. It never
	// holds a secret.
	Message string
	// Err is the raw error, for logs.
	Err error
}

// Error returns the message, or the raw error's text where there is none.
func (e *Error) Error() string {
	switch {
	case e.Message != "":
		return e.Message
	case e.Err != nil:
		return e.Err.Error()
	}
	return string(e.Class)
}

// Unwrap returns the raw error.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a formatted message. A %w operand becomes Err.
func Errorf(class Class, cause Cause, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Class: class, Cause: cause, Message: err.Error(), Err: errors.Unwrap(err)}
}

// ClassOf returns an error's class; an error that is not an Error is canceled or
// timeout when the context package says so, else server. nil has none.
func ClassOf(err error) Class {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Class
	case errors.Is(err, context.Canceled):
		return ClassCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return ClassTimeout
	}
	return ClassServer
}

// CauseOf returns an error's cause, or "".
func CauseOf(err error) Cause {
	var e *Error
	if errors.As(err, &e) {
		return e.Cause
	}
	return ""
}

// IsNotFound reports whether the engine has no such object.
func IsNotFound(err error) bool { return ClassOf(err) == ClassNotFound }

// IsConflict reports whether the object's state forbids the call.
func IsConflict(err error) bool { return ClassOf(err) == ClassConflict }
