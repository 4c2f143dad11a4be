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

// Package audit keeps on record who did what to which engine: every change and
// every session, every denied request, and every action of a controller.
//
// There is one Record type and there are two sinks. Trail writes JSON lines: the
// evidence, complete, and able to refuse. Notifier writes Kubernetes Events on the
// DockerHost or SwarmService: a notification, bounded in rate, that never refuses.
// Multi joins
// them, the evidence first. Do puts both around an action: it records the
// intention, acts only if that was stored, and records the outcome. So an action
// has two lines, "allowed" and then "succeeded" or "failed", with one requestID; an
// "allowed" without its second line is an action during which the process died.
// DoSession does the same for what has numbers at its end, such as an exec.
//
// Denied requests are recorded one by one where somebody authenticated sent them:
// what bounds those is the proxy's limit of requests a user. Where nobody did, the
// Collapser counts them by source and minute.
//
// # What may not enter
//
// A record holds names and closed sets of words, never the text of an error or any
// part of a request's body, so that no secret value can be in it. The exception is
// the command of an exec, for the record of an exec is worth little without it: what
// is secret does not belong on a command line. Of its environment the names are
// recorded. Reason is a
// word in CamelCase; anything else becomes "Unspecified". Names come from outside:
// they are cut at a length, and characters that steer a terminal are replaced.
//
// # The chain
//
// Each line of a Trail carries a sequence number, the MAC of the line before, and a
// MAC (HMAC-SHA256) over its own bytes. A chain begins with a start line at every
// start of a process, names the replica, and says which line the file ended with,
// so that chains of one file hang together. Verify finds what was edited, removed,
// reordered or put in. A cut tail leaves a chain that is whole in itself: it shows
// only against a Head that was kept elsewhere: package heads signs it into a Lease,
// and Check judges by it. The same holds for the oldest files, which rotation removes
// on purpose: Summary tells where each chain begins. Whoever has the key can forge a
// chain. A chain keeps the key it began with; a process that starts after a new
// version came begins with that.
//
// # Searching
//
// Query reads the files backwards, beside the writer, and answers in pages. It is an
// aid, not the evidence: it checks no MAC, and it sees the trail of its own replica.
//
// # When a record counts as written
//
// Record returns when the operating system has the line: a crash of the process
// loses nothing that was acknowledged. The file is synced to disk a second after
// the first unsynced line, at rotation and on Close, so a crash of the machine can
// lose the last second. To sync each line would cost every change the disk's
// latency twice over. Standard output is not synced; it is as durable as who
// collects it.
//
// # Bounds
//
// A line has at most 64 KiB, a command in it 4 KiB. A page of a Query reads 64 MiB or 2 s
// at most, two at once. A Trail keeps MaxFiles files of MaxSize bytes. One
// goroutine owns file and chain, so that no lock is held across I/O; a caller waits
// for it 5 s at most and is then refused. Rotation is written here and not taken
// from lumberjack, whose latest release never ends its goroutine and keeps no word
// of what a write did to the file, which the chain must know.
package audit
