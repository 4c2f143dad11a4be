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

package heads

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"go.uber.org/goleak"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/dockercontrol/dockercontrol/internal/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const chain = "manager-7d9f-0123456789abcdef"

var testKey = bytes.Repeat([]byte("h"), 32)

// bed has a Publisher whose clock steps by hand.
type bed struct {
	client.Client
	clock *clocktesting.FakeClock
	p     *Publisher

	mu     sync.Mutex
	head   audit.Head
	fail   error
	writes int
	log    strings.Builder
}

func headOf(seq uint64) audit.Head {
	return audit.Head{Chain: chain, Seq: seq, MAC: strings.Repeat(fmt.Sprintf("%02x", seq), 32)}
}

func publish(t *testing.T, objects ...client.Object) *bed {
	t.Helper()
	b := &bed{clock: clocktesting.NewFakeClock(time.Now().UTC().Truncate(time.Second)), head: headOf(1)}
	write := func(do func() error) error {
		b.mu.Lock()
		fail := b.fail
		b.writes++
		b.mu.Unlock()
		if fail != nil {
			return fail
		}
		return do()
	}
	b.Client = fake.NewClientBuilder().WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			return write(func() error { return c.Create(ctx, obj, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			return write(func() error { return c.Update(ctx, obj, opts...) })
		},
	}).Build()
	b.p = Publish(Options{
		Client: b.Client, Namespace: "ns", Clock: b.clock, Key: func() []byte { return testKey },
		Head: func() audit.Head { b.mu.Lock(); defer b.mu.Unlock(); return b.head },
		Log: funcr.New(func(_, args string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.log.WriteString(args + "\n")
		}, funcr.Options{}),
	})
	t.Cleanup(func() { _ = b.p.Close() })
	return b
}

func (b *bed) set(head audit.Head, fail error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.head, b.fail = head, fail
}

func (b *bed) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

func (b *bed) written() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.writes
}

// eventually steps the clock by d at each try until ok.
func (b *bed) eventually(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s; the log:\n%s", what, b.logged())
		}
		b.clock.Step(d)
		time.Sleep(2 * time.Millisecond)
	}
}

// published waits until the head of that number, and no other, is.
func (b *bed) published(t *testing.T, seq uint64) {
	t.Helper()
	b.eventually(t, interval, fmt.Sprintf("head %d", seq), func() bool {
		heads, err := List(t.Context(), b, "ns", [][]byte{testKey})
		return err == nil && len(heads) == 1 && heads[0].Head == headOf(seq)
	})
}

func (b *bed) lease(t *testing.T) *coordinationv1.Lease {
	t.Helper()
	lease := &coordinationv1.Lease{}
	if err := b.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: namePrefix + "0123456789abcdef"}, lease); err != nil {
		t.Fatal(err)
	}
	return lease
}

func TestPublisherFollowsTheHead(t *testing.T) {
	b := publish(t)
	b.published(t, 1)
	b.set(headOf(7), nil)
	b.published(t, 7)
	lease := b.lease(t)
	if lease.Labels[Label] != "true" || *lease.Spec.HolderIdentity != "manager-7d9f" || lease.Spec.RenewTime == nil {
		t.Errorf("the Lease is %+v", lease)
	}
	b.set(headOf(9), nil)
	if err := b.p.Close(); err != nil {
		t.Fatal(err)
	}
	heads, err := List(t.Context(), b, "ns", [][]byte{testKey})
	if err != nil || len(heads) != 1 || heads[0].Head != headOf(9) {
		t.Errorf("after Close: %+v, %v; want the last head", heads, err)
	}
}

// TestPublisherIsSilent writes nothing while nothing is recorded, but for a renewal.
func TestPublisherIsSilent(t *testing.T) {
	b := publish(t)
	b.published(t, 1)
	first, renewedAt := b.written(), renewed(b.lease(t))
	b.eventually(t, 10*time.Minute, "a renewal", func() bool { return b.written() > first })
	if after := b.clock.Since(renewedAt); after < renewal {
		t.Errorf("it was written again after %v, want %v", after, renewal)
	}
}

