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

// Package moby connects to real Docker engines: it implements engine.Connector
// and engine.Engine over unix sockets, tcp, tcp with mutual TLS, and ssh. It is
// the only package that imports the Docker SDK's client and the only one that
// dials.
//
// # How a call travels
//
// HTTP is always plain HTTP/1.1 to a made-up host name; the dialer below it does
// TLS and ssh itself. One dialer serves pooled calls, streams and hijacked
// sessions alike, so that an address policy or a host key is checked in one
// place. There are two pools: unary calls share kept-alive connections and always
// have a deadline; each stream has a connection of its own and none. At most
// Config.MaxConnections unary calls are under way at once, each with a
// connection to itself. Ping, Version, Info and List are not counted and never
// wait: they tell whether the engine is well, which callers who fill all
// connections must not decide. Who makes those is the engine's one owner
// (hostcache), which bounds how many. No proxy from the environment is used and no
// redirect is followed.
//
// Over ssh all connections of an engine are channels of one ssh connection, which
// is dialled by the first call that needs it and again after it died.
//
// # What the SDK does here
//
// The SDK sends the writes of containers, images, volumes and networks. Reads,
// streams, hijacked sessions and services are requests of our own, because the
// SDK decodes lists into strict types without a bound, hides what an engine
// answers to a refused upgrade, and changes the image of a service it is handed.
//
// # Bounds
//
// Everything an engine sends is bounded: see the constants in limits.go. An item
// of a list that cannot be read is left out of the list, so that one broken
// object does not hide the others; broken JSON fails the list.
//
// # Errors
//
// errors.go and errors_dial.go make every failure an *engine.Error. Messages are the same for the
// same failure, so that they can stand in a status.
package moby
