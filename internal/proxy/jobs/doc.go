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

// Package jobs runs what takes longer than a request should: pulls, prunes,
// recreations. A job outlives the caller who began it, and can be looked up until an
// hour after its end:
//
//	GET    .../dockerhosts/{host}/jobs               those that the caller may see
//	GET    .../dockerhosts/{host}/jobs/{id}          one; ?watch=true follows it, one JSON object a line
//	DELETE .../dockerhosts/{host}/jobs/{id}          cancels it
//
// A job is seen and canceled by who began it, and by whoever holds every right that it
// took. Those rights are reviewed when it begins; a job that runs is not ended by their
// loss, as what an engine was told to do half is worse than done.
//
// # Replicas
//
// Jobs are in the memory of the replica that was asked: a restart forgets them, though
// it lets them finish first (ShutdownTimeout), and a list has those of the replica that
// answers. A job's id names its replica, so another one can hand the request on
// (Options.Forward), or say whom to ask: without Forward, which the manager does not set
// yet, that is a 404 with the cause OtherReplica and Retry-After. Behind a balancer a
// client asks again until it comes to the right one, or follows the job in the request
// that began it (?wait=true), which needs no other.
//
// # Ends
//
// Start owns every goroutine. When its context ends, no job begins any more; those that
// run have ShutdownTimeout, then their contexts end. A job that must put something back
// does so with Cleanup's context, which is bounded by CleanupTimeout and by nothing else.
//
// # Bounds
//
// 5 running jobs a user and 200 in all, 6 hours each, 1,000 ended ones, the oldest forgotten first;
// progress and result of 64 KiB each, beyond which they are left out. A watcher that is
// slow sees fewer lines, each the newest state; a watch ends with the caller's credentials,
// and of others than the owner with their rights (Handler.Guard).
package jobs
