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

// Package conn reaches from a request down to the TCP connection that it came by: to
// notice a client that vanished, to wait for one that is slow on purpose, to end an
// answer so that nobody takes it for a whole one, and to cut a write once its right is
// gone.
//
// A connection whose data is not acknowledged for 30 s is cut (TCP_USER_TIMEOUT), and
// an idle one is probed after 15 s, so that a client that lost its network does not
// hold a stream open. The price: a client that stops to read, as `docker logs | less`
// does, is cut too, for it acknowledges nothing new. What streams to people calls
// Patience. TCP_USER_TIMEOUT is Linux's; elsewhere the probes alone find the vanished.
//
// A process that is killed cannot reset anything: what is raw, and has no end of its own
// that a client could miss, is made Fragile while it goes on, and the kernel resets it.
package conn
