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

// Package swarm tests SwarmServices on a real swarm: three managers, each in a machine of
// its own, one DockerHost each, a real API server, and a manager of ours in the test's
// process.
//
// All tests share this one swarm, since it takes seconds to make. Those that only have
// services of their own on it run at once; after them, one by one, those that take nodes
// away, of which those run at once that share one outage. Each leaves the swarm whole.
// What needs thousands of services, or an engine that fails at one call of many, is
// tested on simulated swarms, in controllers.
//
// The machines reach each other and no registry but a test's own, so every engine has the
// image before the first test. The kernel of a test machine may have no IPVS: virtual
// addresses and ingress ports are written and reported here, and never connected to.
package swarm
