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

package controllers

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// TestServiceMemories: a service is found by its id on its swarm, and its tasks are
// followed as long as somebody wants that.
func TestServiceMemories(t *testing.T) {
	followed := map[hostcache.SwarmKey]int{}
	m := newServiceMemories(func(key hostcache.SwarmKey) func() {
		followed[key]++
		return func() { followed[key]-- }
	})
	one, two := hostcache.SwarmKey{Namespace: "n", ClusterID: "1"}, hostcache.SwarmKey{Namespace: "n", ClusterID: "2"}
	a, b := types.NamespacedName{Namespace: "n", Name: "a"}, types.NamespacedName{Namespace: "n", Name: "b"}
	found := func(swarm hostcache.SwarmKey, id string, want types.NamespacedName) {
		t.Helper()
		if got, _ := m.byService(swarm, id); got != want {
			t.Errorf("service %s of swarm %s is %s, want %s", id, swarm.ClusterID, got, want)
		}
	}
	m.of(a).applied.sum = "x"
	m.locate(a, one, "s1", true)
	m.locate(a, one, "s1", true)
	m.locate(b, one, "s2", true)
	if followed[one] != 2 {
		t.Errorf("followed %v", followed)
	}
	found(one, "s1", a)
	found(two, "s1", types.NamespacedName{})
	m.locate(a, two, "s3", true)
	found(one, "s1", types.NamespacedName{})
	found(two, "s3", a)
	if followed[one] != 1 || followed[two] != 1 {
		t.Errorf("followed %v", followed)
	}
	m.locate(a, two, "s3", false)
	if followed[two] != 0 || m.of(a).applied.sum != "x" {
		t.Errorf("followed %v, memory %+v", followed, m.of(a))
	}
	m.locate(b, one, "s3", true)
	m.locate(a, one, "s3", false) // the same service, of another object now
	found(one, "s3", a)
	m.forget(b)
	found(one, "s3", a)
	m.forget(a)
	m.forget(a)
	found(one, "s3", types.NamespacedName{})
	if len(m.all) != 0 || len(m.byID) != 0 || followed[one] != 0 {
		t.Errorf("left are %v, %v, followed %v", m.all, m.byID, followed)
	}
	m.locate(a, one, "s1", true)
	m.of(a).applied.sum = "x"
	m.letGo(a, "uid")
	found(one, "s1", types.NamespacedName{})
	if now := *m.of(a); !reflect.DeepEqual(now, serviceMemory{released: "uid"}) || followed[one] != 0 {
		t.Errorf("of an object that was let go %+v is left, followed %v", now, followed)
	}
	m.locate(a, one, "s1", true)
	m.stop()
	m.locate(b, one, "s2", true)
	if followed[one] != 0 {
		t.Errorf("after the end followed %v", followed)
	}
}

func TestObjectVersionIsAhead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	wrote := objectVersion{uid: "u", version: "100", at: now}
	for name, tc := range map[string]struct {
		uid     types.UID
		version string
		later   time.Duration
		want    bool
	}{
		"the cache is behind":         {"u", "99", 0, true},
		"a shorter number":            {"u", "9", 0, true},
		"the cache has it":            {"u", "100", 0, false},
		"somebody wrote since":        {"u", "1000", 0, false},
		"another object of the name":  {"v", "99", 0, false},
		"behind for too long":         {"u", "99", cachePatience + 1, false},
		"a version that is no number": {"u", "x", 0, false},
		"a cluster that was restored": {"u", "3", time.Minute, false},
	} {
		obj := &dcv1.SwarmService{ObjectMeta: metav1.ObjectMeta{UID: tc.uid, ResourceVersion: tc.version}}
		if got := wrote.isAhead(obj, now.Add(tc.later)); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
