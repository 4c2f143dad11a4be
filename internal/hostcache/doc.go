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

// Package hostcache keeps a connection to every declared Docker host, and an
// inventory of what runs there.
//
// A Cache is told of hosts (Set, Delete) and tells what it knows of them (State,
// Engine, List, Watch, Events). None of its methods waits for a host: each host
// has an accessor with a goroutine of its own, which dials, probes, follows the
// engine's events and lists. Who acts on changes is told of them (Notify,
// Source, SwarmSource) and never polls; a lost connection is such a change, not an error to
// retry.
//
// # A connection
//
// Credentials are read once, for all attempts with one configuration, and judged
// before anything is dialled. Then: ping (which negotiates the API version),
// version and info, the event stream, the list of containers, the events that came
// meanwhile; then the host is Connected. Images, networks and volumes are listed
// beside it, and may be late.
//
// A probe is a ping each interval. Failures below the threshold change nothing
// but the age of listings. An event stream that ends is a probe now: three that
// fail within a second decide, one that succeeds reopens the stream where it
// ended and lists everything again. A lost host is dialled each second for half
// a minute, then ever more rarely, down to once an interval.
//
// # Trade-offs
//
//   - A lost host keeps its last inventory: List returns it together with the
//     error. Listing.ObservedAt is honest about it, also while a probe fails or an
//     event waits to be applied.
//   - An event only says what to list again. Lists are the truth; an engine whose
//     events lie or get lost is wrong until the next relist (5 minutes), not for
//     ever. What an event says was destroyed is dropped at once.
//   - One list a kind is in flight per host, whatever the number of events. Each
//     host has its own; there is no pool that hosts that hang could fill. Only the
//     beginning of connections is limited across hosts, by MaxConcurrentDials,
//     where a host that hangs stops counting after DialGrace.
//   - Inventories are sorted slices that readers share and writers copy when they
//     have been handed out: half the memory of maps, and a list request costs
//     nothing. The price is a copy of 160 bytes an object when a host changes while
//     it is being looked at.
//   - Services, tasks and nodes are listed once a swarm and namespace, through one
//     of its connected managers at a time.
//   - Engines whose ID changes from answer to answer (Podman) count as having none.
//
// # Bounds
//
// 200,000 objects a host (MaxObjects); 10,000 events or 16 MiB between the
// reader and the accessor, then a relist; 5,000 events a second, above which the
// engine waits; 10,000 events or 16 MiB for those who follow Events, and nothing
// while nobody does; 1,000 changes for a watcher, then a Resync; one goroutine
// for a host and one for its event stream, and at most five calls in flight.
package hostcache
