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
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

const (
	// promised is how soon a change of grants is in force on a machine that has the time;
	// the log tells where it was later.
	promised = 2 * time.Second
	// revoked is what is demanded of any machine: CI has two cores and other tests beside.
	revoked = 10 * time.Second
	// forgotten is the same for the proof of who somebody is: it is reviewed each 10 s, and
	// a kube-apiserver believes a token that it has seen for 10 s more.
	forgotten = 45 * time.Second
)

// TestRevocation takes rights away in each way there is, and looks how soon requests are
// refused and what runs is ended.
func TestRevocation(t *testing.T) { inBothModes(t, testRevocation) }

func testRevocation(t *testing.T, begin begin) {
	b := newBed(t, testbed.DockerdOptions{})
	b.engine.RunContainer(t, "box", "busybox:test", "sh", "-c", "while sleep 0.2; do echo a line; done")
	b.label(t, map[string]string{"tier": "prod"})

	goneToken := b.account(t, "gone")
	b.grant(t, dcv1.HostOperator, dcv1.HostPermissionSubject{Kind: dcv1.SubjectServiceAccount, Name: "gone"})
	midway := begin(b, goneToken)
	var gone func(t *testing.T)
	cert, key := b.User(t, "ada", "system:authenticated", "ops")
	ada := b.holder(t, cert, key)
	robot := b.bearer(t, b.account(t, "robot"))
	selected := b.bearer(t, b.account(t, "selected"))
	for n, tc := range []struct {
		name  string
		who   *person
		grant dcv1.HostPermissionSpec
		// revoke returns when the right was taken away.
		revoke func(t *testing.T, p *dcv1.HostPermission) time.Time
	}{
		{"a group of a certificate loses its HostPermission", ada, dcv1.HostPermissionSpec{
			HostNames: []string{"prod"}, Subjects: []dcv1.HostPermissionSubject{{Kind: dcv1.SubjectGroup, Name: "ops"}},
		}, func(t *testing.T, p *dcv1.HostPermission) time.Time {
			now := time.Now()
			b.Delete(t, p)
			return now
		}},
		{"a grant to a group of ServiceAccounts expires", robot, dcv1.HostPermissionSpec{
			HostNames: []string{"prod"}, Subjects: []dcv1.HostPermissionSubject{{Kind: dcv1.SubjectGroup, Name: "system:serviceaccounts:" + b.namespace}},
		}, func(t *testing.T, p *dcv1.HostPermission) time.Time {
			end := metav1.NewTime(time.Now().Add(2 * time.Second).Truncate(time.Second)) // whole seconds are stored
			testenv.Update(t, b.Cluster, p, func(p *dcv1.HostPermission) { p.Spec.ExpiresAt = &end })
			return end.Time
		}},
		{"a host loses the label that it is granted by", selected, dcv1.HostPermissionSpec{
			HostSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}},
			Subjects:     []dcv1.HostPermissionSubject{{Kind: dcv1.SubjectServiceAccount, Name: "selected"}},
		}, func(t *testing.T, _ *dcv1.HostPermission) time.Time {
			now := time.Now()
			b.label(t, map[string]string{"tier": "test"})
			return now
		}},
	} {
		if n == 1 {
			midway()
			tc.who.http.CloseIdleConnections()
			gone = b.openAsAccount(t, goneToken) // it takes long: the others run meanwhile
		}
		t.Run(tc.name, func(t *testing.T) {
			if code, _, body := tc.who.get(t, b.path()+"/containers/json"); code != http.StatusForbidden {
				t.Fatalf("before it was granted: %d %s", code, body)
			}
			tc.grant.Role = dcv1.HostOperator
			p := b.permit(t, fmt.Sprintf("revoked-%d", n), tc.grant)
			s := b.openStreams(t, tc.who)
			since := tc.revoke(t, p)
			s.wantRevoked(t, since)
			got := runCommand(t, tc.who.cli.command(t, "docker", "ps"))
			if got.Code != 1 || !strings.Contains(got.Stderr, `cannot get dockerhosts/containers of "prod"`) || !strings.Contains(got.Stderr, "the role Viewer") {
				t.Errorf("docker ps: %s", got)
			}
		})
	}
	gone(t)
}

