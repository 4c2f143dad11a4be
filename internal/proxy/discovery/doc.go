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

// Package discovery serves the documents that a kube-apiserver asks of a server whose
// paths it aggregates: what groups and resources there are, and their OpenAPI. They tell
// nothing that depends on the caller or on a host, so every authenticated caller may read
// them.
//
// # What the documents say, and what they leave out
//
// The resources are the subresources of a DockerHost that the paths have, with the verbs
// get and create. There is no resource of its own, and none that can be listed or deleted:
// a namespace that goes takes everything with it that its discovery calls deletable, and
// would delete containers. What a request may do is decided by RBAC and by the proxy,
// whatever these documents say.
//
// The OpenAPI documents describe paths and parameters. They have no schemas: the bodies
// are the Docker Engine API's, which has documents of its own, and definitions here would
// be merged into those of the cluster.
//
// # Bounds
//
// All documents are made once, at New, and have some kilobytes. Nothing is read from a
// request but method, path, Accept and If-None-Match.
package discovery
