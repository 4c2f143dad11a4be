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

// Package e2e tests the manager against a real API server and real engines: what
// a user sees of a DockerHost when everything is well, and what of each fault.
//
// Faults that only a bad engine can show are shown by the testbed's servers, and
// those that need sizes no real engine reaches here by a simulated one; each test
// says which.
package e2e
