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

// Package pullsecret picks the credentials for an image out of a Kubernetes Secret of the
// type kubernetes.io/dockerconfigjson, and spells them as the engine's API wants them. A
// pure function: whoever calls it reads the Secret, and sees to it that the result, which
// is a secret itself, goes to an engine and nowhere else.
//
// An entry is chosen by the registry's host, and of several by the longest path that the
// repository is below, as Kubernetes does. Wildcards in hosts, and credential helpers, are
// not supported.
package pullsecret
