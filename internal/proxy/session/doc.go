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

// Package session keeps a browser's bearer token in a cookie, so that no script has it.
//
// A cookie is the whole session: there is no store, and each replica that has the keys
// can read it. It is encrypted (AES-256-GCM), HttpOnly, Secure, SameSite=Strict and of
// the prefix __Host-, and bound to the host name that it was given for. A browser takes
// 4 KiB a cookie, and tokens are longer: a session is cut into up to 8 of them.
//
// A session ends when it was not used for an hour, 12 hours after the login, or with
// its token, whichever comes first. It is renewed while in use.
//
// # Trade-offs
//
// Without a store a copy of a cookie holds until its end, whatever the browser forgot.
// A replica remembers the sessions that were ended through it (the last 8,192) and takes
// none of them again; other replicas do not know. A deleted token ends a session
// everywhere: the token is reviewed like any other.
//
// Cookies know no ports: two proxies on one host name share theirs, and a login at one
// ends that at the other.
package session
