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

// Package hostapi serves what runs on the hosts, for reading: lists, watches and single
// items of containers, images, volumes, networks, services, tasks and nodes, and what is
// known of an engine (info). All of it comes from hostcache's inventory: no engine is
// asked, so none is waited for.
//
// # Lists
//
// A list is a Kubernetes list; what an item holds of the engine (docker) is the engine's
// own JSON, byte for byte. No item is decoded, and a list is never whole in memory: blocks
// of about 128 KiB are made ready side by side, two for each core and 16 at most, and
// written in their order. Therefore metadata and failedHosts come behind the items. A
// client that stops reading for 10 s is cut, and a list that is cut never looks complete.
//
// Without a host in the path a list is merged over the hosts that the caller may read,
// sorted by namespace, host and id; who may read none gets an empty list. Services, tasks
// and nodes are there once a swarm: host is the manager through which the caller may read
// them, servedBy the one that was asked.
//
// Pages (limit, continue) go on after the last item; no snapshot is kept, so what comes
// and goes between two pages may be missed. A token is good for the same path and the
// same selectors.
//
// Who asks for a Table gets one (kubectl get), of lists only; kubectl takes a watch as it
// is.
//
// # Hosts that are lost
//
// The last inventory of a host that is not connected is old. A merged list has it, as a
// list of Pods has those of a node that is NotReady: each item says with observedAt how
// old it is, and the host stands in failedHosts with the reason of its status. Whoever
// wants nothing old asks with stale=false. One host that is lost is a 503 with the
// reason, unless asked with stale=true.
//
// # Who sees what
//
// The right to a kind is get on its subresource, reviewed before anything else is told:
// 403 comes before 404 and 400, and these before 503. Who lacks inspect (get) on a host
// gets its items masked. What cannot be masked is left out, and said to be (MaskingFailed
// in failedHosts). Label selectors look at the labels as they are masked, so that no
// value can be guessed by selecting. Of a watch the same holds: a change of what is
// masked is none.
//
// # Watches
//
// A watch sends ADDED for all there is, a BOOKMARK with Kubernetes' mark for the end of
// the initial events, then changes. DELETED names an item and has no docker. Each
// BOOKMARK has the hosts that failed at that time; one comes every 25 s, and one when
// these change. There is no going on from a version: a resourceVersion is answered with
// 410, and the client begins anew.
//
// A host that comes joins, one that goes or that the caller may not read any more is
// taken back item by item; both are seen within 2 s. A watch of one host ends with the
// right and with the host. What hostcache says anew (RESYNC) is compared with what the
// client has. While the kube-apiserver is away a watch lasts 30 s.
//
// # Bounds
//
// A watch costs a goroutine a host and some 100 bytes an item (10 MB for 50,000 containers
// on 1,000 hosts), 64 events that wait and 32 KiB of lines; behind these waits hostcache's
// own queue of each host, 1,000 changes and then a RESYNC. A client that takes nothing for
// 10 s is ended. Selectors are at most 4 KiB, continue tokens too. How many watches a
// caller may have is not bounded here.
//
// # Compression
//
// Answers above 128 KiB are compressed for those who take gzip, unless they are on this
// machine. Lists of containers shrink to a tenth or less; over a loopback the compressing
// and the unpacking would take longer than the bytes.
package hostapi
