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

// Package bench measures what docs/benchmarks.md tells: how soon the manager sees
// that a real engine comes, dies and returns, what a fleet of a thousand engines
// costs it, how long an engine's event takes to the inventory, what the proxy adds to an
// engine's own TLS listener, and what streams cost with many viewers. hack/bench.sh
// (make bench) builds what is measured, runs it and prints one table.
//
// It never fails on a number: numbers depend on the machine. It fails where
// something did not happen at all.
//
// The manager, the simulated engines, etcd and kube-apiserver are processes of
// their own, as in real life, so that their CPU and memory can be told apart. What
// the manager says is taken off an API server's watch at the time it arrives; so
// every figure has in it what a user waits for. Beside each stands a reference of
// the same run: the bare engine or the bare API server asked for about the same,
// for what the machine was worth at that moment.
//
// Measured in this process are the reference calls, what a client of the proxy sees,
// and the way of an event through internal/hostcache over internal/engine/moby, since
// no API tells when an inventory changed. The engine that does nothing (null_test.go) is
// this program again, with --null-engine; so is the writer of a log in a container
// (logwriter_test.go), with --be-writer.
package bench
