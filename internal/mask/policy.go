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

package mask

import (
	"maps"
	"slices"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Policy says what is to be seen of one kind of answer. It can be used by many at once.
type Policy struct {
	root *node
}

// For returns the policy for the answers of an operation, named as access.Request names it. It is false for one that
// is not masked: such an answer must not go to who may not see all of it.
func For(operation string) (*Policy, bool) {
	p, ok := byOperation[operation]
	return p, ok
}

// ForItem returns the policy for one item of an engine's list of kind, as engine.Object holds it in Raw.
func ForItem(kind engine.Kind) (*Policy, bool) {
	p, ok := byKind[kind]
	return p, ok
}

// Operations returns the operations that there is a policy for, sorted.
func Operations() []string {
	return slices.Sorted(maps.Keys(byOperation))
}

// fields are the allow-list of an object: what may be seen of which of its members. A key holds paths, separated by
// spaces; the names in a path by dots. "*" is every element of an array, and every member of an object that is a map.
// A value is an action, or byKey below a "*", or fields for what stands in an object there.
type fields map[string]any

// node is the compiled form: what is known of the value at one path. A nil node is that of a masked value.
type node struct {
	action action           // for a scalar; nil masks
	fields map[string]*node // for the members of an object
	each   *node            // for elements, and for members that are not in fields
}

// member returns the node for a member, by its key as it stands in the answer. Keys with escapes are in no list, and
// neither are those in other letter case, though many clients would take them for the field: both are masked.
func (n *node) member(key []byte) *node {
	if n == nil {
		return nil
	}
	if child, ok := n.fields[string(key)]; ok {
		return child
	}
	return n.each
}

// element returns the node for an element of an array.
func (n *node) element() *node {
	if n == nil {
		return nil
	}
	return n.each
}

// compile makes a policy of what a value of fields may be.
func compile(rule any) *Policy {
	root := &node{}
	root.add(rule)
	return &Policy{root: root}
}

func (n *node) add(rule any) {
	switch rule := rule.(type) {
	case action:
		n.action = rule
	case func(out, token []byte) []byte:
		n.action = rule
	case byKey:
		n.fields = map[string]*node{}
		for key, action := range rule {
			n.fields[key] = &node{action: action}
		}
		n.each = &node{action: hide}
	case fields:
		for paths, rule := range rule {
			for _, path := range strings.Fields(paths) {
				n.at(path).add(rule)
			}
		}
	default:
		panic("mask: a rule is of an unknown type")
	}
}

// at returns the node at a path, made where it is missing.
func (n *node) at(path string) *node {
	for name := range strings.SplitSeq(path, ".") {
		child := n.each
		if name != "*" {
			child = n.fields[name]
		}
		if child == nil {
			child = &node{}
			if name == "*" {
				n.each = child
			} else {
				if n.fields == nil {
					n.fields = map[string]*node{}
				}
				n.fields[name] = child
			}
		}
		n = child
	}
	return n
}