// label gives the host labels.
func (b *bed) label(t *testing.T, labels map[string]string) {
	t.Helper()
	testenv.Update(t, b.Cluster, b.host, func(h *dcv1.DockerHost) { h.Labels = labels })
}

// streams are what somebody has running.
type streams struct {
	who                            *person
	exec, logs, one, merged, relay *following
}

// openStreams opens one of each kind, and waits until each runs.
func (b *bed) openStreams(t *testing.T, who *person) *streams {
	t.Helper()
	s := &streams{
		who:    who,
		exec:   who.run(t, "exec -i box cat", "typed\n"),
		logs:   who.run(t, "logs --follow --tail 1 box", ""),
		one:    who.watch(t, group+"/namespaces/"+b.namespace+"/dockerhosts/prod/containers?watch=true"),
		merged: who.watch(t, group+"/namespaces/"+b.namespace+"/containers?watch=true"),
	}
	s.exec.until(t, "typed")
	s.logs.until(t, "a line")
	s.one.until(t, "initial-events-end")
	s.merged.until(t, `"type":"ADDED"`)
	s.merged.until(t, "initial-events-end")
	return s
}

// wantRevoked waits until everything has noticed, and says how long that took.
func (s *streams) wantRevoked(t *testing.T, since time.Time) {
	t.Helper()
	report := func(what string, when time.Time) { t.Helper(); inTime(t, what, when.Sub(since), promised, revoked) }
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		code, _, body := s.who.get(t, s.who.b.path()+"/containers/json")
		if code == http.StatusForbidden {
			report("a new request", time.Now())
			break
		}
		if code != http.StatusOK || time.Since(since) > time.Minute {
			t.Fatalf("a new request: %d %s", code, body)
		}
	}
	for what, f := range map[string]*following{"docker exec": s.exec, "docker logs --follow": s.logs} {
		when, _ := f.end(t)
		report(what, when)
	}
	when, last := s.one.end(t)
	report("a watch of the host", when)
	if len(last) == 0 || !strings.Contains(last[len(last)-1], `"type":"ERROR"`) || !strings.Contains(last[len(last)-1], `"code":403`) {
		t.Errorf("the watch did not say why it ended: %q", last)
	}
	s.merged.until(t, `"type":"DELETED"`)
	report("a merged watch", time.Now())
}

// inTime fails where something took too long for any machine, and logs what it took.
func inTime(t *testing.T, what string, took, want, most time.Duration) {
	t.Helper()
	if took > most {
		t.Errorf("%s noticed after %s; %s is the most", what, took.Round(time.Millisecond), most)
		return
	}
	late := ""
	if took > want {
		late = ", and should take " + want.String() + " at most"
	}
	t.Logf("%s noticed after %s%s", what, took.Round(time.Millisecond), late)
}

// openAsAccount opens streams with a token of a ServiceAccount, and a watch that the
// kube-apiserver serves, and deletes the account. The function it returns waits for the
// ends, which take longest.
func (b *bed) openAsAccount(t *testing.T, token string) (wait func(t *testing.T)) {
	t.Helper()
	who := b.bearer(t, token)
	b.Create(t, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "gone"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{dcv1.GroupVersion.Group}, Resources: []string{"dockerhosts"}, Verbs: []string{"list", "watch"}}},
	})
	b.Create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "gone"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "gone"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: b.namespace, Name: "gone"}},
	})
	s := b.openStreams(t, who)
	s.relay = who.watch(t, "/apis/"+dcv1.GroupVersion.String()+"/namespaces/"+b.namespace+"/dockerhosts?watch=true")
	s.relay.until(t, `"ADDED"`)
	since := time.Now()
	b.Delete(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "gone"}})
	return func(t *testing.T) {
		t.Helper()
		for what, f := range map[string]*following{
			"docker exec": s.exec, "docker logs --follow": s.logs, "a watch of the host": s.one, "a merged watch": s.merged, "a watch of the kube-apiserver": s.relay,
		} {
			when, _ := f.end(t)
			inTime(t, "with the ServiceAccount deleted, "+what, when.Sub(since), 20*time.Second, forgotten)
		}
		if code, _, body := who.get(t, b.path()+"/containers/json"); code != http.StatusUnauthorized {
			t.Errorf("a new request: %d %s", code, body)
		}
	}
}
