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

package app

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   string // part of the error, or "" for none
	}{
		{"defaults with a directory", func(*Options) {}, ""},
		{"no directory", func(o *Options) { o.DataDir = "" }, "--data-dir is required"},
		{"localhost", func(o *Options) { o.APIAddress = "localhost:0" }, ""},
		{"IPv6 loopback", func(o *Options) { o.APIAddress = "[::1]:6443" }, ""},
		{"another loopback address", func(o *Options) { o.ProxyAddress = "127.1.2.3:8443" }, ""},
		{"no proxy", func(o *Options) { o.ProxyAddress = NoAddress }, ""},
		{"no API", func(o *Options) { o.APIAddress = NoAddress }, "--api-address"},
		{"every address", func(o *Options) { o.APIAddress = "0.0.0.0:6443" }, "--api-address 0.0.0.0:6443 can be reached from other machines"},
		{"every address, by no host", func(o *Options) { o.ProxyAddress = ":8443" }, "--proxy-address :8443 can be reached"},
		{"an address of the machine", func(o *Options) { o.APIAddress = "192.0.2.1:6443" }, "--allow-remote"},
		{"remote, allowed", func(o *Options) { o.APIAddress, o.ProxyAddress, o.AllowRemote = ":6443", "192.0.2.1:8443", true }, ""},
		{"a name", func(o *Options) { o.APIAddress, o.AllowRemote = "example.com:6443", true }, `the host "example.com", want an IP address`},
		{"no port", func(o *Options) { o.APIAddress = "127.0.0.1" }, "is not host:port"},
		{"a port's name", func(o *Options) { o.APIAddress = "127.0.0.1:https" }, `the port "https"`},
		{"a big port", func(o *Options) { o.APIAddress = "127.0.0.1:65536" }, "want a number from 0 to 65535"},
		{"short certificates", func(o *Options) { o.CertificateValidity = time.Second }, "--certificate-validity 1s is out of range"},
		{"a restless autoscaler", func(o *Options) { o.AutoscalerPeriod = time.Millisecond }, "--horizontal-pod-autoscaler-sync-period 1ms is out of range"},
		{"a lazy autoscaler", func(o *Options) { o.AutoscalerPeriod = 2 * time.Hour }, "must be 100ms to 1h0m0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := DefaultOptions()
			opts.DataDir = "data"
			tt.change(&opts)
			err := opts.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Validate: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Validate: %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestReachable(t *testing.T) {
	for listening, want := range map[string]string{
		"127.0.0.1:6443": "127.0.0.1:6443",
		"0.0.0.0:6443":   "127.0.0.1:6443",
		"[::]:6443":      "127.0.0.1:6443",
		"[::1]:6443":     "[::1]:6443",
		"192.0.2.1:6443": "192.0.2.1:6443",
	} {
		if got := reachable(listening); got != want {
			t.Errorf("reachable(%s) = %s, want %s", listening, got, want)
		}
	}
}

func TestServingNames(t *testing.T) {
	names, err := servingNames("192.0.2.1:6443", "docker.example.com", "localhost", "198.51.100.7")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"localhost", "docker.example.com"} {
		if !slices.Contains(names.DNS, want) {
			t.Errorf("names %q lack %s", names.DNS, want)
		}
	}
	var addresses []string
	for _, ip := range names.IPs {
		addresses = append(addresses, ip.String())
	}
	if want := []string{"127.0.0.1", "::1", "192.0.2.1", "198.51.100.7"}; !slices.Equal(addresses, want) {
		t.Errorf("addresses %q, want %q", addresses, want)
	}
}
