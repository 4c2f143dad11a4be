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

package actions

import (
	"net/http"
	"slices"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// action is one line of the table.
type action struct {
	method  string
	segment string
	// object is the fixed object; empty stands for any where named is set, and for none
	// where it is not.
	object string
	named  bool
	action string
	rights []access.Right
	// verb and kind are the audit trail's; a line without verb is read only.
	verb, kind string
	serve      func(*Actions, *call) error
	// namespaced paths have no host.
	namespaced bool
}

func right(s access.Subresource, v access.Verb) []access.Right {
	return []access.Right{{Subresource: s, Verb: v}}
}

const (
	get, post, remove = http.MethodGet, http.MethodPost, http.MethodDelete

	kindContainer = "Container"
	kindImage     = "Image"
	kindVolume    = "Volume"
	kindNetwork   = "Network"
	kindService   = "Service"
	kindNode      = "Node"
)

// table is every action. What a line takes must agree with what the same request takes
// through the pass-through (internal/access/operations.go), but for the typed service
// actions, which are the narrow form of an update.
var table = slices.Concat(containerActions, imageActions, resourceActions, swarmActions, systemActions)

var containerActions = []action{
	lifecycle("start", (*Actions).start),
	lifecycle("stop", (*Actions).stop),
	lifecycle("restart", (*Actions).restart),
	lifecycle("kill", (*Actions).kill),
	lifecycle("pause", (*Actions).pause),
	lifecycle("unpause", (*Actions).unpause),
	lifecycle("rename", (*Actions).rename),
	lifecycle("resize", (*Actions).resize),
	{method: post, segment: "containers", named: true, action: "remove", verb: "remove", kind: kindContainer,
		rights: right(access.Containers, access.Delete), serve: (*Actions).removeContainer},
	{method: remove, segment: "containers", named: true, verb: "remove", kind: kindContainer,
		rights: right(access.Containers, access.Delete), serve: (*Actions).removeContainer},
	{method: post, segment: "containers", verb: "create", kind: kindContainer,
		rights: right(access.Containers, access.Create), serve: (*Actions).createContainer},
	{method: post, segment: "containers", named: true, action: "recreate", verb: "recreate", kind: kindContainer,
		rights: []access.Right{{Subresource: access.Containers, Verb: access.Create}, {Subresource: access.Containers, Verb: access.Delete}},
		serve:  (*Actions).recreate},
	{method: get, segment: "containers", named: true, action: "inspect",
		rights: right(access.Containers, access.Get), serve: inspects("GET /containers/{name}/json")},
	{method: get, segment: "containers", named: true, action: "top",
		rights: right(access.Inspect, access.Get), serve: (*Actions).top},
	{method: get, segment: "containers", named: true, action: "changes",
		rights: right(access.Inspect, access.Get), serve: (*Actions).changes},
}

// lifecycle is what an Operator may do to a container.
func lifecycle(verb string, serve func(*Actions, *call) error) action {
	return action{method: post, segment: "containers", named: true, action: verb, verb: verb, kind: kindContainer,
		rights: right(access.Containers, access.Update), serve: serve}
}

var imageActions = []action{
	{method: post, segment: "images", object: "pull", verb: "pull", kind: kindImage,
		rights: right(access.Images, access.Create), serve: (*Actions).pull},
	{method: post, segment: "images", named: true, action: "remove", verb: "remove", kind: kindImage,
		rights: right(access.Images, access.Delete), serve: (*Actions).removeImage},
	{method: remove, segment: "images", named: true, verb: "remove", kind: kindImage,
		rights: right(access.Images, access.Delete), serve: (*Actions).removeImage},
	{method: post, segment: "images", named: true, action: "tag", verb: "tag", kind: kindImage,
		rights: right(access.Images, access.Update), serve: (*Actions).tagImage},
	{method: get, segment: "images", named: true, action: "inspect",
		rights: right(access.Images, access.Get), serve: inspects("GET /images/{name}/json")},
	{method: get, segment: "images", named: true, action: "history",
		rights: right(access.Images, access.Get), serve: (*Actions).history},
}

var resourceActions = []action{
	{method: post, segment: "volumes", verb: "create", kind: kindVolume,
		rights: right(access.Volumes, access.Create), serve: (*Actions).createVolume},
	{method: post, segment: "volumes", named: true, action: "remove", verb: "remove", kind: kindVolume,
		rights: right(access.Volumes, access.Delete), serve: (*Actions).removeVolume},
	{method: remove, segment: "volumes", named: true, verb: "remove", kind: kindVolume,
		rights: right(access.Volumes, access.Delete), serve: (*Actions).removeVolume},
	{method: get, segment: "volumes", named: true, action: "inspect",
		rights: right(access.Volumes, access.Get), serve: inspects("GET /volumes/{name}")},

	{method: post, segment: "networks", verb: "create", kind: kindNetwork,
		rights: right(access.Networks, access.Create), serve: (*Actions).createNetwork},
	{method: post, segment: "networks", named: true, action: "remove", verb: "remove", kind: kindNetwork,
		rights: right(access.Networks, access.Delete), serve: (*Actions).removeNetwork},
	{method: remove, segment: "networks", named: true, verb: "remove", kind: kindNetwork,
		rights: right(access.Networks, access.Delete), serve: (*Actions).removeNetwork},
	{method: post, segment: "networks", named: true, action: "connect", verb: "connect", kind: kindNetwork,
		rights: right(access.Networks, access.Update), serve: (*Actions).connectNetwork},
	{method: post, segment: "networks", named: true, action: "disconnect", verb: "disconnect", kind: kindNetwork,
		rights: right(access.Networks, access.Update), serve: (*Actions).disconnectNetwork},
	{method: get, segment: "networks", named: true, action: "inspect",
		rights: right(access.Networks, access.Get), serve: inspects("GET /networks/{id}")},
}

var swarmActions = []action{
	{method: post, segment: "services", named: true, action: "scale", verb: "scale", kind: kindService,
		rights: right(access.Services, access.Update), serve: (*Actions).scale},
	{method: post, segment: "services", named: true, action: "rollback", verb: "rollback", kind: kindService,
		rights: right(access.Services, access.Update), serve: (*Actions).rollback},
	{method: post, segment: "services", named: true, action: "force", verb: "force", kind: kindService,
		rights: right(access.Services, access.Update), serve: (*Actions).force},
	{method: get, segment: "services", named: true, action: "inspect",
		rights: right(access.Services, access.Get), serve: inspects("GET /services/{id}")},
	{method: get, segment: "tasks", named: true, action: "inspect",
		rights: right(access.Tasks, access.Get), serve: inspects("GET /tasks/{id}")},
	{method: post, segment: "nodes", named: true, verb: "update", kind: kindNode,
		rights: right(access.Nodes, access.Update), serve: (*Actions).updateNode},
	{method: get, segment: "nodes", named: true, action: "inspect",
		rights: right(access.Nodes, access.Get), serve: inspects("GET /nodes/{id}")},
}

var systemActions = []action{
	{method: get, segment: "system", object: "df",
		rights: right(access.Info, access.Get), serve: (*Actions).diskUsage},
	// The kinds in the body say which rights it takes.
	{method: post, segment: "prune", verb: "prune", serve: (*Actions).prune},
	{method: post, segment: "test", namespaced: true, verb: "test", kind: "DockerHost", serve: (*Actions).test},
}

// fits says whether a line's path is the route's.
func (d *action) fits(rt route.Route) bool {
	if d.segment != rt.Segment || d.action != rt.Action || rt.Namespace == "" || (rt.Host == "") != d.namespaced {
		return false
	}
	if d.named {
		return rt.Object != ""
	}
	return d.object == rt.Object
}

// shared are the paths that others may serve by other methods: lists, and single objects.
func shared(d *action) bool {
	return d.action == "" && d.segment != "system" && d.segment != "prune" && d.segment != "test"
}

// find returns the line of a request. Where the path fits a line of another method only,
// allowed names those methods.
func find(r *http.Request) (d *action, allowed []string, found bool) {
	rt := route.From(r.Context())
	if rt.Segment == jobs.Segment && rt.Host != "" && rt.Action == "" {
		return nil, nil, true
	}
	for i := range table {
		line := &table[i]
		if !line.fits(rt) {
			continue
		}
		if line.method == r.Method {
			return line, nil, true
		}
		if !shared(line) {
			allowed = append(allowed, line.method)
		}
	}
	return nil, allowed, len(allowed) > 0
}

// ServeHTTP serves a request whose caller (caller.From) and route (route.From) are known.
func (a *Actions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, allowed, found := find(r)
	switch {
	case !found:
		apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
	case d == nil && allowed == nil:
		a.jobs.ServeHTTP(w, r)
	case d == nil:
		apistatus.Write(w, apistatus.MethodNotAllowed(allowed...))
	default:
		a.serve(w, r, d)
	}
}
