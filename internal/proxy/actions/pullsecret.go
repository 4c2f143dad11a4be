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

package actions

import (
	"context"
	"net/http"

	"github.com/distribution/reference"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/pullsecret"
)

// registryAuth reads a pull secret for the caller and picks the credentials for an image.
// Its errors hold no part of the Secret.
func (c *call) registryAuth(name string, image reference.Named) (string, error) {
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return "", apistatus.BadRequest("pullSecret is the name of a Secret in the host's namespace")
	}
	if c.a.opts.Reviewer == nil || c.a.opts.Secrets == nil {
		return "", apistatus.BadRequest("pull secrets are not served here")
	}
	allowed, err := c.a.opts.Reviewer.Review(c.ctx, c.who.User, authorizationv1.ResourceAttributes{
		Namespace: c.route.Namespace, Verb: "get", Version: "v1", Resource: "secrets", Name: name,
	})
	if err != nil {
		return "", err
	}
	if !allowed {
		return "", c.denied(apistatus.New(http.StatusForbidden, metav1.StatusReasonForbidden,
			"user %q cannot get the Secret %q in the namespace %q: who pulls with a Secret must be allowed to read it", c.who.User.GetName(), name, c.route.Namespace))
	}
	secret, err := c.a.opts.Secrets.Secret(c.ctx, c.route.Namespace, name)
	switch {
	case apierrors.IsNotFound(err):
		return "", apistatus.NotFound("there is no Secret %q in the namespace %q", name, c.route.Namespace)
	case err != nil:
		c.a.opts.Log.Error(err, "A pull secret could not be read", "requestID", c.who.RequestID)
		return "", apistatus.Unavailable("the Secret %q cannot be read now; try again", name)
	}
	auth, problem := pullsecret.Auth(secret, image)
	if problem != "" {
		return "", apistatus.BadRequest("the Secret %q %s", name, problem)
	}
	return auth, nil
}

// SecretsOf reads Secrets with a client, which should ask the API server itself: the
// manager keeps no Secrets.
func SecretsOf(reader client.Reader) SecretReader { return secrets{reader} }

type secrets struct{ reader client.Reader }

// Secret implements SecretReader.
func (s secrets) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	if err := s.reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret); err != nil {
		return nil, err
	}
	return secret, nil
}
