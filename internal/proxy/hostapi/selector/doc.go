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

// Package selector reads label selectors for the labels of engines. Kubernetes' own
// parser refuses them: Compose writes labels with spaces, commas, slashes and any number
// of dots. Masked compares a selector with labels as somebody sees them who may not inspect.
//
// A selector is at most 4 KiB long and has at most 32 requirements, for it is tried on
// each of 50,000 items.
package selector
