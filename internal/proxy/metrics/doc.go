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

// Package metrics counts what the proxy serves, on the registry of controller-runtime.
//
// The middleware Handler counts every request, the console's and the probes' included.
// Handlers behind it tell which right a request asked for (Set) and that it goes on
// (Open); the request's context carries that back.
//
// # Bounds
//
// Labels come from closed sets, never from a request: subresources and verbs are those of
// internal/access, "none" before a request was understood, or "other"; codes are those
// that net/http has a name for, or 0, for an engine may answer with any. Requests that go
// on are no part of the durations, which would say how long people watch.
package metrics
