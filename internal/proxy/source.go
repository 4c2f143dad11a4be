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

package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwardingHeaders tell of earlier hops. Anybody can send them, so they go no further
// than sourceOf.
var forwardingHeaders = []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded"}

// sourceOf is the address that a request came from: the peer's, or, for as long as
// that is a trusted proxy, what it says in X-Forwarded-For. What stands further left
// there anybody may have written.
func sourceOf(r *http.Request, trusted []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	hop := peer.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, value := range slices.Backward(hops) {
		if !slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(hop) }) {
			break
		}
		next, err := parseHop(strings.TrimSpace(value))
		if err != nil {
			break // the last hop that is known
		}
		hop = next.Unmap().WithZone("")
	}
	return hop.String()
}

// parseHop takes addresses as proxies write them: some add a port.
func parseHop(s string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr(), nil
	}
	return netip.ParseAddr(s)
}

// sourceKey is what a source is counted by: one who has an IPv6 address has a whole
// network of 64 bits of them.
func sourceKey(source string) string {
	addr, err := netip.ParseAddr(source)
	if err != nil || addr.Is4() {
		return source
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return source
	}
	return network.String()
}