func TestPublisherTriesAgain(t *testing.T) {
	b := publish(t)
	b.published(t, 1)
	b.set(headOf(2), errors.New("connection refused"))
	before := b.written()
	b.eventually(t, interval, "three tries", func() bool { return b.written() >= before+3 })
	b.set(headOf(2), nil)
	b.published(t, 2)
	if n := strings.Count(b.logged(), "could not be published"); n != 1 {
		t.Errorf("it is in the log %d times, want once", n)
	}
}

// TestPublisherPutsItBack has somebody change the Lease, and delete it.
func TestPublisherPutsItBack(t *testing.T) {
	b := publish(t)
	b.published(t, 1)
	b.set(headOf(5), nil)
	b.published(t, 5)
	lease := b.lease(t)
	put(lease, audit.SignHead(testKey, headOf(1), b.clock.Now())) // an old one, well signed
	if err := b.Client.Update(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	b.set(headOf(6), nil)
	b.published(t, 6)
	if !strings.Contains(b.logged(), "Somebody changed") {
		t.Errorf("the log does not say so:\n%s", b.logged())
	}
	if err := b.Client.Delete(t.Context(), b.lease(t)); err != nil {
		t.Fatal(err)
	}
	b.set(headOf(8), nil)
	b.published(t, 8)
	if !strings.Contains(b.logged(), "Somebody deleted") {
		t.Errorf("the log does not say so:\n%s", b.logged())
	}
}

func TestListFindsForgeries(t *testing.T) {
	lease := func(name, value string) client.Object {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: namePrefix + name, Labels: map[string]string{Label: "true"}, Annotations: map[string]string{Annotation: value},
		}}
	}
	good := audit.SignHead(testKey, headOf(3), time.Now())
	c := fake.NewClientBuilder().WithObjects(
		lease("0123456789abcdef", good.String()),
		lease("00", strings.Replace(good.String(), ":3:", ":2:", 1)),
		lease("01", audit.SignHead(bytes.Repeat([]byte("x"), 32), headOf(3), time.Now()).String()),
		lease("02", good.String()),
		lease("03", ""),
	).Build()
	heads, err := List(t.Context(), c, "ns", [][]byte{testKey})
	if len(heads) != 1 || err == nil {
		t.Fatalf("got %+v, %v", heads, err)
	}
	for _, want := range []string{"audit-00: the head", "audit-01: the head", "audit-02: it holds the head of another", "audit-03: \"\" is not"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
}

// TestOldHeadsAreCollected starts beside many that ended.
func TestOldHeadsAreCollected(t *testing.T) {
	now := time.Now()
	var objects []client.Object
	for i := range maxLeases + 50 {
		age := time.Duration(i) * time.Minute
		if i%100 == 7 {
			age = maxAge + time.Hour
		}
		objects = append(objects, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint(namePrefix, i), Labels: map[string]string{Label: "true"}},
			Spec:       coordinationv1.LeaseSpec{RenewTime: ptr.To(metav1.NewMicroTime(now.Add(-age)))},
		})
	}
	other := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "dockercontrol-manager"}}
	b := publish(t, append(objects, other)...)
	count := func() int {
		list := &coordinationv1.LeaseList{}
		if err := b.List(t.Context(), list); err != nil {
			t.Error(err)
		}
		return len(list.Items)
	}
	b.eventually(t, 0, "the collection", func() bool { return count() <= maxLeases+1 })
	if err := b.p.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != maxLeases+1 {
		t.Errorf("%d Leases are left, want %d and the leader's", n, maxLeases)
	}
	b.lease(t)
	for i, gone := range map[int]bool{1: false, 7: true, 107: true, maxLeases + 49: true} {
		err := b.Get(t.Context(), client.ObjectKeyFromObject(objects[i]), &coordinationv1.Lease{})
		if (err != nil) != gone {
			t.Errorf("Lease %d: %v, want it gone: %v", i, err, gone)
		}
	}
}
