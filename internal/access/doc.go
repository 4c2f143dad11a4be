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

// Package access says who may do what on an engine: what a role stands for in Kubernetes RBAC, and which
// right a request of the Docker Engine API asks for. Pure functions of their arguments; the proxy asks the
// questions, the controller writes the Roles.
//
// # Rights
//
// A right is a verb on a subresource of a DockerHost ("create" on "dockerhosts/exec"). Subresources
// lists them all, because RBAC has no "dockerhosts/*". RulesFor turns a role and the names of hosts into
// the rules of a Role; ManagerRules is what the manager must hold itself to be let write such a Role.
//
// # Classification
//
// Classify takes a request of the Docker Engine API as it came over the wire and returns the right it asks for,
// together with the path and query to forward. Both come from one decoding: the canonical form is made out of
// what was classified, so the engine cannot read something else into it than was judged here. The trade-off:
// what has two readings is refused rather than repaired ("//", dot segments, a trailing slash, a parameter given
// twice, a form in the body), though some engine would have answered it. The engine's own redirects for
// unclean paths are thus never needed.
//
// The table in operations.go has one line an operation, in the order in which the engine tries its routes, because
// "{name...}" takes slashes with it: GET /containers/a/top/json inspects a container named "a/top". What no
// line matches asks for the subresource "raw", which only an Admin has.
//
// API versions below 1.40 are refused. They are not just old: until 1.23 "start" took a host
// configuration in its body, and with it whoever may start a container could have made it a privileged one.
//
// What a path does not tell: ExecCreateNeedsAdmin looks into the body of an exec's creation. Ids of execs are
// handed out signed for user and host (Sign, Open), so that the right to exec does not start another's exec.
//
// # Bounds
//
// A path has at most 2 KiB, a query 64 KiB and 1024 parameters, the body of an exec's creation 1 MiB, a signed
// id 512 bytes. Errors name parameters and never their values: a query may hold secrets (build arguments).
package access
