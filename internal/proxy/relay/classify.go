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

package relay

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

const (
	// maxPath bounds a path: the longest has two names of 63 and 253 bytes.
	maxPath = 1 << 10
	// maxQuery bounds a query: selectors and a continue token.
	maxQuery = 16 << 10
)

// Request is a request that may be relayed, and how.
type Request struct {
	// Method, Path and Query are what to forward, exactly; Query without its question mark.
	Method, Path, Query string
	// Verb is what RBAC will be asked about, "watch" for a watch; empty for documents.
	Verb string
	// Group, Version, Resource, Subresource, Namespace and Name are what it is about, as far
	// as the path tells.
	Group, Version, Resource, Subresource, Namespace, Name string
	// Watch says that the answer has no end.
	Watch bool
	// Change says that something is created, changed or deleted.
	Change bool

	rule   *rule
	values url.Values
}

// Kind is the name of the object's kind; of those that can only be read, the resource.
func (q *Request) Kind() string {
	kind := q.Resource
	switch {
	case kinds[kind] != "":
		kind = kinds[kind]
	case q.rule.flags&secret != 0:
		kind = "Secret"
	}
	if q.Subresource != "" {
		kind += "/" + q.Subresource
	}
	return kind
}

// Classify says whether a request may be relayed, and how it is to be forwarded. Path and
// query are as they came over the wire. The error is a Status: 403 for what the allow-list
// does not have, 400 for what is spelled so that it could be read in two ways.
func Classify(method, path, query string) (*Request, error) {
	segments, err := splitPath(path)
	if err != nil {
		return nil, err
	}
	for i := range table {
		if table[i].method != method {
			continue
		}
		if values, ok := table[i].match(segments); ok {
			return table[i].request(path, query, values)
		}
	}
	if methods := methodsAt(segments); len(methods) > 0 {
		return nil, refused("%.20q is not relayed for %s, only %s is; ask the kube-apiserver itself", method, path, strings.Join(methods, ", "))
	}
	return nil, refused("%s is not relayed to the kube-apiserver, which has to be asked itself; the proxy relays the kinds of dockercontrol.dev, events, namespaces, self-subject reviews, and server-side apply of Secrets", path)
}

func refused(format string, args ...any) error {
	return apistatus.New(http.StatusForbidden, metav1.StatusReasonForbidden, format, args...)
}

// splitPath takes a path apart that has one reading: no path of the allow-list needs an
// escape, so there are none.
func splitPath(path string) ([]string, error) {
	switch {
	case len(path) > maxPath:
		return nil, apistatus.BadRequest("the path is longer than %d bytes", maxPath)
	case !strings.HasPrefix(path, "/"):
		return nil, apistatus.BadRequest("the path does not begin with a slash")
	case strings.ContainsFunc(path, func(c rune) bool { return !strings.ContainsRune(pathCharacters, c) }):
		return nil, apistatus.BadRequest("the path holds a character that no path of the kube-apiserver's needs, such as an escape")
	}
	segments := strings.Split(path, "/")
	if slices.ContainsFunc(segments[1:], func(s string) bool { return strings.Trim(s, ".") == "" }) {
		return nil, apistatus.BadRequest("the path holds an empty segment, a dot segment or a slash at its end")
	}
	return segments, nil
}

// pathCharacters are those of Kubernetes' names, of groups and of versions.
const pathCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/"

func isNamespace(s string) bool { return len(validation.IsDNS1123Label(s)) == 0 }

func isName(s string) bool { return len(validation.IsDNS1123Subdomain(s)) == 0 }

// request describes a request that matches the rule.
func (r *rule) request(path, query string, names map[string]string) (*Request, error) {
	values, err := decodeQuery(query, r.parameters)
	if err != nil {
		return nil, err
	}
	q := &Request{
		Method: r.method, Path: path, Query: values.Encode(), Verb: r.verb,
		Namespace: names["{namespace}"], Name: names["{name}"], rule: r, values: values,
	}
	q.locate(strings.Split(r.path, "/"), names["{kind}"])
	if q.Watch, err = isTrue(values, "watch"); err != nil {
		return nil, err
	}
	if q.Watch {
		q.Verb = "watch"
		q.Name = watchedName(values.Get("fieldSelector"))
	}
	if dryRun := values.Get("dryRun"); values.Has("dryRun") && dryRun != metav1.DryRunAll {
		return nil, apistatus.BadRequest("the parameter dryRun can only be %q", metav1.DryRunAll)
	}
	if r.flags&secret != 0 && values.Get("fieldManager") == "" {
		return nil, apistatus.BadRequest("server-side apply needs the parameter fieldManager")
	}
	// A deletion takes its options from the body where there is one, so the query does not
	// make it a dry run.
	q.Change = r.method != http.MethodGet && r.flags&question == 0 && (!values.Has("dryRun") || r.method == http.MethodDelete)
	return q, nil
}

// locate finds group, version, resource and subresource in a rule's path.
func (q *Request) locate(template []string, kind string) {
	if q.Verb == "" {
		return
	}
	rest := template[2:] // after "" and api or apis
	if template[1] == "apis" {
		q.Group, rest = rest[0], rest[1:]
	}
	q.Version, rest = rest[0], rest[1:]
	if len(rest) > 2 && rest[0] == "namespaces" {
		rest = rest[2:]
	}
	q.Resource = rest[0]
	if q.Resource == "{kind}" {
		q.Resource = kind
	}
	if len(rest) > 2 {
		q.Subresource = rest[2]
	}
}

// decodeQuery decodes a query once. The kube-apiserver reads the first of several values
// here and all of them there, so each parameter may be there once.
func decodeQuery(raw string, allowed []string) (url.Values, error) {
	if len(raw) > maxQuery {
		return nil, apistatus.BadRequest("the query is longer than %d bytes", maxQuery)
	}
	if strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ';' }) {
		return nil, apistatus.BadRequest("the query holds a character that has to be escaped")
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, apistatus.BadRequest("the query holds a %% that starts no escape of two hexadecimal digits")
	}
	for name, all := range values {
		switch {
		case !slices.Contains(allowed, name):
			return nil, apistatus.BadRequest("the parameter %.100q is not relayed; these are: %s", name, strings.Join(allowed, ", "))
		case len(all) > 1:
			return nil, apistatus.BadRequest("the parameter %s is there more than once", name)
		case strings.ContainsFunc(all[0], func(c rune) bool { return c < ' ' || c == 0x7f }):
			return nil, apistatus.BadRequest("the parameter %s holds a control character", name)
		}
	}
	return values, nil
}

// isTrue reads a parameter that decides how the answer is handled. The kube-apiserver takes
// nearly everything for true.
func isTrue(values url.Values, name string) (bool, error) {
	switch value := values.Get(name); {
	case !values.Has(name), value == "false", value == "0":
		return false, nil
	case value == "true", value == "1":
		return true, nil
	}
	return false, apistatus.BadRequest("the parameter %s is true or false", name)
}

// watchedName is the name that a selector singles out: whoever may watch that object only
// may do it so.
func watchedName(selector string) string {
	parsed, err := fields.ParseSelector(selector)
	if err != nil {
		return "" // the kube-apiserver refuses it
	}
	name, _ := parsed.RequiresExactMatch("metadata.name")
	return name
}
