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

// Package engine says what a Docker engine is to the rest of the project: the
// Engine interface, the objects an engine lists, its events, its streams, and
// its errors by class.
//
// It holds types and pure functions only. It imports the standard library and
// the Docker API's data types; who dials is internal/engine/moby, and
// internal/engine/sim serves the same API for tests at scale. The contract both
// must keep is internal/engine/enginetest.
//
// Listed objects keep the engine's own JSON (Object.Raw) beside the few fields
// the project itself needs (id, name, labels, state): the JSON is carried to
// viewers byte for byte, and is never decoded and encoded again. It is also the
// smaller form: a decoded container summary takes about twice the memory.
package engine
