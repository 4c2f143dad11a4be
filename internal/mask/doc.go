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

// Package mask takes out of an engine's answers what may be secret, for callers who may look at a thing but lack the
// right "inspect": a Viewer needs the answers, since stock clients inspect before they show logs, and must not get the
// passwords in them. Pure functions of bytes; the proxy sends answers through them, and items of merged lists.
//
// # An allow-list
//
// A policy is a list of the fields that are seen (table.go and fields_*.go: these tables are what a reviewer reads).
// Whatever is not in it is masked, so that a field which a newer engine brings is hidden until somebody decides. What is
// masked keeps its name and its JSON type, because typed clients decode the answer: a string becomes "", a number 0, a
// bool false, an array [], an object {}, and null stays. So the docker CLI and the SDKs work, and print nothing there.
// Where people should see that there is something, the text is "(masked)": a container's command, an error, a join token.
// Environments keep the names ("PASSWORD=(masked)"), and labels the keys.
//
// In short, by what carries it:
//
//	| seen                                                   | masked                                                |
//	|--------------------------------------------------------|-------------------------------------------------------|
//	| ids, names, image references and digests, times        | command lines: Path, Args, Cmd, Entrypoint, Shell,    |
//	| states, exit codes, counters, sizes, versions          |   OnBuild, a health check's Test, image history,      |
//	| health: status, streak, exit code and time of each run |   build cache descriptions, exec_create in events     |
//	| ports, networks, addresses, aliases                    | health check output; errors that quote commands       |
//	| mounts: type, volume, place in the container           | paths on the host: Source, Binds, LogPath, Mountpoint |
//	| limits, restart policy, privileges, capabilities       | options of every driver: log, volume, network, IPAM,  |
//	| names of environment variables                         |   storage, devices; sysctls, security options         |
//	| keys of labels                                         | values of environment variables                       |
//	| values of labels that say what a thing belongs to      | values of all other labels; annotations               |
//	| names of drivers, plugins, runtimes, secrets, configs  | data of configs and secrets; templates' options       |
//	| public certificates of the swarm                       | join tokens, the CA's key, external CAs               |
//	| the engine's own task errors (no suitable node ...)    | proxies, mirrors, warnings, the engine's own options  |
//	|                                                        | ids of execs; placement constraints; identities       |
//
// Labels are configuration to many programs (password hashes of a reverse proxy, credentials of a backup), so their values
// are hidden but for those of Compose, stacks, swarms and image versions that say what belongs together (action.go).
// Placement constraints quote labels of nodes. Compose's config-hash goes too: a weak password can be guessed with it.
//
// # What a Viewer sees by design
//
// Names are not secrets: of objects, label keys, environment variables, users, folders in a container. Nor are log lines
// and stats, which are rights of their own. A secret in an image's tag or a container's name is seen by everybody.
// An engine's filters compare with the real values, and would confirm what somebody guessed; CheckFilters says which ones
// may reach it. The selector of a merged list looks at labels after masking.
//
// Not masked, since nothing in them is anybody's input: /version, /_ping, stats. An error of an engine ({"message": ...})
// goes through as it is, bounded by who sends it on: it speaks of the caller's own request.
//
// # Rewriting
//
// Answers are rewritten token by token: numbers stay as they are written (64-bit integers, 1e400), keys in their order.
// Of several members of one name each is judged. Names are compared as they stand, so that "env" or "\u0045nv", which
// many clients take for Env, are unknown and masked. Invalid UTF-8 is replaced.
// The answer is written as it comes, beginning with its end or 32 KiB of it; what is not JSON ends it with ErrMalformed,
// and nothing that was not judged is ever written. Where something was, the status is sent: the connection has to be cut.
//
// # Bounds
//
// Memory is a buffer of 32 KiB for reading, two for writing, and a token at most: 4 MiB. Nesting ends at 64. The length of
// an answer has no bound here; an item of a list is masked without allocating.
//
// # For the caller
//
// Ask engines for no compression (a compressed answer is no JSON and fails), and drop Content-Length, ETag, digests and
// trailers of what is masked. Flush each write of an operation that streams. An operation without a policy (For says
// false) must be refused. Only answers with status 200 are of the policy's shape.
package mask
