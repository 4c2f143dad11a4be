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

// Package masking tests internal/mask with what real engines answer: a canary is planted in every field that can hold
// a secret, each masked operation is asked for, and the masked answer must hold none, while the SDK and the docker CLI
// of the distribution still read it.
//
// What engines cannot be brought to hold without a registry or a second node (plugins, cluster volumes, BuildKit's cache)
// is covered by internal/mask's own tests on the SDK's types.
package masking
