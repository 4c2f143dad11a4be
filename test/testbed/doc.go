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

// Package testbed starts the real parts that tests run against: Docker engines of
// the distribution and of the newest release, Podman, OpenSSH, certificates of a
// CA of its own, and servers that misbehave as real ones do.
//
// # One machine a daemon
//
// Each engine runs in a Machine: network, process, mount and host name
// namespaces of its own. Two dockerds in one network namespace would delete each
// other's bridge; and since everything started in a process namespace dies with
// its first process, nothing outlives a test, not even one that was killed: that
// first process ends when the pipe it reads from its test is closed. Mounts,
// interfaces, containers and their shims go with it. What stays of a killed test
// is files and empty cgroups; they stand under a numbered slot that is locked
// while it is in use, and the next test that takes the slot removes them.
//
// The daemons need root and programs of Debian's packages (hack/install-deps.sh
// test). What is missing fails the test with the package's name: a skipped test
// would look like a good one.
//
// # Addresses
//
// A unix socket of a Machine is reached through the file system. For tcp a
// machine has one end of a veth pair, in 198.18.0.0/15 (the range of RFC 2544 for
// measuring networks), so that an engine can be cut off without a word, as a
// pulled cable would do it. The engines of a swarm reach each other, and the
// registries that a test starts there, on a Network of the same range, and nothing
// else. OpenSSH and the misbehaving servers listen on
// loopback.
//
// # Logs
//
// A daemon's output is in the test's ArtifactDir; its end is printed where the
// test failed.
package testbed
