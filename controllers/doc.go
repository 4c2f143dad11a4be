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

// Package controllers reconciles the kinds of api/v1alpha1, one reconciler a job.
//
// A DockerHost has two. DockerHostConnectionReconciler runs on every replica: it
// reads the spec and the Secrets it names, and tells the host cache what to
// connect to. DockerHostReconciler runs on the leader: it writes what the cache
// learned into status, and Events when that is news. Neither polls: the first is
// woken by the API's watches, the second by the cache's Source.
//
// A HostPermission has one, on the leader: HostPermissionReconciler turns it into a
// Role and a RoleBinding. There is no finalizer: a HostPermission can be deleted while
// no manager runs, and the garbage collector then revokes it. ExpiredBindings keeps a
// replica from serving while a permission that has ended is in force.
//
// A SwarmService has one, on the leader: SwarmServiceReconciler keeps the service of a
// swarm what its object says, and reports how it fares. It reads what the host cache has
// listed, woken by the cache's SwarmSource, and calls an engine only to change something,
// or where the listing is known to be behind. SwarmInputs are what a spec refers to; each
// write to a swarm goes through SwarmAccess, which audits it. DockerHostDependantsReconciler
// holds a deleted DockerHost while SwarmServices need its connection.
//
// SwarmObjects is what a SwarmService refers to: it reads Secrets and ConfigMaps, makes
// secrets, configs and networks of the swarm, and collects those that nothing uses. One list
// of those on a swarm, at most each 30 s and only while somebody asks, serves all services
// on it. No content is kept.
//
// What to say is decided by pure functions (dockerhost_config.go,
// dockerhost_status.go, dockerhost_events.go, and their like for HostPermissions); the reconcilers only fetch, call
// them, and save. Events and counters come after the save.
package controllers
