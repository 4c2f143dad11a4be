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

// Package app is the standalone program: options, the data directory, and the order in which certificates, etcd, the
// API server, the manifests, the controllers and the manager come up and go down.
//
// Everything it keeps is in the data directory: etcd's data, the certificates (see package pki), admin.kubeconfig,
// ca.crt and the log. The directory is private and locked, so two processes never share one. Nothing is read from or
// written to anywhere else: it runs without /etc/ssl, HOME or a writable /tmp.
//
// It listens on loopback unless it is told that remote clients are wanted. What it does not know is the manager: that is
// a function it is given.
//
// # Bounds
//
// A start is given five minutes, a stop about forty seconds: twenty for the manager (--shutdown-timeout), ten for each
// part of the control plane that hangs. Without a hang a stop takes a few seconds.
//
// # Tests
//
// The tests run the built program as a child, because kube-apiserver is once a process and leaves goroutines behind.
// They run without the race detector: with it all of Kubernetes has to be compiled a second time. CGO_ENABLED=0 goes
// for every command in this module, for the same reason and because the program has to run FROM scratch.
package app
