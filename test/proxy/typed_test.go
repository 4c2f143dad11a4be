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

package proxy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestTyped is the typed API, on a real engine and a real kube-apiserver.
func TestTyped(t *testing.T) {
	b := newBed(t, testbed.DockerdOptions{TCP: true, Args: testbed.RegistryArgs()})
	r := b.engine.StartRegistry(t)
	token := b.user(t, dcv1.HostAdmin)
	u := b.as(t, token)
	// Another host, on the same engine, that the user may not see.
	spare := testenv.NewHost(b.namespace, "spare", b.engine.Endpoint())
	b.Create(t, spare)
	b.WaitReady(t, spare, "True/Connected", patient)
	fleet := b.as(t, b.account(t, "fleet"))
	b.allow(t, "fleet", rbacv1.PolicyRule{APIGroups: []string{"dockercontrol.dev"}, Resources: []string{"dockerhosts/containers"}, Verbs: []string{"get"}})
	keeper := b.keeper(t)
	b.modes(t, token, func(t *testing.T, midway func()) {
		t.Run("lists", func(t *testing.T) { b.testLists(t, u, fleet) })
		t.Run("pages", func(t *testing.T) { b.testPages(t, u) })
		t.Run("watch", func(t *testing.T) { b.testWatch(t, u) })
		t.Run("a container's life", func(t *testing.T) { b.testLife(t, u) })
		midway()
		t.Run("pull", func(t *testing.T) { b.testPull(t, u, r) })
		t.Run("recreate", func(t *testing.T) { b.testRecreate(t, u, r) })
		t.Run("prune", func(t *testing.T) { b.testPrune(t, u) })
		t.Run("volumes and networks", func(t *testing.T) { b.testResources(t, u) })
		t.Run("test of a host", func(t *testing.T) { b.testHostTest(t, u, keeper) })
		t.Run("relay", func(t *testing.T) { b.testRelay(t, u, keeper) })
		t.Run("audit", func(t *testing.T) { b.testAudit(t, u) })
	})
}

// list is a typed list, as far as tests look at it.
type list struct {
	Kind     string
	Metadata struct{ Continue string }
	Items    []item
}

type item struct {
	Kind     string
	Metadata struct{ Name, Namespace, UID string }
	Host     string
	Docker   json.RawMessage
}

// typed is a path of the host's in the typed API.
func (b *bed) typed(rest string) string {
	return engineAPI + "/namespaces/" + b.namespace + "/dockerhosts/" + b.host.Name + "/" + rest
}

// has checks how many items a list has.
func has(n int) func(answer) error {
	return func(a answer) error {
		var l list
		if err := json.Unmarshal(a.body, &l); err != nil {
			return err
		}
		if len(l.Items) != n {
			return fmt.Errorf("the list has %d items, want %d: %.1000s", len(l.Items), n, a.body)
		}
		return nil
	}
}

// hasAll checks that ids are in a list.
func hasAll(ids map[string]bool) func(answer) error {
	return func(a answer) error {
		var l list
		if err := json.Unmarshal(a.body, &l); err != nil {
			return err
		}
		missing := len(ids)
		for _, item := range l.Items {
			if ids[item.Metadata.UID] {
				missing--
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of %v are not in the list", missing, ids)
		}
		return nil
	}
}

// job begins a job, and looks it up until it has succeeded.
func (b *bed) job(t *testing.T, u *httpUser, path string, body any) jobs.View {
	t.Helper()
	a := u.do(t, 202, "POST", b.typed(path), body)
	a = u.eventually(t, 200, "GET", a.header.Get("Location"), nil, succeeded)
	return decode[jobs.View](t, a.body)
}

// follow begins a job and follows it in the same request.
func (b *bed) follow(t *testing.T, u *httpUser, path string, body any) jobs.View {
	t.Helper()
	a := u.do(t, 200, "POST", b.typed(path)+"?wait=true", body)
	lines := strings.Split(strings.TrimSpace(string(a.body)), "\n")
	return decode[jobs.View](t, []byte(lines[len(lines)-1]))
}

// succeeded checks that a job has.
func succeeded(a answer) error {
	var v jobs.View
	if err := json.Unmarshal(a.body, &v); err != nil {
		return err
	}
	if v.State != jobs.Succeeded {
		return fmt.Errorf("the job is %s: %+v", v.State, v.Error)
	}
	return nil
}
