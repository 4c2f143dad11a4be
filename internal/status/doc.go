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

// Package status writes the status of an object: conditions that say the same
// thing twice are set once, and a status that says what the server already has is
// not written at all.
//
// Patch sends the difference in status and nothing else, with the resourceVersion
// the decision was made on. A conflict is the caller's to requeue: what to say was
// decided on an object that is no longer the newest, and retrying the write with
// old words is how two writers overwrite one another in turns.
//
// Conditions follow the Kubernetes API conventions; Reconciling and Stalled follow
// kstatus, for which their absence, not False, means that all is well.
//
// Bounds: a condition's message is cut at 1024 runes (the API allows 32 KiB, but
// a status is for people and travels with every watch event) and holds no control
// characters, which would reach the terminal of whoever runs "kubectl describe".
package status
