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

package access

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

// flat spells rules out, "group resource name verb" a line; "-" is no name, thus any.
func flat(rules []rbacv1.PolicyRule) []string {
	var lines []string
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{"-"}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					for _, verb := range rule.Verbs {
						lines = append(lines, strings.Join([]string{group, resource, name, verb}, " "))
					}
				}
			}
		}
	}
	return lines
}

func TestRulesForViewer(t *testing.T) {
	got, err := RulesFor(Viewer, []string{"b", "a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	resources := []string{
		"dockerhosts/containers", "dockerhosts/events", "dockerhosts/images", "dockerhosts/info", "dockerhosts/log", "dockerhosts/networks",
		"dockerhosts/nodes", "dockerhosts/services", "dockerhosts/stats", "dockerhosts/tasks", "dockerhosts/volumes",
	}
	withDoor := slices.Clone(resources)
	withDoor = append(withDoor, "dockerhosts/proxy", "dockerhosts/system")
	slices.Sort(withDoor)
	want := []rbacv1.PolicyRule{
		{APIGroups: []string{Group}, Resources: resources, ResourceNames: []string{"a", "b"}, Verbs: []string{"get"}},
		{APIGroups: []string{EngineGroup}, Resources: withDoor, ResourceNames: []string{"a", "b"}, Verbs: []string{"get"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a Viewer's rules (-want +got):\n%s", diff)
	}
}

func TestRulesForOperator(t *testing.T) {
	got, err := RulesFor(Operator, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	viewer, err := RulesFor(Viewer, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	lines := flat(got)
	for _, line := range flat(viewer) {
		if !slices.Contains(lines, line) {
			t.Errorf("an Operator lacks a Viewer's %s", line)
		}
	}
	more := slices.DeleteFunc(lines, func(line string) bool { return slices.Contains(flat(viewer), line) })
	slices.Sort(more)
	want := []string{
		"dockercontrol.dev dockerhosts/attach a create",
		"dockercontrol.dev dockerhosts/containers a update",
		"dockercontrol.dev dockerhosts/copy a create",
		"dockercontrol.dev dockerhosts/copy a get",
		"dockercontrol.dev dockerhosts/exec a create",
		"dockercontrol.dev dockerhosts/images a create",
		"dockercontrol.dev dockerhosts/inspect a get",
		"dockercontrol.dev dockerhosts/services a update",
		"engine.dockercontrol.dev dockerhosts/attach a create",
		"engine.dockercontrol.dev dockerhosts/attach a get",
		"engine.dockercontrol.dev dockerhosts/containers a create",
		"engine.dockercontrol.dev dockerhosts/containers a update",
		"engine.dockercontrol.dev dockerhosts/copy a create",
		"engine.dockercontrol.dev dockerhosts/copy a get",
		"engine.dockercontrol.dev dockerhosts/exec a create",
		"engine.dockercontrol.dev dockerhosts/exec a get",
		"engine.dockercontrol.dev dockerhosts/images a create",
		"engine.dockercontrol.dev dockerhosts/inspect a get",
		"engine.dockercontrol.dev dockerhosts/jobs a delete",
		"engine.dockercontrol.dev dockerhosts/jobs a get",
		"engine.dockercontrol.dev dockerhosts/proxy a create",
		"engine.dockercontrol.dev dockerhosts/proxy a update",
		"engine.dockercontrol.dev dockerhosts/services a create",
		"engine.dockercontrol.dev dockerhosts/services a update",
	}
	if diff := cmp.Diff(want, more); diff != "" {
		t.Errorf("what an Operator has besides (-want +got):\n%s", diff)
	}
}

func TestRulesForAdmin(t *testing.T) {
	got, err := RulesFor(Admin, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	lines := flat(got)
	for _, subresource := range Subresources() {
		for _, verb := range Verbs() {
			for _, group := range []string{Group, EngineGroup} {
				line := group + " dockerhosts/" + string(subresource) + " a " + string(verb)
				door := subresource == Proxy && group == Group
				if slices.Contains(lines, line) == door {
					t.Errorf("%s is granted: %v", line, !door)
				}
			}
		}
	}
	for _, door := range []string{"jobs a get", "jobs a delete", "prune a create", "system a get"} {
		if !slices.Contains(lines, EngineGroup+" dockerhosts/"+door) || slices.Contains(lines, Group+" dockerhosts/"+door) {
			t.Errorf("dockerhosts/%s is not granted in the paths' group, or is in the kinds' too", door)
		}
	}
}

func TestRulesForNoHosts(t *testing.T) {
	for _, role := range Roles() {
		if got, err := RulesFor(role, nil); err != nil || len(got) != 0 {
			t.Errorf("%s on no host gives %v, %v: rules without names are for every host", role, got, err)
		}
		if got, err := RulesFor(role, []string{"a", ""}); err == nil {
			t.Errorf("%s on a host without name gives %v", role, got)
		}
	}
	if got, err := RulesFor("Owner", []string{"a"}); err == nil {
		t.Errorf("an unknown role gives %v", got)
	}
}

// TestManagerMayGrantEveryRole does what RBAC's escalation check does: whoever writes a Role must hold all that is in it.
func TestManagerMayGrantEveryRole(t *testing.T) {
	held := flat(ManagerRules())
	for _, role := range Roles() {
		granted, err := RulesFor(role, []string{"a"})
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range flat(granted) {
			if !slices.Contains(held, strings.Replace(line, " a ", " - ", 1)) {
				t.Errorf("the manager lacks %s", line)
			}
		}
	}
	known := []string{"create", "delete", "get", "patch", "update"}
	for _, rule := range ManagerRules() {
		for _, verb := range rule.Verbs {
			if !slices.Contains(known, verb) {
				t.Errorf("the manager holds the verb %q", verb)
			}
		}
		for _, word := range append(slices.Clone(rule.APIGroups), rule.Resources...) {
			if strings.Contains(word, "*") {
				t.Errorf("the manager holds %q", word)
			}
		}
	}
}

func TestRulesAreTheSameEachTime(t *testing.T) {
	first, err := RulesFor(Operator, []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		again, err := RulesFor(Operator, []string{"c", "b", "a", "b"})
		if err != nil || !cmp.Equal(first, again) {
			t.Fatalf("the rules changed: %v\n%s", err, cmp.Diff(first, again))
		}
	}
	names := []string{"b", "a"}
	rules, err := RulesFor(Viewer, names)
	if err != nil {
		t.Fatal(err)
	}
	rules[0].ResourceNames[0], rules[0].Verbs[0] = "changed", "changed"
	if again, err := RulesFor(Viewer, names); err != nil || names[0] != "b" || again[0].ResourceNames[0] != "a" || again[0].Verbs[0] != "get" || rules[1].ResourceNames[0] != "a" {
		t.Errorf("rules share memory: %v %v %v", names, again, err)
	}
}

func TestLeastRole(t *testing.T) {
	for right, want := range map[Right]Role{
		{Log, Get}:          Viewer,
		{Exec, Create}:      Operator,
		{Images, Create}:    Operator,
		{Services, Update}:  Operator,
		{Services, Create}:  Admin,
		{Services, Patch}:   Admin,
		{Containers, Patch}: Admin,
		{Swarm, Get}:        Admin,
		{Raw, Get}:          Admin,
		PrivilegedExec:      Admin,
		{Proxy, Get}:        "",
		{"pods", Get}:       "",
		{Log, "escalate"}:   "",
	} {
		if got, ok := LeastRole(right); got != want || ok != (want != "") {
			t.Errorf("%v takes %q, %v; want %q", right, got, ok, want)
		}
	}
}
