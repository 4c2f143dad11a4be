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

// Package limit bounds what one user, or one source address, can take from a replica:
// requests a second (Rates), things open at once (Counter), and bytes of a body (Body).
//
// # Bounds
//
// Each replica counts for itself: a user gets as many times a limit as there are
// replicas. A Rates remembers a fixed number of keys and forgets the one that was
// longest away, whose bucket is then full again; a Counter only has keys with
// something open. Nobody waits for a limit: over it the answer is 429 with Retry-After,
// or 413 for a body.
package limit
