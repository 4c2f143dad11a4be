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
	"bytes"
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func TestSharedKeyIsMadeOnce(t *testing.T) {
	c := fake.NewClientBuilder().WithScheme(Scheme()).Build()
	first, err := sharedKey(t.Context(), c, "ns")
	if err != nil {
		t.Fatal(err)
	}
	second, err := sharedKey(t.Context(), c, "ns")
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != keySize || !bytes.Equal(first, second) || bytes.Equal(first, make([]byte, keySize)) {
		t.Errorf("keys of %d and %d bytes, the same = %v", len(first), len(second), bytes.Equal(first, second))
	}
}

// TestSharedKeyOfTheReplicaThatWasFirst lets another replica make the Secret
// between our look and our attempt.
func TestSharedKeyOfTheReplicaThatWasFirst(t *testing.T) {
	theirs := bytes.Repeat([]byte{7}, keySize)
	c := fake.NewClientBuilder().WithScheme(Scheme()).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			other := obj.DeepCopyObject().(*corev1.Secret)
			other.Data[keyVersion] = theirs
			if err := c.Create(ctx, other); err != nil {
				return err
			}
			return c.Create(ctx, obj, opts...)
		},
	}).Build()
	key, err := sharedKey(t.Context(), c, "ns")
	if err != nil || !bytes.Equal(key, theirs) {
		t.Errorf("key = %x, %v; want the other replica's", key, err)
	}
}

func TestSharedKeyThatIsNoKey(t *testing.T) {
	broken := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: keysSecret}, Data: map[string][]byte{keyVersion: []byte("short")}}
	c := fake.NewClientBuilder().WithScheme(Scheme()).WithObjects(broken).Build()
	if _, err := sharedKey(t.Context(), c, "ns"); err == nil || !strings.Contains(err.Error(), "restore it") || strings.Contains(err.Error(), "short") {
		t.Errorf("error = %v, want one that says what to do, and not what is in the Secret", err)
	}
}
