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
// What it serves: the console's files at /, /healthz, /readyz and /version to anybody;
// POST /login, POST /logout and GET /session for browsers' sessions; and to those who are
// known /audit, /stream and the paths below /apis/, each by a package of its own: the Docker
// API (dockerapi), lists (hostapi), actions and jobs, streams and sessions (streamapi),
// discovery, and the kube-apiserver's own (relay). Who asked is in the request's context
// (internal/proxy/caller). Errors are a Kubernetes Status everywhere.
//
// Who asks is decided as an aggregated API server decides it, with k8s.io/apiserver's
// own parts: bearer tokens by TokenReview, client certificates by the cluster's
// client CA, and the headers of a front proxy only with a certificate of its CA and
// of an allowed name. There is no anonymous access. The CA bundles come from the
// ConfigMap extension-apiserver-authentication, and a replica is not ready before it
// has them, or it would answer 401 to those who come early. What cannot be decided,
// because the kube-apiserver is away, is a 503, never an answer.
//
// A browser that sent its token to /login has a session (internal/proxy/session): a
// cookie, which counts where nothing else proves who asks, and never on the paths of an
// engine's own API, whose answers could be pages. Tokens in a query are refused.
//
// # Other sites
//
// A page of another site can make a browser send the session's cookie or a client
// certificate, but no token. So what is not proved by a token must come from the
// console's own origin, as net/http.CrossOriginProtection tells, where it changes
// something; a WebSocket by cookie needs an Origin that is https and the request's Host.
// A balancer in front must leave Host as it is.
//
// # Bounds
//
// Deadlines are tight by default, for the sake of those who forget them: 10 s for
// the TLS handshake and the headers, a minute for the body, a minute for the answer,
// 64 KiB of headers. A route that streams must move its own deadlines with
// http.ResponseController, and hijacked connections have none. TokenReviews are
// cached for 10 s, and take 5 s at most. A token that is refused with an error is
// asked about each time, within the limits of its source.
//
// A user has a rate of requests, and a source address one of refused tokens and one of
// logins (Limits); over them the answer is 429 with Retry-After. Each replica counts for
// itself. The source is the TCP peer, or what a trusted proxy says in X-Forwarded-For;
// behind a balancer that is not named to --trusted-proxies all users are one source.
// Idle connections cost about 30 KiB each and are not counted: descriptors are their
// bound, as for any server.
//
// Clients that vanish are noticed within 30 s, and so is one that stops to read, unless
// its route is patient (internal/proxy/conn).
//
// Start owns every goroutine of this package, and returns when they have ended:
// at the end of its context the listener closes, requests under way have
// ShutdownTimeout to finish, and are then cut.
package proxy
