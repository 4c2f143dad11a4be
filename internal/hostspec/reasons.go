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

package hostspec

import (
	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

var reasonByCause = map[engine.Cause]string{
	engine.CauseEndpointInvalid:      dcv1.ReasonEndpointInvalid,
	engine.CauseEndpointForbidden:    dcv1.ReasonEndpointForbidden,
	engine.CauseCredentialsMissing:   dcv1.ReasonCredentialsMissing,
	engine.CauseCredentialsInvalid:   dcv1.ReasonCredentialsInvalid,
	engine.CauseCertificateExpired:   dcv1.ReasonCertificateExpired,
	engine.CauseCertificateUntrusted: dcv1.ReasonCertificateUntrusted,
	engine.CauseHostKeyMismatch:      dcv1.ReasonHostKeyMismatch,
	engine.CauseAuthenticationFailed: dcv1.ReasonAuthenticationFailed,
	engine.CauseForwardingRefused:    dcv1.ReasonForwardingRefused,
	engine.CauseNameNotResolved:      dcv1.ReasonNameNotResolved,
	engine.CauseDialFailed:           dcv1.ReasonDialFailed,
	engine.CauseTimeout:              dcv1.ReasonTimeout,
	engine.CauseAPIVersion:           dcv1.ReasonAPIVersionUnsupported,
	engine.CauseEngineError:          dcv1.ReasonEngineError,
}

var reasonByClass = map[engine.Class]string{
	engine.ClassUnreachable: dcv1.ReasonDialFailed,
	engine.ClassTimeout:     dcv1.ReasonTimeout,
	engine.ClassAuth:        dcv1.ReasonAuthenticationFailed,
	engine.ClassForbidden:   dcv1.ReasonEndpointForbidden,
}

// Reason turns a failure to connect into a condition's reason.
func Reason(err *engine.Error) string {
	if reason, ok := reasonByCause[err.Cause]; ok {
		return reason
	}
	if reason, ok := reasonByClass[err.Class]; ok {
		return reason
	}
	return dcv1.ReasonEngineError
}

// Unavailability says in the words of a host's status why it is not Ready.
func Unavailability(st hostcache.State) (reason, message string) {
	switch {
	case st.Phase == hostcache.PhaseSuspended:
		return dcv1.ReasonSuspended, "spec.suspend is true: the engine is neither connected nor watched"
	case st.Err != nil:
		return Reason(st.Err), st.Err.Error()
	}
	return dcv1.ReasonConnecting, "connecting to the engine"
}
