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
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Role is a role of a HostPermission.
type Role string

// The roles, each with the rights of the one before.
const (
	Viewer   Role = "Viewer"   // looks
	Operator Role = "Operator" // runs what there is; root in every container
	Admin    Role = "Admin"    // defines what there is; root on the host
)

// Roles returns every role, the least first.
func Roles() []Role {
	return []Role{Viewer, Operator, Admin}
}

// grants maps a subresource to the verbs that a role has on it.
type grants map[Subresource][]Verb

// viewer and operator are the role table, without the door (doorGrants). An Admin has every verb on every
// subresource.
var (
	viewer = grants{
		Info: {Get}, Containers: {Get}, Log: {Get}, Stats: {Get}, Events: {Get}, Images: {Get},
		Volumes: {Get}, Networks: {Get}, Services: {Get}, Tasks: {Get}, Nodes: {Get},
	}
	operator = grants{
		Info: {Get}, Containers: {Get, Update}, Log: {Get}, Stats: {Get}, Events: {Get}, Images: {Create, Get},
		Volumes: {Get}, Networks: {Get}, Services: {Get, Update}, Tasks: {Get}, Nodes: {Get},
		Inspect: {Get}, Exec: {Create}, Attach: {Create}, Copy: {Create, Get},
	}
)

// Grants says whether the role includes the right. An unknown role includes none.
func Grants(role Role, right Right) bool {
	return slices.Contains(grantsOf(role)[right.Subresource], right.Verb)
}

// LeastRole returns the least role that includes the right, for messages that say what to ask for.
// It is false for a right that does not exist.
func LeastRole(right Right) (Role, bool) {
	for _, role := range Roles() {
		if Grants(role, right) {
			return role, true
		}
	}
	return "", false
}

// RulesFor returns the rules of the Role that gives role on the named hosts: exact resource names, sorted and
// without repeats, in an order that depends on the arguments only. No host gives no rule at all, since a rule
// without resource names would be a rule for every host. The error is for an unknown role or an empty name.
func RulesFor(role Role, hostNames []string) ([]rbacv1.PolicyRule, error) {
	granted := grantsOf(role)
	if granted == nil {
		return nil, fmt.Errorf("role %q is unknown: it is one of %v", role, Roles())
	}
	names := slices.Clone(hostNames)
	slices.Sort(names)
	names = slices.Compact(names)
	if slices.Contains(names, "") {
		return nil, fmt.Errorf("role %s: the name of a host is empty", role)
	}
	if len(names) == 0 {
		return nil, nil
	}
	return rules(granted, names), nil
}

// ManagerRules returns what the manager's own ClusterRole must hold so that RBAC's escalation check lets it write any
// Role of RulesFor: the same rights, enumerated, for every host. Neither "escalate" nor "bind" nor "*" is among them.
func ManagerRules() []rbacv1.PolicyRule {
	return rules(grantsOf(Admin), nil)
}

func grantsOf(role Role) grants {
	switch role {
	case Viewer:
		return viewer
	case Operator:
		return operator
	case Admin:
		all := grants{}
		for _, subresource := range subresources {
			if subresource != Proxy {
				all[subresource] = verbs
			}
		}
		return all
	default:
		return nil
	}
}

// doorGrants returns what a kube-apiserver that aggregates the proxy's paths must find in EngineGroup. It takes
// the subresource from the path's segment and the verb from the HTTP method: every typed action is a POST, thus
// "create", an exec over WebSocket is a GET, the whole pass-through is "proxy", and some paths are no right at all (Doors). So these rules are wider
// than the rights, and nothing but that first question may ever be answered by them.
func doorGrants(granted grants) grants {
	door := grants{}
	for subresource, held := range granted {
		wide := slices.Clone(held)
		if !slices.Equal(held, []Verb{Get}) {
			wide = append(wide, Create)
		}
		if subresource == Exec || subresource == Attach {
			wide = append(wide, Get)
		}
		door[subresource] = wide
		// Through the pass-through the method is the Docker API's own: files go into a container by PUT.
		door[Proxy] = append(door[Proxy], wide...)
		if subresource == Copy && slices.Contains(held, Create) {
			door[Proxy] = append(door[Proxy], Update)
		}
	}
	if slices.Contains(granted[Info], Get) {
		door[SystemDoor] = []Verb{Get}
	}
	for _, subresource := range []Subresource{Containers, Images, Networks, Volumes, Build} {
		if slices.Contains(granted[subresource], Delete) {
			door[PruneDoor] = []Verb{Create}
		}
		if slices.Contains(granted[subresource], Create) { // a pull is a job, too
			door[JobsDoor] = []Verb{Delete, Get}
		}
	}
	for subresource, wide := range door {
		slices.Sort(wide)
		door[subresource] = slices.Compact(wide)
	}
	return door
}

// segments are the subresources and the doors.
var segments = slices.Sorted(slices.Values(slices.Concat(subresources, doors)))

// rules puts the subresources with the same verbs into one rule, in the order of the verbs.
func rules(granted grants, names []string) []rbacv1.PolicyRule {
	var all []rbacv1.PolicyRule
	for _, in := range []struct {
		group  string
		grants grants
	}{{Group, granted}, {EngineGroup, doorGrants(granted)}} {
		resources := map[string][]string{}
		for _, subresource := range segments {
			if held := in.grants[subresource]; len(held) > 0 {
				key := joinVerbs(held)
				resources[key] = append(resources[key], Resource+"/"+string(subresource))
			}
		}
		keys := make([]string, 0, len(resources))
		for key := range resources {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			all = append(all, rbacv1.PolicyRule{
				APIGroups:     []string{in.group},
				Resources:     resources[key],
				ResourceNames: slices.Clone(names),
				Verbs:         strings.Split(key, ","),
			})
		}
	}
	return all
}

func joinVerbs(held []Verb) string {
	words := make([]string, len(held))
	for i, verb := range held {
		words[i] = string(verb)
	}
	return strings.Join(words, ",")
}
