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

// Package bootstrap puts into a fresh API server what an installation needs before the manager starts: the operator's
// namespace, a ServiceAccount to log in with, and the manifests it is given (CRDs, roles, admission policies).
//
// Everything is applied on the server side at each start, so a new release brings its CRDs up to date, and applying
// what is already there writes nothing. What a release no longer has is not removed.
package bootstrap
