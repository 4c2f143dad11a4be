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

package apistatus

import (
	"errors"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Forbidden says which right a caller lacks, and which role would give it: 403.
func Forbidden(user string, host types.NamespacedName, right access.Right) *apierrors.StatusError {
	role := "no HostPermission gives it"
	if least, ok := access.LeastRole(right); ok {
		role = "a HostPermission with the role " + string(least) + " would give it"
	}
	err := New(http.StatusForbidden, metav1.StatusReasonForbidden, "user %q cannot %s %s/%s of %s: %s",
		user, right.Verb, access.Resource, right.Subresource, hosts(host), role)
	err.ErrStatus.Details = &metav1.StatusDetails{Group: access.Group, Kind: access.Resource, Name: host.Name}
	return err
}

// hosts names what a right was asked on: one host, those of a namespace, or all.
func hosts(host types.NamespacedName) string {
	switch {
	case host.Name != "":
		return strconv.Quote(host.Name) + " in the namespace " + strconv.Quote(host.Namespace)
	case host.Namespace != "":
		return "every host in the namespace " + strconv.Quote(host.Namespace)
	}
	return "every host"
}

// HostNotFound says that there is no such DockerHost: 404.
func HostNotFound(host types.NamespacedName) *apierrors.StatusError {
	err := apierrors.NewNotFound(schema.GroupResource{Group: access.Group, Resource: access.Resource}, host.Name)
	err.ErrStatus.Message = "there is no DockerHost " + host.Name + " in the namespace " + host.Namespace
	return err
}

// HostUnavailable says why a host cannot be asked, in the words of its status: 503.
func HostUnavailable(host types.NamespacedName, reason, message string) *apierrors.StatusError {
	err := Unavailable("DockerHost %s is not Ready (%s): %s", host, reason, message)
	err.ErrStatus.Details.Group, err.ErrStatus.Details.Kind, err.ErrStatus.Details.Name = access.Group, access.Resource, host.Name
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseType(reason), Message: message}}
	return err
}

// FromEngine turns an engine's error into a Status with the engine's words, and leaves
// other errors as they are.
func FromEngine(err error) error {
	var status *apierrors.StatusError
	var e *engine.Error
	if errors.As(err, &status) || !errors.As(err, &e) {
		return err
	}
	switch e.Class {
	case engine.ClassNotFound:
		return NotFound("%s", e.Error())
	case engine.ClassConflict:
		return New(http.StatusConflict, metav1.StatusReasonConflict, "%s", e.Error())
	case engine.ClassInvalid:
		return BadRequest("%s", e.Error())
	case engine.ClassTimeout:
		return retry(New(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "%s", e.Error()), RetryAfter)
	case engine.ClassServer:
		return New(http.StatusBadGateway, metav1.StatusReasonInternalError, "%s", e.Error())
	case engine.ClassUnreachable, engine.ClassAuth, engine.ClassForbidden, engine.ClassCanceled:
		return Unavailable("%s", e.Error())
	}
	return Unavailable("%s", e.Error())
}
