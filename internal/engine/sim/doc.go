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

// Package sim is a simulated Docker engine. It serves the Engine's real HTTP API,
// so that whatever talks to dockerd talks to it over a socket unchanged: for
// tests at a scale and with faults that real engines cannot give. bin/enginesim
// serves thousands in one process.
//
// # What it is held to
//
// It behaves as Docker 20.10 (API 1.41) does where internal/engine/enginetest
// looks, and answers with that version's JSON, statuses, words and order of
// events. Options.APIVersion makes it a newer engine, up to 1.56: what left or
// joined the JSON since then follows the version that a request names.
//
// # What it is not
//
// Nothing runs. A container's command is interpreted: sh with a bounded subset of
// its language (lists, pipes, loops, if, traps, $(...), $((...)), redirections
// between the streams), and the commands of the table in commands.go. A program
// that is not there fails to start, as it does in an engine; a script outside the
// subset ends with 127 and says what is not simulated. There is no file system:
// the tar of an image is measured and forgotten. Networks, ports and mounts are
// bookkeeping. Statistics follow from a container's id and age.
//
// These parts of the API answer 404, as an unknown path does: build, commit, copy
// and archive, export, save and load, update, search and distribution, plugins,
// auth, session; a swarm's init, join, leave and unlock. Pulling fails as with no
// registry; no file of a container ever changes; a prune does not look at times. Health checks, memory limits and
// OOM kills, and restarts after the engine's own are not simulated. A swarm has no
// secrets or configs of its own making, no resources to run out of, and no ports
// that answer; its networks have no subnets of their own, and no task or container
// joins one.
//
// # Scale
//
// An engine that nobody asks costs about 40 KB with 50 containers and one
// goroutine a listener. Generated containers share their configuration and have
// no process until something needs one; a command that only waits is a timer; a
// script is a goroutine while it runs. What follows from an id is derived when
// asked for. Bounds: 256 events, 1,024 undelivered ones a reader, 16 MiB of log a
// container, 256 ended execs.
//
// # Faults
//
// SetFault changes at run time what is wrong: see Fault and the modes. Black holes
// and refusals are of connections, so they need Serve; the others work for an
// Engine used as a plain http.Handler too. Restart and Cut are the rest.
//
// # Locks
//
// Engine.mu guards an engine's objects; events are published under it, so that
// they come in the order of the changes. Swarm.mu guards a swarm's; neither is
// taken under the other. No lock is held while a client is written to or a
// process is waited for.
package sim
