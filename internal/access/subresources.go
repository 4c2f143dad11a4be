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

import "slices"

// API groups whose rules name "dockerhosts/<subresource>".
const (
	// Group is the group of the kinds. The proxy reviews rights in this group, and in no other.
	Group = "dockercontrol.dev"
	// EngineGroup is the group of the proxy's paths. A kube-apiserver that aggregates them reviews there,
	// by path segment and HTTP method, before the proxy reviews the right itself.
	EngineGroup = "engine.dockercontrol.dev"
	// Resource is the resource whose subresources are the rights.
	Resource = "dockerhosts"
)

// Subresource is what follows the slash in "dockerhosts/<subresource>".
type Subresource string

// The subresources. A verb in brackets is the one that the right has in RBAC.
const (
	// Attach is a container's standard streams (create).
	Attach Subresource = "attach"
	// Build is image builds, their sessions and their cache.
	Build Subresource = "build"
	// Configs is changes to a swarm's configs; they are read as Services, and their data with Inspect.
	Configs Subresource = "configs"
	// Containers is lists and inspection (get), lifecycle (update), definition (create, patch) and removal (delete).
	Containers Subresource = "containers"
	// Copy is files out of a container (get) and into it (create).
	Copy Subresource = "copy"
	// Events is the engine's event stream (get).
	Events Subresource = "events"
	// Exec is commands in a container (create).
	Exec Subresource = "exec"
	// Export is a container's file system or an image as an archive (get).
	Export Subresource = "export"
	// Images is lists and inspection (get), pulls (create), load, import, tag, push, commit (update) and removal (delete).
	Images Subresource = "images"
	// Info is the engine's description, version and disk usage (get).
	Info Subresource = "info"
	// Inspect is what is masked without it: environment values, process lists, file changes, config data (get).
	Inspect Subresource = "inspect"
	// Log is the output of containers, services and tasks (get).
	Log Subresource = "log"
	// Networks is lists and inspection (get), definition (create), connections (update) and removal (delete).
	Networks Subresource = "networks"
	// Nodes is a swarm's nodes (get), their labels and availability (update) and removal (delete).
	Nodes Subresource = "nodes"
	// Plugins is the engine's plugins, which run as root on the host.
	Plugins Subresource = "plugins"
	// Proxy is the path of the pass-through, a door that alone grants nothing: the right behind it is reviewed too.
	Proxy Subresource = "proxy"
	// Raw is every request that the table does not know.
	Raw Subresource = "raw"
	// Registry is what the engine asks a registry for a caller: login (create), search and manifests (get).
	Registry Subresource = "registry"
	// Secrets is a swarm's secrets, whose data the engine never returns.
	Secrets Subresource = "secrets"
	// Services is lists and inspection of services and configs (get), scale, rollback and force by the typed
	// actions (update), whole specs (create, patch) and removal (delete).
	Services Subresource = "services"
	// Stats is a container's resource usage (get).
	Stats Subresource = "stats"
	// Swarm is the swarm itself with its join tokens and its unlock key.
	Swarm Subresource = "swarm"
	// Tasks is lists and inspection of tasks (get).
	Tasks Subresource = "tasks"
	// Volumes is lists and inspection (get), definition (create, update) and removal (delete).
	Volumes Subresource = "volumes"
)

var subresources = []Subresource{
	Attach, Build, Configs, Containers, Copy, Events, Exec, Export, Images, Info, Inspect, Log, Networks, Nodes,
	Plugins, Proxy, Raw, Registry, Secrets, Services, Stats, Swarm, Tasks, Volumes,
}

// Segments of the proxy's paths that are no rights: what is behind them takes several, or another one. A
// kube-apiserver that aggregates the paths asks for them in EngineGroup all the same; nobody else ever does.
const (
	// JobsDoor is what runs for long: to look at (get) and to cancel (delete).
	JobsDoor Subresource = "jobs"
	// PruneDoor is the removal of what is unused (create).
	PruneDoor Subresource = "prune"
	// SystemDoor is the disk usage, for who has Info (get).
	SystemDoor Subresource = "system"
)

var doors = []Subresource{JobsDoor, PruneDoor, SystemDoor}

// Doors returns the segments of paths that are no rights, in alphabetical order.
func Doors() []Subresource {
	return slices.Clone(doors)
}

// Subresources returns every subresource, in alphabetical order.
func Subresources() []Subresource {
	return slices.Clone(subresources)
}

// Verb is a verb of RBAC, as far as subresources have any.
type Verb string

// The verbs. List and watch are not among them: a list of one host's containers is a get of its subresource.
const (
	Create Verb = "create"
	Delete Verb = "delete"
	Get    Verb = "get"
	Patch  Verb = "patch"
	Update Verb = "update"
)

var verbs = []Verb{Create, Delete, Get, Patch, Update}

// Verbs returns every verb, in alphabetical order.
func Verbs() []Verb {
	return slices.Clone(verbs)
}

// Right is a verb on a subresource of a DockerHost.
type Right struct {
	Subresource Subresource
	Verb        Verb
}

// PrivilegedExec is the right that an exec with the privileges of the host asks for, besides its own. It is
// the one to create containers: whoever may make a privileged container may as well run in one.
var PrivilegedExec = Right{Containers, Create}
