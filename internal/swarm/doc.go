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

// Package swarm turns a SwarmService into the engine's service spec and back, and says where the two differ.
// Pure functions of their arguments: whoever calls them looks up what a spec refers to, and writes what comes out.
//
//   - Build makes the engine's spec of ours. What it cannot do it says as Faults, each with the field and the
//     reason for a condition.
//   - Read makes ours of the engine's, for adoption and previews, and notes what ours cannot say.
//   - Desired.Diff lists the fields in which a service is not what its spec says; Desired.Merge is what to
//     write then.
//   - SecretName and ConfigName name what is made of Kubernetes Secrets and ConfigMaps.
//
// # What is drift
//
// The spec is the whole truth of a service: a variable, label or mount that was added by hand is drift, and a line
// taken out of the spec goes from the service too. But only what a spec means counts, not how the engine spells or
// fills it. Both sides are therefore flattened into the same leaves: one a field of ours, the engine's
// defaults filled in, lists without an order sorted, names in one spelling. Two specs are equal when their leaves
// are. These are no drift:
//
//   - defaults that the engine or the docker CLI wrote down;
//   - a digest behind the tag that the spec has;
//   - labels of Docker's own (com.docker.* and the like), platforms that a registry named and init: false where
//     the spec says nothing of them: the CLI sets them;
//   - a force-update counter above the spec's: forcing an update is an act, no state, and to undo it would be
//     another restart.
//
// # What is written
//
// Merge keeps each part of the service that is as the spec says exactly as the engine has it, and replaces the others.
// The engine compares task specs byte by byte, so that another order of variables would restart all
// tasks for nothing.
//
// # What engines drop
//
// An engine ignores fields that its API version does not have. It would be drift for ever, so Build refuses
// them (EngineTooOld). Fields that every engine drops, though the API has them, are not in our spec at all;
// coverage_test.go lists them with the reasons.
//
// # Bounds
//
// The CRD bounds what Build gets. Diff lists at most maxDifferences fields, and says how many more there are; values are cut.
// No value that may be secret (environment, labels, commands, driver options) is in a Difference or a Fault.
package swarm
