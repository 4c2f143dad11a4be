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

package testenv

import (
	"encoding/binary"
	"net"
	"os"
	"testing"
)

// FreeAddress is an address on loopback that nobody listens on, for what has to be told
// one. Its port is free once more when this returns; so that no other process takes it
// meanwhile, the IP address is this process's own: all of 127.0.0.0/8 is loopback.
func FreeAddress(t testing.TB) string {
	t.Helper()
	ip := make(net.IP, net.IPv4len)
	binary.BigEndian.PutUint32(ip, 127<<24|1<<23|uint32(os.Getpid())) // process ids are below 2^22
	l, err := net.Listen("tcp", net.JoinHostPort(ip.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
