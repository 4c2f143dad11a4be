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
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var began = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, KeySize) }

// secretOf returns the Secret with versions, last changed at a time.
func secretOf(at time.Time, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: SecretName, CreationTimestamp: metav1.NewTime(began.Add(-time.Hour)),
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, Time: &metav1.Time{Time: at}}},
		},
		Data: data,
	}
}

// bed is a Keyring whose Secret and clock are the test's.
type bed struct {
	*Keyring
	clock  *clocktesting.FakePassiveClock
	log    *strings.Builder
	secret *corev1.Secret // what Get returns, unless
	err    error
}

func load(t *testing.T, secret *corev1.Secret) *bed {
	t.Helper()
	b := &bed{clock: clocktesting.NewFakePassiveClock(began), log: &strings.Builder{}, secret: secret}
	c := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
			if b.err == nil {
				b.secret.DeepCopyInto(obj.(*corev1.Secret))
			}
			return b.err
		},
	}).Build()
	log := funcr.New(func(_, args string) { b.log.WriteString(args + "\n") }, funcr.Options{})
	k, err := Load(t.Context(), Options{Client: c, Namespace: "ns", Log: log, Clock: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	b.Keyring = k
	return b
}

// wantIDs checks who signs, and who verifies.
func (b *bed) wantIDs(t *testing.T, current string, all ...string) {
	t.Helper()
	var got []string
	for _, k := range b.All(ExecIDs) {
		got = append(got, k.ID)
	}
	if diff := cmp.Diff(all, got); diff != "" || b.Current(ExecIDs).ID != current {
		t.Errorf("%s signs, want %s; verifying (-want +got):\n%s", b.Current(ExecIDs).ID, current, diff)
	}
}

func TestLoadMakesTheSecretOnce(t *testing.T) {
	c := fake.NewClientBuilder().Build()
	first, err := Load(t.Context(), Options{Client: c, Namespace: "ns"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := Load(t.Context(), Options{Client: c, Namespace: "ns"})
	if err != nil {
		t.Fatal(err)
	}
	a, b := first.Current(SessionCookies), second.Current(SessionCookies)
	if a.ID != "v1" || len(a.Bytes) != KeySize || !bytes.Equal(a.Bytes, b.Bytes) {
		t.Errorf("the second replica has another key: %s and %s", a.ID, b.ID)
	}
}

// TestLoadOfTheReplicaThatWasFirst lets another replica make the Secret between our
// look and our attempt.
func TestLoadOfTheReplicaThatWasFirst(t *testing.T) {
	c := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			other := obj.DeepCopyObject().(*corev1.Secret)
			other.Data[firstVersion] = key(7)
			if err := c.Create(ctx, other); err != nil {
				return err
			}
			return c.Create(ctx, obj, opts...)
		},
	}).Build()
	k, err := Load(t.Context(), Options{Client: c, Namespace: "ns"})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Derive(key(7), AuditChain)
	if err != nil || !bytes.Equal(k.Current(AuditChain).Bytes, want) {
		t.Errorf("the key is not the other replica's (%v)", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	many := map[string][]byte{}
	for i := range maxVersions + 1 {
		many[fmt.Sprint("v", i+1)] = key(1)
	}
	for name, tc := range map[string]struct {
		data map[string][]byte
		want string
	}{
		"nothing":            {nil, `no key "v1"`},
		"another name":       {map[string][]byte{"key": key(1), "v0": key(1), "v01": key(1), "V2": key(1)}, `no key "v1"`},
		"a short one":        {map[string][]byte{"v1": []byte("hunter2")}, `"v1" has 7 bytes`},
		"a short second one": {map[string][]byte{"v1": key(1), "v2": []byte("hunter2")}, `"v2" has 7 bytes`},
		"too many":           {many, "take out the oldest"},
	} {
		t.Run(name, func(t *testing.T) {
			c := fake.NewClientBuilder().WithObjects(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: SecretName}, Data: tc.data}).Build()
			_, err := Load(t.Context(), Options{Client: c, Namespace: "ns"})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "restore it") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q, what to do, and nothing of the Secret", err, tc.want)
			}
		})
	}
}

