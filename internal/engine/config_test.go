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

package engine

import (
	"net/netip"
	"testing"
)

func TestAddressPolicy(t *testing.T) {
	prefixes := func(ss ...string) (out []netip.Prefix) {
		for _, s := range ss {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	tests := map[string]struct {
		policy AddressPolicy
		addr   string
		want   bool
	}{
		"zero policy, public":                  {AddressPolicy{}, "203.0.113.7", true},
		"zero policy, private":                 {AddressPolicy{}, "10.1.2.3", true},
		"zero policy, loopback":                {AddressPolicy{}, "127.0.0.1", false},
		"zero policy, mapped loopback":         {AddressPolicy{}, "::ffff:127.0.0.1", false},
		"zero policy, loopback v6":             {AddressPolicy{}, "::1", false},
		"zero policy, metadata service":        {AddressPolicy{}, "169.254.169.254", false},
		"zero policy, link-local with a zone":  {AddressPolicy{}, "fe80::1%eth0", false},
		"zero policy, multicast":               {AddressPolicy{}, "224.0.0.1", false},
		"zero policy, unspecified":             {AddressPolicy{}, "0.0.0.0", false},
		"loopback allowed":                     {AddressPolicy{Loopback: true}, "127.8.8.8", true},
		"loopback allowed, metadata service":   {AddressPolicy{Loopback: true}, "169.254.169.254", false},
		"loopback allowed beside prefixes":     {AddressPolicy{Loopback: true, Allowed: prefixes("10.0.0.0/8")}, "::1", true},
		"inside a prefix":                      {AddressPolicy{Allowed: prefixes("10.0.0.0/8")}, "10.200.0.1", true},
		"outside every prefix":                 {AddressPolicy{Allowed: prefixes("10.0.0.0/8", "2001:db8::/32")}, "192.0.2.1", false},
		"v6 inside a prefix":                   {AddressPolicy{Allowed: prefixes("2001:db8::/32")}, "2001:db8::5", true},
		"everything allowed, loopback is not":  {AddressPolicy{Allowed: prefixes("0.0.0.0/0", "::/0")}, "127.0.0.1", false},
		"everything allowed, link-local isn't": {AddressPolicy{Allowed: prefixes("0.0.0.0/0", "::/0")}, "169.254.1.1", false},
		"loopback by its own prefix":           {AddressPolicy{Allowed: prefixes("127.0.0.0/8")}, "127.0.0.1", true},
		"one loopback address":                 {AddressPolicy{Allowed: prefixes("127.0.0.2/32")}, "127.0.0.1", false},
		"link-local by its own prefix":         {AddressPolicy{Allowed: prefixes("fe80::/10")}, "fe80::1%eth0", true},
		"multicast is never allowed":           {AddressPolicy{Allowed: prefixes("0.0.0.0/0")}, "224.0.0.1", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.policy.Check(netip.MustParseAddr(tt.addr))
			if got := err == nil; got != tt.want {
				t.Errorf("Check(%s) = %v, want allowed = %v", tt.addr, err, tt.want)
			}
		})
	}
}
