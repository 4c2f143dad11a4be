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

package sim

import "net/http"

// routes are tried in this order. {name} takes slashes, so what is longer comes first.
var routes []route

func init() {
	const get, post, remove = http.MethodGet, http.MethodPost, http.MethodDelete
	routes = []route{
		on(get, "/_ping", (*Engine).servePing),
		on(get, "/version", (*Engine).serveVersion),
		on(get, "/info", (*Engine).serveInfo),
		on(get, "/events", (*Engine).serveEvents),
		on(get, "/system/df", (*Engine).serveDiskUsage),
		on(post, "/build/prune", (*Engine).serveBuildPrune),

		on(get, "/containers/json", (*Engine).serveContainers),
		on(get, "/containers/{name}/json", (*Engine).serveContainerInspect),
		on(get, "/containers/{name}/top", (*Engine).serveTop),
		on(get, "/containers/{name}/changes", (*Engine).serveChanges),
		on(get, "/containers/{name}/logs", (*Engine).serveLogs),
		on(get, "/containers/{name}/stats", (*Engine).serveStats),
		on(post, "/containers/prune", (*Engine).serveContainersPrune),
		on(post, "/containers/create", (*Engine).serveContainerCreate),
		on(post, "/containers/{name}/kill", (*Engine).serveKill),
		on(post, "/containers/{name}/pause", (*Engine).servePause),
		on(post, "/containers/{name}/unpause", (*Engine).serveUnpause),
		on(post, "/containers/{name}/restart", (*Engine).serveRestart),
		on(post, "/containers/{name}/start", (*Engine).serveStart),
		on(post, "/containers/{name}/stop", (*Engine).serveStop),
		on(post, "/containers/{name}/wait", (*Engine).serveWait),
		on(post, "/containers/{name}/resize", (*Engine).serveResize),
		on(post, "/containers/{name}/attach", (*Engine).serveAttach),
		on(post, "/containers/{name}/exec", (*Engine).serveExecCreate),
		on(post, "/containers/{name}/rename", (*Engine).serveRename),
		on(remove, "/containers/{name}", (*Engine).serveRemove),

		on(get, "/exec/{name}/json", (*Engine).serveExecInspect),
		on(post, "/exec/{name}/start", (*Engine).serveExecStart),
		on(post, "/exec/{name}/resize", (*Engine).serveExecResize),

		on(get, "/images/json", (*Engine).serveImages),
		on(get, "/images/{name}/history", (*Engine).serveImageHistory),
		on(get, "/images/{name}/json", (*Engine).serveImageInspect),
		on(post, "/images/prune", (*Engine).serveImagesPrune),
		on(post, "/images/create", (*Engine).serveImageCreate),
		on(post, "/images/{name}/tag", (*Engine).serveImageTag),
		on(remove, "/images/{name}", (*Engine).serveImageRemove),

		on(get, "/distribution/{name}/json", serveNothing), // there is no registry; it is here to be counted

		on(get, "/volumes", (*Engine).serveVolumes),
		on(get, "/volumes/{name}", (*Engine).serveVolumeInspect),
		on(post, "/volumes/prune", (*Engine).serveVolumesPrune),
		on(post, "/volumes/create", (*Engine).serveVolumeCreate),
		on(remove, "/volumes/{name}", (*Engine).serveVolumeRemove),

		on(get, "/networks", (*Engine).serveNetworks),
		on(get, "/networks/{name}", (*Engine).serveNetworkInspect),
		on(post, "/networks/prune", (*Engine).serveNetworksPrune),
		on(post, "/networks/create", (*Engine).serveNetworkCreate),
		on(post, "/networks/{name}/connect", (*Engine).serveNetworkConnect),
		on(post, "/networks/{name}/disconnect", (*Engine).serveNetworkDisconnect),
		on(remove, "/networks/{name}", (*Engine).serveNetworkRemove),

		on(get, "/swarm", managed((*Swarm).inspect)),
		on(get, "/services", managed((*Swarm).listServices)),
		on(get, "/services/{name}", managed((*Swarm).inspectService)),
		on(post, "/services/create", withNetworks((*Swarm).createService)),
		on(post, "/services/{name}/update", withNetworks((*Swarm).updateService)),
		on(remove, "/services/{name}", managed((*Swarm).removeService)),
		on(get, "/tasks", managed((*Swarm).listTasks)),
		on(get, "/tasks/{name}", managed((*Swarm).inspectTask)),
		on(get, "/nodes", managed((*Swarm).listNodes)),
		on(get, "/nodes/{name}", managed((*Swarm).inspectNode)),
		on(post, "/nodes/{name}/update", withBody((*Swarm).updateNode)),
		on(get, "/secrets", managed(listFiles(secretFiles))),
		on(get, "/secrets/{name}", managed(inspectFile(secretFiles))),
		on(post, "/secrets/create", withBody((*Swarm).createSecret)),
		on(remove, "/secrets/{name}", managed(removeFile(secretFiles))),
		on(get, "/configs", managed(listFiles(configFiles))),
		on(get, "/configs/{name}", managed(inspectFile(configFiles))),
		on(post, "/configs/create", withBody((*Swarm).createConfig)),
		on(remove, "/configs/{name}", managed(removeFile(configFiles))),
	}
}
