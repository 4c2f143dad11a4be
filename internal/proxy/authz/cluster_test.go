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

package authz_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestAgainstARealCluster reviews what a HostPermission's Role gives, and takes it away.
func TestAgainstARealCluster(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	a, err := authz.New(cluster.Config, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Start returned %v", err)
		}
	})

	// More hosts than are asked for one by one, so that the rules are read with the token.
	var hosts []authz.Host
	for i := range 8 {
		hosts = append(hosts, authz.Host{Namespace: ns, Name: fmt.Sprintf("host-%d", i)})
	}
	binding := viewerOf(t, cluster, ns, hosts[1].Name, hosts[6].Name)
	ci := accountCaller(t, cluster, ns)
	read := access.Right{Subresource: access.Containers, Verb: access.Get}

	testenv.Eventually(t, 30*time.Second, func(ctx context.Context) error {
		a.GrantsChanged() // as the operator's watch of the RoleBinding tells it
		return a.Authorize(ctx, ci.User, hosts[1], read)
	})
	if err := a.Authorize(t.Context(), ci.User, hosts[0], read); err == nil {
		t.Error("another host may be read")
	}
	if err := a.Authorize(t.Context(), ci.User, hosts[1], access.PrivilegedExec); err == nil {
		t.Error("a Viewer may create containers")
	}
	want := []authz.Host{hosts[6], hosts[1]}
	reversed := slices.Clone(hosts)
	slices.Reverse(reversed)
	without := *ci
	without.BearerToken = ""
	for _, c := range []*caller.Caller{ci, &without} {
		if got, err := a.Hosts(t.Context(), c, read, reversed); err != nil || !slices.Equal(got, want) {
			t.Errorf("with a token (%v): may read %v, %v; want %v", c.BearerToken != "", got, err, want)
		}
	}

	guarded, stop := a.Guard(t.Context(), ci, authz.Right{Host: hosts[1], Right: read})
	defer stop()
	if err := cluster.Client.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	a.GrantsChanged()
	select {
	case <-guarded.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("a guard lasts for 30 s after the RoleBinding was deleted")
	}
	t.Logf("a guard ended %s after the RoleBinding was deleted", time.Since(began))
	if !errors.Is(context.Cause(guarded), authz.ErrRevoked) {
		t.Errorf("the guard ended because of %v", context.Cause(guarded))
	}
	if err := a.Authorize(t.Context(), ci.User, hosts[1], read); err == nil {
		t.Error("what was revoked is allowed")
	}
}

// viewerOf makes the Role and the RoleBinding of a Viewer of some hosts.
func viewerOf(t *testing.T, cluster *testenv.Cluster, ns string, names ...string) *rbacv1.RoleBinding {
	t.Helper()
	rules, err := access.RulesFor(access.Viewer, names)
	if err != nil {
		t.Fatal(err)
	}
	meta := metav1.ObjectMeta{Namespace: ns, Name: "viewer"}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "ci"}},
	}
	if err := errors.Join(cluster.Client.Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}), cluster.Client.Create(t.Context(), binding)); err != nil {
		t.Fatal(err)
	}
	return binding
}

// accountCaller is the ServiceAccount ci with a token.
func accountCaller(t *testing.T, cluster *testenv.Cluster, ns string) *caller.Caller {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "ci"}}
	request := &authenticationv1.TokenRequest{}
	if err := cluster.Client.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return &caller.Caller{
		User: serviceaccount.UserInfo(ns, "ci", string(account.UID)), Means: caller.Token, BearerToken: request.Status.Token,
	}
}
