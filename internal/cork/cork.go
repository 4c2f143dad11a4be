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

package cork

import "net"

// Record is what a TLS record holds: what is not longer is one packet anyway.
const Record = 16 << 10

// Write calls write, which sends length bytes over c; nil writes as it comes.
func Write(c *net.TCPConn, length int, write func() (int, error)) (int, error) {
	if c == nil || length <= Record {
		return write()
	}
	set(c, 1)
	defer set(c, 0)
	return write()
}
