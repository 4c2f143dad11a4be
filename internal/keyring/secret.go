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

package keyring

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SecretName is the name of the Secret in the manager's own namespace.
const SecretName = "dockercontrol-keys"

// firstVersion is the one that is made where there is none.
const firstVersion = "v1"

// +kubebuilder:rbac:groups="",resources=secrets,namespace=dockercontrol-system,verbs=create
// +kubebuilder:rbac:groups="",resources=secrets,namespace=dockercontrol-system,resourceNames=dockercontrol-keys,verbs=get

// read reads the Secret.
func read(ctx context.Context, c client.Reader, namespace string) (*corev1.Secret, error) {
	name := client.ObjectKey{Namespace: namespace, Name: SecretName}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, name, secret); err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	return secret, nil
}

// readOrMake reads the Secret, making it where there is none.
func readOrMake(ctx context.Context, c client.Client, namespace string) (*corev1.Secret, error) {
	secret, err := read(ctx, c, namespace)
	if !apierrors.IsNotFound(err) {
		return secret, err
	}
	key := make([]byte, KeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	secret = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: SecretName},
		Type:       corev1.SecretTypeOpaque,
		Immutable:  ptr.To(false), // later versions are added beside this one
		Data:       map[string][]byte{firstVersion: key},
	}
	err = c.Create(ctx, secret)
	if apierrors.IsAlreadyExists(err) { // another replica was first
		return read(ctx, c, namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("making Secret %s/%s: %w", namespace, SecretName, err)
	}
	return secret, nil
}

// parse returns the Secret's keys. The error says what to do.
func parse(secret *corev1.Secret) (*set, error) {
	versions, err := Versions(secret.Data)
	if err != nil {
		return nil, fmt.Errorf("the keys in Secret %s/%s are of no use: %w; restore it, or delete it to have a new one made",
			secret.Namespace, secret.Name, err)
	}
	return newSet(versions)
}

// changed returns when the Secret was last changed, as the API server noted it, and
// else the time it was made.
func changed(secret *corev1.Secret) time.Time {
	last := secret.CreationTimestamp.Time
	for _, f := range secret.ManagedFields {
		if f.Time != nil && f.Time.After(last) {
			last = f.Time.Time
		}
	}
	return last
}
