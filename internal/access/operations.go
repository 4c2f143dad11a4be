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
	"iter"
	"strings"
)

// flags of an operation.
type flags uint

const (
	// masked: the answer may hold secrets; who lacks Inspect gets it masked.
	masked flags = 1 << iota
	// streams: the answer or the body may go on without end or be of any size.
	streams
	// tcp, websocket and h2c: the connection is taken over, after an upgrade to that protocol.
	tcp
	websocket
	h2c
	// execID: the object is the id of an exec, signed by Sign.
	execID
	// execCreate: ExecCreateNeedsAdmin must judge the body.
	execCreate
)

// operation is one line of the table.
type operation struct {
	method      string
	path        string // the engine's route, "{name...}" where it takes slashes too
	subresource Subresource
	verb        Verb
	flags       flags
	object      string              // the parameter that names the object, where the path does not
	special     func(*facts) *Right // what the path does not tell; nil keeps the line's right
	template    template
}

// name is how the operation is called everywhere outside this package.
func (o *operation) name() string {
	return o.method + " " + strings.ReplaceAll(o.path, "...}", "}")
}

// operations is the golden table: every operation of the Docker Engine API since 1.40, in the order in which the
// engine tries its routes, without the prefix /vX.Y. The first line that matches counts. A change here
// changes who may do what: review it as such.
//
// To keep apart what the role table keeps apart, update is only what an Operator may do (lifecycle, typed
// service actions); redefining a container or a service is patch.
var operations = []operation{
	// Checkpoints name any directory of the host.
	{method: "GET", path: "/containers/{name...}/checkpoints", subresource: Raw, verb: Get},
	{method: "POST", path: "/containers/{name...}/checkpoints", subresource: Raw, verb: Create},
	{method: "DELETE", path: "/containers/{name}/checkpoints/{checkpoint}", subresource: Raw, verb: Delete},

	// Containers
	{method: "HEAD", path: "/containers/{name...}/archive", subresource: Copy, verb: Get},
	{method: "GET", path: "/containers/json", subresource: Containers, verb: Get, flags: masked},
	{method: "GET", path: "/containers/{name...}/export", subresource: Export, verb: Get, flags: streams},
	{method: "GET", path: "/containers/{name...}/changes", subresource: Inspect, verb: Get},
	{method: "GET", path: "/containers/{name...}/json", subresource: Containers, verb: Get, flags: masked},
	{method: "GET", path: "/containers/{name...}/top", subresource: Inspect, verb: Get},
	{method: "GET", path: "/containers/{name...}/logs", subresource: Log, verb: Get, flags: streams, special: logDetails},
	{method: "GET", path: "/containers/{name...}/stats", subresource: Stats, verb: Get, flags: streams},
	{method: "GET", path: "/containers/{name...}/attach/ws", subresource: Attach, verb: Create, flags: streams | websocket},
	{method: "GET", path: "/exec/{id...}/json", subresource: Exec, verb: Create, flags: execID},
	{method: "GET", path: "/containers/{name...}/archive", subresource: Copy, verb: Get, flags: streams},
	{method: "POST", path: "/containers/create", subresource: Containers, verb: Create, object: "name"},
	{method: "POST", path: "/containers/{name...}/kill", subresource: Containers, verb: Update},
	{method: "POST", path: "/containers/{name...}/pause", subresource: Containers, verb: Update},
	{method: "POST", path: "/containers/{name...}/unpause", subresource: Containers, verb: Update},
	{method: "POST", path: "/containers/{name...}/restart", subresource: Containers, verb: Update},
	{method: "POST", path: "/containers/{name...}/start", subresource: Containers, verb: Update, special: startCheckpoint},
	{method: "POST", path: "/containers/{name...}/stop", subresource: Containers, verb: Update},
	{method: "POST", path: "/containers/{name...}/wait", subresource: Containers, verb: Update, flags: streams},
	{method: "POST", path: "/containers/{name...}/resize", subresource: Containers, verb: Update},
	{method: "POST", path: "/containers/{name...}/attach", subresource: Attach, verb: Create, flags: streams | tcp},
	{method: "POST", path: "/containers/{name...}/exec", subresource: Exec, verb: Create, flags: execCreate},
	{method: "POST", path: "/exec/{name...}/start", subresource: Exec, verb: Create, flags: streams | tcp | execID},
	{method: "POST", path: "/exec/{name...}/resize", subresource: Exec, verb: Create, flags: execID},
	{method: "POST", path: "/containers/{name...}/rename", subresource: Containers, verb: Update},
	{method: "POST", path: "/containers/{name...}/update", subresource: Containers, verb: Patch},
	{method: "POST", path: "/containers/prune", subresource: Containers, verb: Delete},
	{method: "POST", path: "/commit", subresource: Images, verb: Update, object: "container"},
	{method: "PUT", path: "/containers/{name...}/archive", subresource: Copy, verb: Create, flags: streams},
	{method: "DELETE", path: "/containers/{name...}", subresource: Containers, verb: Delete},

	// Images
	{method: "GET", path: "/images/json", subresource: Images, verb: Get, flags: masked},
	{method: "GET", path: "/images/search", subresource: Registry, verb: Get, object: "term"},
	{method: "GET", path: "/images/get", subresource: Export, verb: Get, flags: streams},
	{method: "GET", path: "/images/{name...}/get", subresource: Export, verb: Get, flags: streams},
	{method: "GET", path: "/images/{name...}/history", subresource: Images, verb: Get, flags: masked},
	{method: "GET", path: "/images/{name...}/json", subresource: Images, verb: Get, flags: masked},
	// A provenance holds build arguments.
	{method: "GET", path: "/images/{name...}/attestations", subresource: Inspect, verb: Get},
	{method: "POST", path: "/images/load", subresource: Images, verb: Update, flags: streams},
	{method: "POST", path: "/images/create", subresource: Images, verb: Create, flags: streams, object: "fromImage", special: imageImport},
	{method: "POST", path: "/images/{name...}/push", subresource: Images, verb: Update, flags: streams},
	{method: "POST", path: "/images/{name...}/tag", subresource: Images, verb: Update},
	{method: "POST", path: "/images/prune", subresource: Images, verb: Delete},
	{method: "DELETE", path: "/images/{name...}", subresource: Images, verb: Delete},

	// System
	{method: "OPTIONS", path: "/{anyroute...}", subresource: Raw, verb: Get},
	{method: "GET", path: "/_ping", subresource: Info, verb: Get},
	{method: "HEAD", path: "/_ping", subresource: Info, verb: Get},
	{method: "GET", path: "/events", subresource: Events, verb: Get, flags: masked | streams},
	{method: "GET", path: "/info", subresource: Info, verb: Get, flags: masked},
	{method: "GET", path: "/version", subresource: Info, verb: Get},
	{method: "GET", path: "/system/df", subresource: Info, verb: Get, flags: masked},
	{method: "POST", path: "/auth", subresource: Registry, verb: Create},

	// Volumes
	{method: "GET", path: "/volumes", subresource: Volumes, verb: Get, flags: masked},
	{method: "GET", path: "/volumes/{name...}", subresource: Volumes, verb: Get, flags: masked},
	{method: "POST", path: "/volumes/create", subresource: Volumes, verb: Create},
	{method: "POST", path: "/volumes/prune", subresource: Volumes, verb: Delete},
	{method: "PUT", path: "/volumes/{name...}", subresource: Volumes, verb: Update},
	{method: "DELETE", path: "/volumes/{name...}", subresource: Volumes, verb: Delete},

	// Builds; a session gives the build the client's files and credentials, and grpc is all of BuildKit.
	{method: "POST", path: "/build", subresource: Build, verb: Create, flags: streams},
	{method: "POST", path: "/build/prune", subresource: Build, verb: Delete},
	{method: "POST", path: "/build/cancel", subresource: Build, verb: Update, object: "id"},
	{method: "POST", path: "/session", subresource: Build, verb: Create, flags: streams | h2c},

	// Swarm; join tokens and the unlock key are an Admin's.
	{method: "POST", path: "/swarm/init", subresource: Swarm, verb: Create},
	{method: "POST", path: "/swarm/join", subresource: Swarm, verb: Create},
	{method: "POST", path: "/swarm/leave", subresource: Swarm, verb: Delete},
	{method: "GET", path: "/swarm", subresource: Swarm, verb: Get, flags: masked},
	{method: "GET", path: "/swarm/unlockkey", subresource: Swarm, verb: Update},
	{method: "POST", path: "/swarm/update", subresource: Swarm, verb: Update},
	{method: "POST", path: "/swarm/unlock", subresource: Swarm, verb: Update},
	{method: "GET", path: "/services", subresource: Services, verb: Get, flags: masked},
	{method: "GET", path: "/services/{id}", subresource: Services, verb: Get, flags: masked},
	{method: "POST", path: "/services/create", subresource: Services, verb: Create},
	{method: "POST", path: "/services/{id}/update", subresource: Services, verb: Patch},
	{method: "DELETE", path: "/services/{id}", subresource: Services, verb: Delete},
	{method: "GET", path: "/services/{id}/logs", subresource: Log, verb: Get, flags: streams, special: logDetails},
	{method: "GET", path: "/nodes", subresource: Nodes, verb: Get, flags: masked},
	{method: "GET", path: "/nodes/{id}", subresource: Nodes, verb: Get, flags: masked},
	{method: "DELETE", path: "/nodes/{id}", subresource: Nodes, verb: Delete},
	{method: "POST", path: "/nodes/{id}/update", subresource: Nodes, verb: Update},
	{method: "GET", path: "/tasks", subresource: Tasks, verb: Get, flags: masked},
	{method: "GET", path: "/tasks/{id}", subresource: Tasks, verb: Get, flags: masked},
	{method: "GET", path: "/tasks/{id}/logs", subresource: Log, verb: Get, flags: streams, special: logDetails},
	{method: "GET", path: "/secrets", subresource: Secrets, verb: Get, flags: masked},
	{method: "POST", path: "/secrets/create", subresource: Secrets, verb: Create},
	{method: "DELETE", path: "/secrets/{id}", subresource: Secrets, verb: Delete},
	{method: "GET", path: "/secrets/{id}", subresource: Secrets, verb: Get, flags: masked},
	{method: "POST", path: "/secrets/{id}/update", subresource: Secrets, verb: Update},
	{method: "GET", path: "/configs", subresource: Services, verb: Get, flags: masked},
	{method: "POST", path: "/configs/create", subresource: Configs, verb: Create},
	{method: "DELETE", path: "/configs/{id}", subresource: Configs, verb: Delete},
	{method: "GET", path: "/configs/{id}", subresource: Services, verb: Get, flags: masked},
	{method: "POST", path: "/configs/{id}/update", subresource: Configs, verb: Update},

	// Plugins
	{method: "GET", path: "/plugins", subresource: Plugins, verb: Get, flags: masked},
	{method: "GET", path: "/plugins/{name...}/json", subresource: Plugins, verb: Get, flags: masked},
	{method: "GET", path: "/plugins/privileges", subresource: Plugins, verb: Get, object: "remote"},
	{method: "DELETE", path: "/plugins/{name...}", subresource: Plugins, verb: Delete},
	{method: "POST", path: "/plugins/{name...}/enable", subresource: Plugins, verb: Update},
	{method: "POST", path: "/plugins/{name...}/disable", subresource: Plugins, verb: Update},
	{method: "POST", path: "/plugins/pull", subresource: Plugins, verb: Create, flags: streams, object: "remote"},
	{method: "POST", path: "/plugins/{name...}/push", subresource: Plugins, verb: Update, flags: streams},
	{method: "POST", path: "/plugins/{name...}/upgrade", subresource: Plugins, verb: Update, flags: streams},
	{method: "POST", path: "/plugins/{name...}/set", subresource: Plugins, verb: Update},
	{method: "POST", path: "/plugins/create", subresource: Plugins, verb: Create, flags: streams, object: "name"},

	{method: "GET", path: "/distribution/{name...}/json", subresource: Registry, verb: Get},

	// Networks
	{method: "GET", path: "/networks", subresource: Networks, verb: Get, flags: masked},
	{method: "GET", path: "/networks/", subresource: Networks, verb: Get, flags: masked},
	{method: "GET", path: "/networks/{id...}", subresource: Networks, verb: Get, flags: masked},
	{method: "POST", path: "/networks/create", subresource: Networks, verb: Create},
	{method: "POST", path: "/networks/{id...}/connect", subresource: Networks, verb: Update},
	{method: "POST", path: "/networks/{id...}/disconnect", subresource: Networks, verb: Update},
	{method: "POST", path: "/networks/prune", subresource: Networks, verb: Delete},
	{method: "DELETE", path: "/networks/{id...}", subresource: Networks, verb: Delete},

	// The engine's own memory, which holds everything.
	{method: "GET", path: "/debug/vars", subresource: Raw, verb: Get},
	{method: "GET", path: "/debug/pprof/", subresource: Raw, verb: Get},
	{method: "GET", path: "/debug/pprof/cmdline", subresource: Raw, verb: Get},
	{method: "GET", path: "/debug/pprof/profile", subresource: Raw, verb: Get, flags: streams},
	{method: "GET", path: "/debug/pprof/symbol", subresource: Raw, verb: Get},
	{method: "GET", path: "/debug/pprof/trace", subresource: Raw, verb: Get, flags: streams},
	{method: "GET", path: "/debug/pprof/{name}", subresource: Raw, verb: Get, flags: streams},

	{method: "POST", path: "/grpc", subresource: Build, verb: Create, flags: streams | h2c},
}

// Operations returns the names of all operations and the rights that they ask for, in the table's order. What the query
// or the body of some asks for besides is not among them.
func Operations() iter.Seq2[string, Right] {
	return func(yield func(string, Right) bool) {
		for i := range operations {
			o := &operations[i]
			if !yield(o.name(), Right{o.subresource, o.verb}) {
				return
			}
		}
	}
}

// MaskedOperations returns the names of the operations whose answers are masked for who lacks Inspect, in the table's
// order.
func MaskedOperations() []string {
	var names []string
	for i := range operations {
		if o := &operations[i]; o.flags&masked != 0 {
			names = append(names, o.name())
		}
	}
	return names
}

// byMethod holds the table with its templates compiled.
var byMethod = func() map[string][]*operation {
	index := map[string][]*operation{}
	for i := range operations {
		o := &operations[i]
		o.template = compile(o.path)
		index[o.method] = append(index[o.method], o)
	}
	return index
}()
