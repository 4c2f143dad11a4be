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
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestSourceOf(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	for name, tc := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"a client":                            {"192.0.2.1:1", nil, "192.0.2.1"},
		"a client that forges":                {"192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1"},
		"a client that forges a trusted hop":  {"192.0.2.1:1", []string{"198.51.100.1, 10.0.0.1"}, "192.0.2.1"},
		"through a balancer":                  {"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		"through a balancer that says none":   {"10.0.0.1:1", nil, "10.0.0.1"},
		"through two":                         {"10.0.0.1:1", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		"forged, through a balancer":          {"10.0.0.1:1", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		"forged, in headers of its own":       {"10.0.0.1:1", []string{"203.0.113.9", "198.51.100.1"}, "198.51.100.1"},
		"forged as trusted, through a proxy":  {"10.0.0.1:1", []string{"203.0.113.9, 10.0.0.9, 198.51.100.1"}, "198.51.100.1"},
		"junk, through a balancer":            {"10.0.0.1:1", []string{"<script>"}, "10.0.0.1"},
		"junk before a hop":                   {"10.0.0.1:1", []string{"junk, 10.0.0.2"}, "10.0.0.2"},
		"with a port":                         {"10.0.0.1:1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		"IPv6":                                {"[2001:db8:2::1]:1", nil, "2001:db8:2::1"},
		"IPv6 through a balancer":             {"[2001:db8:1::1]:1", []string{"[2001:db8:2::1]:4711"}, "2001:db8:2::1"},
		"IPv4 as IPv6":                        {"[::ffff:192.0.2.1]:1", []string{"198.51.100.1"}, "192.0.2.1"},
		"IPv4 as IPv6, through a balancer":    {"[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"a zone":                              {"[fe80::1%eth0]:1", nil, "fe80::1"},
		"not an address":                      {"pipe", []string{"198.51.100.1"}, "pipe"},
		"a balancer for all of its own":       {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"an empty header through a balancer":  {"10.0.0.1:1", []string{""}, "10.0.0.1"},
		"an unknown hop, as proxies write it": {"10.0.0.1:1", []string{"unknown"}, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr = tc.peer
			r.Header["X-Forwarded-For"] = tc.forwarded
			if got := sourceOf(r, trusted); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestSourceKey(t *testing.T) {
	for source, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8:2:3:4::1": "2001:db8:2:3::/64", "2001:db8:2:3::ffff": "2001:db8:2:3::/64", "pipe": "pipe",
	} {
		if got := sourceKey(source); got != want {
			t.Errorf("%s: %s", source, got)
		}
	}
}
