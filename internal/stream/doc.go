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

// Package stream shares what engines stream between those who look at it: logs, statistics
// and events, and holds the sessions of exec and attach. It knows no HTTP; internal/proxy
// puts requests and WebSockets on it.
//
// # Logs
//
// A container's log is read once a replica while somebody looks (logHub), and the upstream
// ends Limits.Linger after the last viewer. Records are split, counted, joined to lines and
// copied once into chunks, which never change; viewers (LogViewer) are places in that list
// of chunks. So a viewer costs a wake-up each 20 to 100 ms, the rarer the more viewers, and
// nothing a line, and one that is slow costs nobody else anything: its lines are kept as
// long as the hub's chunks take no more than Limits.QueueBytes, and then it gets a gap that
// says how many are missing.
//
// What a viewer wants of the past comes out of the ring (1000 lines, 1 MiB), or, where that
// does not reach far enough, by a read of the viewer's own, until it meets the ring.
//
// A Cursor is a place in the log that every replica finds again. Both a client that comes
// back and a hub whose upstream broke read from two seconds earlier: the client to the
// cursor's record, the hub by what it has counted of each time. Engines say of no record
// which one it is, hence these bounds:
//
//   - Where the place was rotated away there is a gap of unknown size, never silence. A log
//     that has less than two seconds of lines behind a lost place is held back until 5 s of
//     quiet have shown that the place will not come.
//   - Two records with one time, stream and text are taken for a repetition of dockerd's
//     when it rotates, unless the engine knows whole seconds only, or they are parts of one
//     line. What dockerd loses when it rotates under a fast writer nobody can bring back.
//   - Engines with whole seconds (Podman) are told apart by counting within a second. A
//     cursor out of the first second of a read with Tail can then be ambiguous among equal
//     lines, and repeat some.
//   - On a terminal the parts of a long line are found by their timestamps; a line that one
//     run of a container left without a newline is joined to the first of the next run when
//     the log is read again.
//
// A merged stream (MergedViewer) holds a line back for 100 ms at most, for an earlier one of
// another source; what comes later than that is out of order, but there.
package stream
