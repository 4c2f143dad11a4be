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

// Package actions serves the typed actions on a host: what changes it, and what is read
// of one object. Lists are internal/proxy/hostapi's, streams and the pass-through the
// proxy's.
//
// table.go has every action: its path, and the rights that it takes, one subresource and
// verb each as a rule. Each request goes the same way, and nothing is done before the last
// step but one:
//
//	authorize (403) -> host known (404) -> host connected (503) -> body valid (400)
//	-> intention recorded -> done -> outcome recorded -> answered
//
// The answer is a Status, the object in the engine's own JSON, or a job (202).
//
// # Bodies
//
// JSON of 1 MiB at most, decoded strictly: a field that is not known is refused by its
// name, for a misspelt "force" must not be a no. Small options may stand in the query as
// well; the body counts where both say something.
//
// # What may hold secrets
//
// Answers to callers without inspect are masked by the Masker; without one nothing is
// answered. Top and changes need inspect themselves. Disk usage is told in a form of our
// own that has names and sizes only. Pull secrets are read with the manager's rights, after
// a review says that the caller could read them too; they go to the engine, and nowhere else.
//
// # Jobs
//
// Pulls, recreations and prunes are jobs (internal/proxy/jobs): they outlive the caller.
// Their intention is recorded before the answer 202, their outcome at their end.
//
// # Recreation
//
// A container's settings are those that its user gave, under those of its image. The
// engine tells only the sum; what equals the old image's is taken for the image's and left
// to the new one. The old container is kept, renamed, until the new one has run for a while;
// else it is put back as it was. See recreate.go.
package actions
