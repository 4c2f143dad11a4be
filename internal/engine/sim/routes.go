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

// routes are tried in this order.
var routes []route

func init() {
	routes = []route{
		on(http.MethodGet, "/_ping", (*Engine).servePing),
		on(http.MethodGet, "/version", (*Engine).serveVersion),
		on(http.MethodGet, "/info", (*Engine).serveInfo),
		on(http.MethodGet, "/events", (*Engine).serveEvents),

		on(http.MethodGet, "/containers/json", (*Engine).serveContainers),
		on(http.MethodGet, "/images/json", (*Engine).serveImages),
		on(http.MethodGet, "/volumes", (*Engine).serveVolumes),
		on(http.MethodGet, "/networks", (*Engine).serveNetworks),
		on(http.MethodGet, "/networks/{name}", (*Engine).serveNetworkInspect),
	}
}
