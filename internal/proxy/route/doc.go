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

// Package route takes the proxy's paths apart, once: what was judged is what is served.
// They are those of an aggregated API server:
//
//	/apis/engine.dockercontrol.dev/v1alpha1/{segment}                                         over all namespaces
//	/apis/engine.dockercontrol.dev/v1alpha1/namespaces/{ns}/{segment}                         over the hosts of one
//	/apis/engine.dockercontrol.dev/v1alpha1/namespaces/{ns}/dockerhosts/{host}/{segment}[/{object}[/{action}]]
//	/apis/engine.dockercontrol.dev/v1alpha1/namespaces/{ns}/dockerhosts/{host}/proxy/...      the Docker Engine API
//
// Objects are escaped once, a slash in an image's name as %2F. Below proxy/ nothing is
// decoded: internal/access does that.
package route
