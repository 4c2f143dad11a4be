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

// Package cork makes one large write over TLS go out as few packets. crypto/tls sends each
// record of 16 KiB by itself; on a loopback or in a data centre a packet's way through the
// kernel costs more than the bytes in it, and copies through the proxy took a third longer.
//
// The kernel holds back what is less than a packet, between Write's begin and its end only.
// Elsewhere than on Linux nothing is held back.
package cork
