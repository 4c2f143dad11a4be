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

// Package controlplane runs the Kubernetes control plane of a standalone installation inside this process: etcd, a
// whole kube-apiserver and those loops of the controller-manager that matter where there are no nodes.
//
// # Trade-offs
//
// The API server is the real one, with CRDs, RBAC, admission policies, TokenRequest, events, leases and
// aggregation, because everything above it is written and tested against the real one. Of the controller-manager
// only ten loops run (see loops), built here from their own packages: linking the whole of it would double the loops'
// code for controllers that have nothing to do without nodes and pods.
//
// kube-apiserver keeps its feature gates, metrics and API schemes in process globals, and ends the process
// (klog.Fatal) when one of its start hooks fails. So there is at most one [ControlPlane] in a process,
// started once, and tests run it as a child process.
//
// etcd has one member, which listens on a unix socket inside its 0700 directory only: no port to collide or to
// defend, no certificates to renew. Every write is synced; a crash loses nothing that was acknowledged.
//
// # Who may do what
//
// The loops share the API server's loopback identity, which is all-powerful, where a cluster gives each its own: they
// live in the same address space as the authorizer. One does not, the autoscaler: it scales whatever somebody who may
// create a HorizontalPodAutoscaler names, so it acts as the ServiceAccount that a cluster's controller-manager scales
// with, and may scale a SwarmService where that was allowed to.
//
// # Bounds
//
// Start waits as long as its context. Stop takes at most stopGrace for each part, then goes on with the next. The
// loopback certificate inside the API server lives three years and is made at each start: a process that runs longer
// has to be restarted.
package controlplane
