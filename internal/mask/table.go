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

import "github.com/dockercontrol/dockercontrol/internal/engine"

// The tables of this file and of fields_*.go are all that a caller without Inspect sees: review a change as such.
// A field has a place here if it tells what there is, how it does and where it belongs, and cannot hold what somebody
// wrote into a command line, an environment, a file, an option or a path of the host.

// byOperation has every masked operation of the table in internal/access.
var byOperation = map[string]*Policy{
	"GET /containers/json":        compile(list(containerItem)),
	"GET /containers/{name}/json": compile(container),

	"GET /images/json":           compile(list(imageItem)),
	"GET /images/{name}/json":    compile(image),
	"GET /images/{name}/history": compile(list(imageLayer)),

	"GET /volumes":        compile(fields{"Volumes.*": volume}),
	"GET /volumes/{name}": compile(volume),

	"GET /networks":      compile(list(network)),
	"GET /networks/":     compile(list(network)),
	"GET /networks/{id}": compile(network),

	"GET /events":    compile(event),
	"GET /info":      compile(info),
	"GET /system/df": compile(diskUsage),

	"GET /swarm":         compile(cluster),
	"GET /services":      compile(list(service)),
	"GET /services/{id}": compile(service),
	"GET /tasks":         compile(list(task)),
	"GET /tasks/{id}":    compile(task),
	"GET /nodes":         compile(list(swarmNode)),
	"GET /nodes/{id}":    compile(swarmNode),
	"GET /secrets":       compile(list(secret)),
	"GET /secrets/{id}":  compile(secret),
	"GET /configs":       compile(list(secret)),
	"GET /configs/{id}":  compile(secret),

	"GET /plugins":             compile(list(plugin)),
	"GET /plugins/{name}/json": compile(plugin),
}

// byKind has every kind that an engine lists.
var byKind = map[engine.Kind]*Policy{
	engine.Containers: compile(containerItem),
	engine.Images:     compile(imageItem),
	engine.Volumes:    compile(volume),
	engine.Networks:   compile(network),
	engine.Services:   compile(service),
	engine.Tasks:      compile(task),
	engine.Nodes:      compile(swarmNode),
}

func list(item fields) fields { return fields{"*": item} }
