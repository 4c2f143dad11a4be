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

package manager

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

const (
	// keysSecret holds the keys that replicas share. It is made once, by whichever
	// replica is first, and its versions are never changed in place.
	keysSecret = "dockercontrol-keys"
	// keyVersion is the data key of the only version so far.
	keyVersion = "v1"
	// keySize is 256 bits: enough for HMAC-SHA256 and AES-256.
	keySize = 32
	// keysTimeout bounds how long the start waits for the API server.
	keysTimeout = 30 * time.Second
)

// +kubebuilder:rbac:groups="",resources=secrets,namespace=dockercontrol-system,verbs=create
// +kubebuilder:rbac:groups="",resources=secrets,namespace=dockercontrol-system,resourceNames=dockercontrol-keys,verbs=get

// sharedKey reads the newest key of the replicas, making the first one where
// there is none. c must not be a cached client.
func sharedKey(ctx context.Context, c client.Client, namespace string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	name := client.ObjectKey{Namespace: namespace, Name: keysSecret}
	err := c.Get(ctx, name, secret)
	if apierrors.IsNotFound(err) {
		if secret, err = newKeysSecret(namespace); err != nil {
			return nil, err
		}
		if err = c.Create(ctx, secret); apierrors.IsAlreadyExists(err) { // another replica was first
			err = c.Get(ctx, name, secret)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading or making Secret %s: %w", name, err)
	}
	key := secret.Data[keyVersion]
	if len(key) != keySize {
		return nil, fmt.Errorf("the Secret %s has no key %q of %d bytes: restore it, or delete it to have a new one made", name, keyVersion, keySize)
	}
	return key, nil
}

func newKeysSecret(namespace string) (*corev1.Secret, error) {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: keysSecret},
		Type:       corev1.SecretTypeOpaque,
		Immutable:  ptr.To(false), // a later version is added beside this one
		Data:       map[string][]byte{keyVersion: key},
	}, nil
}
