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
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports of FreeAddress are below those that kernels hand out by themselves, which begin
// at 32,768: what asks for any port, as all tests beside do, is never given one of them.
const firstPort, lastPort = 10_000, 32_767

// FreeAddress is an address on which nobody listens: for what cannot be told to take any
// port, and to say which. Between this and its use other tests may look for one as well,
// and there are some 20,000 for them to choose from.
func FreeAddress(t testing.TB, host string) string {
	t.Helper()
	var err error
	for range 100 {
		address := net.JoinHostPort(host, strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort+1)))
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatalf("no port of %s is free: %v", host, err)
	return ""
}
