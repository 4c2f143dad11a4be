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

// Package heads keeps the heads of audit chains in Leases, so that records cut off
// the end of a trail's files show.
//
// Each process that writes a trail publishes the head of its chain every 10 s where
// it changed, and once more at its end, in a Lease of its own in the manager's
// namespace: dockercontrol-audit-<the chain's random part>, labelled
// dockercontrol.dev/audit-head. The head is in an annotation, signed with a key that
// is not in the namespace's Leases. While nothing is recorded nothing is written, but
// for a renewal a day.
//
// # What it is worth
//
// Who can write Leases and files, and has no key, can put back an older head of the same
// chain, or delete the Lease, and then cut the trail down to that. While the process
// lives it notices both at its next write: it puts its head back and says so in the
// log. To be safe against more, keep the heads elsewhere ("manager audit heads").
// Records of the last 10 s before a crash may be cut without a trace.
//
// # Bounds
//
// Leases are deleted when their last renewal is 90 days ago, and the oldest when there
// are more than 200: about what ten starts a day leave in three weeks. Each process
// looks at its start and once a day. A write that fails is tried again at the next
// tick.
package heads
