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

import "testing"

func TestParseEndpoint(t *testing.T) {
	tests := map[string]Endpoint{
		"unix:///var/run/docker.sock":            {Scheme: "unix", Path: "/var/run/docker.sock"},
		"tcp://10.0.0.5:2376":                    {Scheme: "tcp", Host: "10.0.0.5", Port: 2376},
		"tcp://engine.example:2375/":             {Scheme: "tcp", Host: "engine.example", Port: 2375},
		"tcp://[2001:db8::1]:2376":               {Scheme: "tcp", Host: "2001:db8::1", Port: 2376},
		"ssh://docker@10.0.0.5":                  {Scheme: "ssh", User: "docker", Host: "10.0.0.5", Port: 22, Path: DefaultSocket},
		"ssh://docker@host:2222":                 {Scheme: "ssh", User: "docker", Host: "host", Port: 2222, Path: DefaultSocket},
		"ssh://docker@host/run/user/1000/d.sock": {Scheme: "ssh", User: "docker", Host: "host", Port: 22, Path: "/run/user/1000/d.sock"},
	}
	for in, want := range tests {
		got, err := ParseEndpoint(in)
		if err != nil || got != want {
			t.Errorf("ParseEndpoint(%q) = %+v, %v; want %+v", in, got, err, want)
		}
		if again, err := ParseEndpoint(got.String()); err != nil || again != got {
			t.Errorf("ParseEndpoint(%q.String() = %q) = %+v, %v; want the same endpoint", in, got.String(), again, err)
		}
	}
}

func TestParseEndpointRefuses(t *testing.T) {
	for _, in := range []string{
		"", "/var/run/docker.sock", "http://host:2375", "npipe:////./pipe/docker", "unix://relative/path", "unix:///", "unix://host/path",
		"tcp://host", "tcp://host:0", "tcp://host:65536", "tcp://:2375", "tcp://host:2375/path", "tcp://user@host:2375", "tcp://host:2375?x=y",
		"ssh://host", "ssh://@host", "ssh://user:secret@host", "ssh://user@", "ssh://user@host:99999", "ssh://user@host#x", "tcp://%zz:1",
	} {
		if got, err := ParseEndpoint(in); err == nil {
			t.Errorf("ParseEndpoint(%q) = %+v, want an error", in, got)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	f.Add("unix:///var/run/docker.sock")
	f.Add("ssh://docker@host:22/x")
	f.Add("tcp://[::1]:2376")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseEndpoint(s)
		if err != nil {
			return
		}
		again, err := ParseEndpoint(e.String())
		if err != nil || again != e {
			t.Errorf("%q parses to %+v, whose spelling %q parses to %+v, %v", s, e, e.String(), again, err)
		}
	})
}
