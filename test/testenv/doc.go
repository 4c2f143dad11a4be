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

// Package testenv gives tests a real kube-apiserver with etcd, the project's CRDs and
// admission policies in it, and managers that run against it.
//
// The programs are built from the standalone module (hack/envtest-assets.sh) and
// found through KUBEBUILDER_ASSETS, which `make test` sets. A test binary shares
// one API server, started by the first test that asks; each test has a namespace
// of its own.
package testenv