func TestPurposesAreApart(t *testing.T) {
	k := load(t, secretOf(began.Add(-time.Hour), map[string][]byte{"v1": key(1), "v2": key(2)}))
	seen := map[string]bool{string(key(1)): true, string(key(2)): true}
	for _, p := range purposes {
		for _, v := range k.All(p) {
			if seen[string(v.Bytes)] || len(v.Bytes) != KeySize {
				t.Errorf("%s %s: the key is used elsewhere too", p, v.ID)
			}
			seen[string(v.Bytes)] = true
		}
	}
}

// TestAuditChainKeyStays pins the derivation: another one would void every trail.
func TestAuditChainKeyStays(t *testing.T) {
	got, err := Derive(key('k'), AuditChain)
	if err != nil {
		t.Fatal(err)
	}
	const want = "1e960a38b5631e7183fd6552f8c39ada7d5444bd97599e0b35e3326c16ae529a"
	if h := hex.EncodeToString(got); h != want {
		t.Errorf("got %s", h)
	}
}

func TestNewestOf(t *testing.T) {
	k := load(t, secretOf(began.Add(-time.Hour), map[string][]byte{"v2": key(2), "v10": key(10), "v9": key(9), "README": []byte("x")}))
	k.wantIDs(t, "v10", "v10", "v9", "v2")
	if _, ok := k.Find(ExecIDs, "v9"); !ok {
		t.Error("v9 was not found")
	}
	if _, ok := k.Find(ExecIDs, "v3"); ok {
		t.Error("v3 was found")
	}
}

// TestRotation adds a version beside running replicas: all verify it before one signs.
func TestRotation(t *testing.T) {
	both := map[string][]byte{"v1": key(1), "v2": key(2)}
	running := load(t, secretOf(began.Add(-time.Hour), map[string][]byte{"v1": key(1)}))
	running.wantIDs(t, "v1", "v1")

	running.secret = secretOf(began, both)
	running.clock.SetTime(began.Add(5 * time.Second))
	running.refresh(t.Context())
	running.wantIDs(t, "v1", "v2", "v1")
	started := load(t, secretOf(began, both))
	started.wantIDs(t, "v1", "v2", "v1")

	for _, b := range []*bed{running, started} {
		b.clock.SetTime(began.Add(settle))
		b.refresh(t.Context())
		b.wantIDs(t, "v2", "v2", "v1")
	}
	// A label put on the Secret is a change, and does not take the signing back.
	running.secret = secretOf(began.Add(settle), both)
	running.refresh(t.Context())
	running.wantIDs(t, "v2", "v2", "v1")

	running.secret = secretOf(began.Add(settle), map[string][]byte{"v2": key(2)})
	running.refresh(t.Context())
	running.wantIDs(t, "v2", "v2")
	if n := strings.Count(running.log.String(), "have changed"); n != 3 {
		t.Errorf("%d changes are in the log, want 3:\n%s", n, running.log)
	}
}

// TestReplacedAtOnce takes the only version away with the new one's coming.
func TestReplacedAtOnce(t *testing.T) {
	k := load(t, secretOf(began, map[string][]byte{"v1": key(1)}))
	k.secret = secretOf(began, map[string][]byte{"v2": key(2)})
	k.refresh(t.Context())
	k.wantIDs(t, "v2", "v2")
}

func TestTroubleChangesNothing(t *testing.T) {
	k := load(t, secretOf(began, map[string][]byte{"v1": key(1)}))
	good := k.secret
	for _, trouble := range []func(){
		func() { k.err = errors.New("connection refused") },
		func() { k.err, k.secret = nil, secretOf(began, nil) },
		func() { k.secret = secretOf(began, map[string][]byte{"v1": []byte("hunter2")}) },
	} {
		trouble()
		k.refresh(t.Context())
		k.wantIDs(t, "v1", "v1")
	}
	if n := strings.Count(k.log.String(), "stay in use"); n != 1 {
		t.Errorf("trouble is in the log %d times, want once:\n%s", n, k.log)
	}
	k.secret = good
	k.refresh(t.Context())
	if out := k.log.String(); strings.Contains(out, "hunter2") || !strings.Contains(out, "can be read again") {
		t.Errorf("the log has a secret, or not that all is well:\n%s", out)
	}
}

func TestStartEnds(t *testing.T) {
	k := load(t, secretOf(began, map[string][]byte{"v1": key(1)}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Start(ctx); err != nil || k.NeedLeaderElection() {
		t.Errorf("Start = %v", err)
	}
}
