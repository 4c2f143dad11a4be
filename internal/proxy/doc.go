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

// Package proxy is the HTTPS server of every replica: the console for browsers, and
// the paths below /apis/ for everything else.
//
// What it serves now: the console's files at /, /healthz, /readyz and /version to
// anybody, and below /apis/ a Kubernetes Status for each request: 401 without valid
// credentials, and 404 with them until a route is there.
//
// Who asks is decided as an aggregated API server decides it, with k8s.io/apiserver's
// own parts: bearer tokens by TokenReview, client certificates by the cluster's
// client CA, and the headers of a front proxy only with a certificate of its CA and
// of an allowed name. There is no anonymous access. The CA bundles come from the
// ConfigMap extension-apiserver-authentication, and a replica is not ready before it
// has them, or it would answer 401 to those who come early. What cannot be decided,
// because the kube-apiserver is away, is a 503, never an answer.
//
// # Bounds
//
// Deadlines are tight by default, for the sake of those who forget them: 10 s for
// the TLS handshake and the headers, a minute for the body, a minute for the answer,
// 64 KiB of headers. A route that streams must move its own deadlines with
// http.ResponseController, and hijacked connections have none. TokenReviews are
// cached for 10 s, and take 5 s at most. A token that is refused with an error is
// asked about each time, as the kube-apiserver's flow control allows.
//
// Start owns every goroutine of this package, and returns when they have ended:
// at the end of its context the listener closes, requests under way have
// ShutdownTimeout to finish, and are then cut.
package proxy
