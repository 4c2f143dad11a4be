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

package dockerapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
)

// quiet are operations that change nothing, or are part of a session that is on record
// itself: waiting, sizes of terminals, an exec's exit code.
var quiet = map[string]bool{
	"POST /containers/{name}/wait":    true,
	"POST /containers/{name}/resize":  true,
	"POST /exec/{name}/resize":        true,
	"GET /exec/{id}/json":             true,
	"HEAD /containers/{name}/archive": true,
}

// recorded tells what goes on record: every change, every session, and files that leave
// a container.
func recorded(req access.Request) bool {
	if quiet[req.Operation] {
		return false
	}
	return req.Verb != access.Get || req.Hijacks || req.Subresource == access.Copy || req.Subresource == access.Export
}

// words are the verbs of operations whose path does not end in one.
var words = map[string]string{
	"GET /containers/{name}/archive":   "copy-out",
	"PUT /containers/{name}/archive":   "copy-in",
	"GET /containers/{name}/export":    "export",
	"GET /containers/{name}/attach/ws": "attach",
	"POST /containers/{name}/exec":     "create-exec",
	"POST /exec/{name}/start":          "exec",
	"POST /images/create":              "pull",
	"GET /images/get":                  "save",
	"GET /images/{name}/get":           "save",
	"POST /build":                      "build",
	"POST /session":                    "session",
	"POST /grpc":                       "session",
	"POST /commit":                     "commit",
	"POST /auth":                       "login",
}

// kinds name what a path's first segment holds.
var kinds = map[string]string{
	"auth": "Registry", "build": "Build", "commit": "Image", "configs": "Config", "containers": "Container",
	"distribution": "Image", "exec": "Exec", "grpc": "Build", "images": "Image", "networks": "Network", "nodes": "Node",
	"plugins": "Plugin", "secrets": "Secret", "services": "Service", "session": "Build", "swarm": "Swarm",
	"tasks": "Task", "volumes": "Volume",
}

// record is what the audit trail says of the exchange.
func (x *exchange) record() audit.Record {
	verb, kind := describe(x.req)
	object := audit.Object{Kind: kind, Name: x.req.Object}
	if x.execIn != "" {
		object = audit.Object{Kind: "Container", ID: x.execIn}
	}
	var detail *audit.Detail
	if len(x.detail.Command) > 0 {
		detail = &audit.Detail{Command: x.detail.Command, EnvNames: x.detail.EnvNames}
	}
	return audit.Record{
		Actor: x.caller.Actor(), Source: x.caller.Source, RequestID: x.caller.RequestID,
		Verb:   verb,
		Host:   audit.Host{Namespace: x.key.Namespace, Name: x.key.Name, UID: string(x.state.UID)},
		Object: object, Detail: detail,
	}
}

// describe names an operation for people: "start", "Container".
func describe(req access.Request) (verb, kind string) {
	method, path, _ := strings.Cut(req.Operation, " ")
	if path == "raw" {
		return strings.ToLower(method), "Raw"
	}
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	kind = kinds[segments[0]]
	if kind == "" {
		kind = "Engine"
	}
	last := segments[len(segments)-1]
	switch {
	case req.Operation == "POST /images/create" && req.Right == access.Right{Subresource: access.Images, Verb: access.Update}:
		return "import", kind
	}
	switch word := words[req.Operation]; {
	case word != "":
		return word, kind
	case method == http.MethodDelete:
		return "remove", kind
	case method == http.MethodPost && !strings.HasPrefix(last, "{"):
		return last, kind
	}
	return string(req.Verb), kind
}

// denied puts a refusal on record: those that say that somebody may not.
func (x *exchange) denied(err error) error {
	var status *apierrors.StatusError
	if !errors.As(err, &status) || status.ErrStatus.Code != http.StatusForbidden && status.ErrStatus.Code != http.StatusTooManyRequests {
		return err
	}
	if x.state.UID == "" {
		x.state, _ = x.h.Hosts.State(x.key)
	}
	r := x.record()
	r.Outcome, r.Reason = audit.Denied, string(status.ErrStatus.Reason)
	// Nothing was done: that it is not on record does not make the answer another.
	if recErr := x.h.Audit.Record(context.WithoutCancel(x.r.Context()), r); recErr != nil {
		x.h.Log.Error(recErr, "A refusal could not be put on record", "requestID", x.caller.RequestID)
	}
	return err
}
