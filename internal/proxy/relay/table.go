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
	"slices"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/access"
)

// rule is one line of the allow-list.
type rule struct {
	method string
	// path has literal segments and three that stand for others: {namespace} and {name} for
	// names as Kubernetes has them, {kind} for one of kinds.
	path string
	// verb is what the kube-apiserver will ask RBAC about, "list" for watches too; empty for
	// documents that every authenticated caller may read.
	verb string
	// parameters may be in the query.
	parameters []string
	// types are what the body may be; none: there is no body.
	types []string
	flags flags
}

type flags uint8

const (
	// optionalBody: the body may be left out.
	optionalBody flags = 1 << iota
	// secret: the answer is cut down to the object's names, and the parameter fieldManager
	// must be there.
	secret
	// question: a POST that changes nothing.
	question
)

const (
	kindsPrefix = "/apis/" + access.Group + "/v1alpha1"
	applyYAML   = "application/apply-patch+yaml"
)

// kinds are the resources of the project's group, with the names of their kinds.
var kinds = map[string]string{
	"dockerhosts":     "DockerHost",
	"hostpermissions": "HostPermission",
	"swarmservices":   "SwarmService",
}

// Parameters by what is asked for. "timeout" is what client-go adds for its own time-out.
var (
	documentParameters = []string{"timeout"}
	getParameters      = []string{"pretty", "resourceVersion", "timeout"}
	listParameters     = []string{
		"allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "pretty", "resourceVersion",
		"resourceVersionMatch", "sendInitialEvents", "timeout", "timeoutSeconds", "watch",
	}
	writeParameters  = []string{"dryRun", "fieldManager", "fieldValidation", "pretty", "timeout"}
	patchParameters  = []string{"dryRun", "fieldManager", "fieldValidation", "force", "pretty", "timeout"}
	deleteParameters = []string{"dryRun", "gracePeriodSeconds", "pretty", "propagationPolicy", "timeout"}
)

// Types of bodies. A review is handed on unread, so it may be in any form.
var (
	objectTypes = []string{"application/json", "application/yaml"}
	patchTypes  = []string{applyYAML, "application/json-patch+json", "application/merge-patch+json"}
	reviewTypes = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor"}
)

// table is the allow-list. What is not here is refused: writes of a status, which are the
// controllers'; deletion of collections; every other kind.
var table = []rule{
	// What the project's group has.
	{http.MethodGet, "/apis/" + access.Group, "", documentParameters, nil, 0},
	{http.MethodGet, kindsPrefix, "", documentParameters, nil, 0},
	{http.MethodGet, "/openapi/v3" + kindsPrefix, "", documentParameters, nil, 0},

	// The project's kinds.
	{http.MethodGet, kindsPrefix + "/{kind}", "list", listParameters, nil, 0},
	{http.MethodGet, kindsPrefix + "/namespaces/{namespace}/{kind}", "list", listParameters, nil, 0},
	{http.MethodPost, kindsPrefix + "/namespaces/{namespace}/{kind}", "create", writeParameters, objectTypes, 0},
	{http.MethodGet, kindsPrefix + "/namespaces/{namespace}/{kind}/{name}", "get", getParameters, nil, 0},
	{http.MethodPut, kindsPrefix + "/namespaces/{namespace}/{kind}/{name}", "update", writeParameters, objectTypes, 0},
	{http.MethodPatch, kindsPrefix + "/namespaces/{namespace}/{kind}/{name}", "patch", patchParameters, patchTypes, 0},
	{http.MethodDelete, kindsPrefix + "/namespaces/{namespace}/{kind}/{name}", "delete", deleteParameters, objectTypes, optionalBody},
	{http.MethodGet, kindsPrefix + "/namespaces/{namespace}/swarmservices/{name}/scale", "get", getParameters, nil, 0},
	{http.MethodPut, kindsPrefix + "/namespaces/{namespace}/swarmservices/{name}/scale", "update", writeParameters, objectTypes, 0},
	{http.MethodPatch, kindsPrefix + "/namespaces/{namespace}/swarmservices/{name}/scale", "patch", patchParameters, patchTypes, 0},

	// Events, in both groups, and namespaces: to look at.
	{http.MethodGet, "/apis/events.k8s.io/v1/events", "list", listParameters, nil, 0},
	{http.MethodGet, "/apis/events.k8s.io/v1/namespaces/{namespace}/events", "list", listParameters, nil, 0},
	{http.MethodGet, "/apis/events.k8s.io/v1/namespaces/{namespace}/events/{name}", "get", getParameters, nil, 0},
	{http.MethodGet, "/api/v1/events", "list", listParameters, nil, 0},
	{http.MethodGet, "/api/v1/namespaces/{namespace}/events", "list", listParameters, nil, 0},
	{http.MethodGet, "/api/v1/namespaces/{namespace}/events/{name}", "get", getParameters, nil, 0},
	{http.MethodGet, "/api/v1/namespaces", "list", listParameters, nil, 0},
	{http.MethodGet, "/api/v1/namespaces/{name}", "get", getParameters, nil, 0},

	// Who am I, and what may I do?
	{http.MethodPost, "/apis/authentication.k8s.io/v1/selfsubjectreviews", "create", writeParameters, reviewTypes, question},
	{http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "create", writeParameters, reviewTypes, question},
	{http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "create", writeParameters, reviewTypes, question},

	// Secrets: server-side apply, whose body is a whole Secret. Other patches, and JSON forms
	// of this one, are not needed.
	{http.MethodPatch, "/api/v1/namespaces/{namespace}/secrets/{name}", "patch", patchParameters, []string{applyYAML}, secret},
}

// match returns the values of a path's {namespace}, {name} and {kind}.
func (r *rule) match(segments []string) (values map[string]string, ok bool) {
	template := strings.Split(r.path, "/")
	if len(template) != len(segments) {
		return nil, false
	}
	values = map[string]string{}
	for i, t := range template {
		s := segments[i]
		switch {
		case t == "{kind}" && kinds[s] != "", t == "{namespace}" && isNamespace(s), t == "{name}" && isName(s):
			values[t] = s
		case t != s:
			return nil, false
		}
	}
	return values, true
}

// methodsAt are those that the allow-list has for a path.
func methodsAt(segments []string) (methods []string) {
	for i := range table {
		if _, ok := table[i].match(segments); ok && !slices.Contains(methods, table[i].method) {
			methods = append(methods, table[i].method)
		}
	}
	return methods
}
