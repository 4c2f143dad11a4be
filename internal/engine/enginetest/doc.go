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

// Package enginetest is the contract of engine.Engine: one suite that a real
// dockerd, Podman and the simulated engine are held to. Where this suite passes
// an engine is what the rest of the project takes it for; in particular the
// simulation counts as far as it passes here, and no further.
//
// Run takes a Fixture: an engine, and what it is able to do. Implementations
// differ on purpose in a few things. A Fixture declares such a Difference with
// its reason, and the suite then asserts the other behaviour: nothing is skipped,
// and a difference that went away is a failure too.
//
// The suite changes the engine it is given: it takes one of its own, with no
// other writer, because it compares counts before and after. Each test removes
// what it made.
package enginetest
