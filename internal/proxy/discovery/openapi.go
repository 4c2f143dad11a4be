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

package discovery

import (
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/access"
)

// operation is a request of the proxy's paths.
type operation struct {
	id, method, path string // path below the DockerHost's
	description      string
	query            []string
}

// Parameters of queries. Kubernetes' names where it has any.
var (
	listQuery = []string{"continue", "labelSelector", "limit", "watch"}
	logQuery  = []string{"follow", "sinceSeconds", "sinceTime", "stderr", "stdout", "tailLines", "timestamps"}
	execQuery = []string{
		"after", "command", "env", "height", "privileged", "reattach", "session", "stderr", "stdin", "stdout", "tty", "user", "width", "workingDir",
	}
	attachQuery = []string{"after", "height", "logs", "reattach", "session", "stderr", "stdin", "stdout", "tty", "width"}
)

var operations = []operation{
	{"listContainers", "get", "containers", "The containers of a host.", listQuery},
	{"readContainer", "get", "containers/{object}/{action}", "What inspect, top or changes say of a container.", nil},
	{"actOnContainer", "post", "containers/{object}/{action}", "Start, stop or otherwise change a container.", nil},
	{"listImages", "get", "images", "The images of a host.", listQuery},
	{"pullImage", "post", "images/pull", "Pull an image from a registry, as a job.", []string{"wait"}},
	{"readInfo", "get", "info", "What an engine says of itself.", nil},
	{"listJobs", "get", "jobs", "The jobs of a host that the caller may see, of the replica that answers.", nil},
	{"readJob", "get", "jobs/{object}", "A job; with watch its states, a JSON object a line.", []string{"watch"}},
	{"cancelJob", "delete", "jobs/{object}", "Cancel a job.", nil},
	{"prune", "post", "prune", "Remove what is unused, as a job, or preview it.", []string{"wait"}},
	{"readDiskUsage", "get", "system/df", "What takes how much of a host's disk.", nil},
	{"listVolumes", "get", "volumes", "The volumes of a host.", listQuery},
	{"listNetworks", "get", "networks", "The networks of a host.", listQuery},
	{"listServices", "get", "services", "The services of the swarm that a host manages.", listQuery},
	{"listTasks", "get", "tasks", "The tasks of the swarm that a host manages.", listQuery},
	{"listNodes", "get", "nodes", "The nodes of the swarm that a host manages.", listQuery},
	{"readLog", "get", "log/{object}", "The output of a container, as chunked text or over a WebSocket.", logQuery},
	{"readStats", "get", "stats/{object}", "The resource usage of a container, a JSON object a line, or over a WebSocket.", nil},
	{"readEvents", "get", "events", "What happens on a host, a JSON object a line, or over a WebSocket.", nil},
	{"exec", "get", "exec/{object}", "A command in a container, over a WebSocket with the subprotocol v5.channel.k8s.io.", execQuery},
	{"attach", "get", "attach/{object}", "A container's own streams, over a WebSocket with the subprotocol v5.channel.k8s.io.", attachQuery},
	{"proxyGet", "get", "proxy/{path}", "A read of the Docker Engine API.", nil},
	{"proxyPost", "post", "proxy/{path}", "A change or a session of the Docker Engine API.", nil},
	{"proxyPut", "put", "proxy/{path}", "A write of the Docker Engine API.", nil},
	{"proxyDelete", "delete", "proxy/{path}", "A removal of the Docker Engine API.", nil},
}

// object is a JSON object of an OpenAPI document.
type object = map[string]any

func information() object {
	return object{"title": "Docker Control Platform: Docker engines behind Kubernetes", "version": version}
}

// openAPIv3Paths says where the documents are. The hash makes their addresses new when
// they change.
func openAPIv3Paths(hash string) object {
	return object{"paths": object{
		strings.TrimPrefix(Prefix, "/"): object{"serverRelativeURL": "/openapi/v3" + Prefix + "?hash=" + hash},
	}}
}

func openAPIv3() object {
	return object{"openapi": "3.0.0", "info": information(), "paths": paths(func(p object) {
		p["schema"] = object{"type": "string", "uniqueItems": true}
	})}
}

func openAPIv2() object {
	return object{"swagger": "2.0", "info": information(), "definitions": object{}, "paths": paths(func(p object) {
		p["type"], p["uniqueItems"] = "string", true
	})}
}

// paths are the operations by path. The two versions of OpenAPI differ in where a
// parameter's type is said.
func paths(typed func(parameter object)) object {
	all := object{}
	for _, o := range operations {
		path := Prefix + "/namespaces/{namespace}/" + access.Resource + "/{name}/" + o.path
		item, _ := all[path].(object)
		if item == nil {
			item = object{"parameters": pathParameters(path, typed)}
			all[path] = item
		}
		described := object{
			"operationId": o.id + "EngineV1alpha1",
			"description": o.description,
			"tags":        []string{"engine_v1alpha1"},
			"responses":   object{"200": object{"description": "OK"}, "401": object{"description": "Unauthorized"}},
		}
		if len(o.query) > 0 {
			described["parameters"] = parameters("query", o.query, typed)
		}
		item[o.method] = described
	}
	return all
}

func pathParameters(path string, typed func(object)) []object {
	var names []string
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") {
			names = append(names, strings.Trim(part, "{}"))
		}
	}
	return parameters("path", names, typed)
}

func parameters(in string, names []string, typed func(object)) []object {
	all := make([]object, 0, len(names))
	for _, name := range names {
		p := object{"name": name, "in": in}
		if in == "path" {
			p["required"] = true
		}
		typed(p)
		all = append(all, p)
	}
	return all
}
