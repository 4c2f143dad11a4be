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

package route

import (
	"context"
	"net/url"
	"strings"
	"testing"
)

const base = "/apis/engine.dockercontrol.dev/v1alpha1/"

func TestParse(t *testing.T) {
	long := strings.Repeat("a", 63)
	for path, want := range map[string]Route{
		"containers":                                                                {Segment: "containers"},
		"namespaces/team/containers":                                                {Namespace: "team", Segment: "containers"},
		"namespaces/namespaces/dockerhosts":                                         {Namespace: "namespaces", Segment: "dockerhosts"},
		"namespaces/team/dockerhosts/prod/containers":                               {Namespace: "team", Host: "prod", Segment: "containers"},
		"namespaces/team/dockerhosts/proxy/info":                                    {Namespace: "team", Host: "proxy", Segment: "info"},
		"namespaces/team/dockerhosts/a.b-c/info":                                    {Namespace: "team", Host: "a.b-c", Segment: "info"},
		"namespaces/" + long + "/dockerhosts/" + long + "." + long + "/info":        {Namespace: long, Host: long + "." + long, Segment: "info"},
		"namespaces/team/dockerhosts/prod/containers/web/start":                     {Namespace: "team", Host: "prod", Segment: "containers", Object: "web", Action: "start"},
		"namespaces/team/dockerhosts/prod/images/reg.example:5000%2Fa%2Fb@sha256:0": {Namespace: "team", Host: "prod", Segment: "images", Object: "reg.example:5000/a/b@sha256:0"},
		"namespaces/team/dockerhosts/prod/volumes/a%20b%3fc%23d/remove":             {Namespace: "team", Host: "prod", Segment: "volumes", Object: "a b?c#d", Action: "remove"},
		"namespaces/team/dockerhosts/prod/containers/%2Fweb":                        {Namespace: "team", Host: "prod", Segment: "containers", Object: "/web"},
		"namespaces/team/dockerhosts/prod/volumes/...":                              {Namespace: "team", Host: "prod", Segment: "volumes", Object: "..."},
		"namespaces/team/dockerhosts/prod/proxy":                                    {Namespace: "team", Host: "prod", Segment: "proxy"},
		"namespaces/team/dockerhosts/prod/proxy/":                                   {Namespace: "team", Host: "prod", Segment: "proxy", Rest: "/"},
		"namespaces/team/dockerhosts/prod/proxy/a%2F..//../%zz\x00":                 {Namespace: "team", Host: "prod", Segment: "proxy", Rest: "/a%2F..//../%zz\x00"},
		"namespaces/team/dockerhosts/prod/proxy/proxy/info":                         {Namespace: "team", Host: "prod", Segment: "proxy", Rest: "/proxy/info"},
		"namespaces/team/dockerhosts/prod/proxying/x":                               {Namespace: "team", Host: "prod", Segment: "proxying", Object: "x"},
	} {
		got, ok, err := Parse(base + path)
		if got != want || !ok || err != nil {
			t.Errorf("%s: got %+v, %v, %v; want %+v", path, got, ok, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const host = "namespaces/team/dockerhosts/prod/"
	for _, path := range []string{
		"/", "/containers", "containers/", "containers//x", "containers/x/y/z", "..", ".", "../v1", "%2e%2e", "a%2Fb",
		"%63ontainers", "namespaces", "namespaces/", "namespaces/team", "namespaces/team/", "namespaces//containers",
		"namespaces/../containers", "namespaces/%74eam/containers", "namespaces/te%2Fam/containers", "namespaces/te.am/containers",
		"namespaces/Team/containers", "namespaces/-a/containers", "namespaces/" + strings.Repeat("a", 64) + "/containers",
		"%6eamespaces/team/containers",
		"namespaces/team/dockerhosts/", "namespaces/team/dockerhosts/prod", "namespaces/team/dockerhosts//info",
		"namespaces/team/dockerhosts/../info", "namespaces/team/dockerhosts/a..b/info", "namespaces/team/dockerhosts/.a/info",
		"namespaces/team/dockerhosts/a%2fb/info", "namespaces/team/dockerhosts/%70rod/proxy/info", "namespaces/team/dockerhosts/Prod/info",
		"namespaces/team/dockerhosts/a%00/info", "namespaces/team/dockerhosts/" + strings.Repeat("a", 254) + "/info",
		"namespaces/team/%64ockerhosts/prod/proxy",
		host, host + "%70roxy/info", host + "proxy%2Finfo", host + "/proxy/info", host + "containers/web/start/",
		host + "containers/web/%73tart", host + "containers//start", host + "containers/./start", host + "containers/%2e%2e/start",
		host + "images/..%2Fcontainers%2Fweb/json", host + "images/a%2F..%2Fb", host + "images/a%2F%2Fb", host + "images/%2F", host + "images/%2F%2Fa", host + "images/%2F..", host + "images/a%2F",
		host + "images/a%2F.%2Fb", host + "images/%252e%252e", host + "images/a%5cb", host + `images/a\b`, host + "images/%zz", host + "images/%",
		host + "images/a%00", host + "images/a%0a", host + "images/a%7f", host + "images/a%C2%85", host + "images/%ff",
		host + "images/" + strings.Repeat("a", maxObject+1), host + "containers/web/a%2Fb",
	} {
		if got, ok, err := Parse(base + path); err == nil || !ok || got != (Route{}) {
			t.Errorf("%.100s: got %+v, %v, %v; want an error", path, got, ok, err)
		}
	}
}

func TestParseLeavesOthers(t *testing.T) {
	for _, path := range []string{
		"", "/", "/apis", "/apis/engine.dockercontrol.dev", "/apis/engine.dockercontrol.dev/v1alpha1", base, "/apis/engine.dockercontrol.dev/v1alpha1x/containers",
		"/apis/dockercontrol.dev/v1alpha1/namespaces/team/dockerhosts", "//apis/engine.dockercontrol.dev/v1alpha1/containers",
		"/apis/engine%2Edockercontrol.dev/v1alpha1/containers", "/apis/../apis/engine.dockercontrol.dev/v1alpha1/containers",
	} {
		if got, ok, err := Parse(path); ok || err != nil || got != (Route{}) {
			t.Errorf("%s: got %+v, %v, %v; want it to be left", path, got, ok, err)
		}
	}
}

func TestContext(t *testing.T) {
	if got := From(t.Context()); got != (Route{}) {
		t.Errorf("without a route: %+v", got)
	}
	want := Route{Namespace: "team", Host: "prod", Segment: "info"}
	if got := From(With(context.Background(), want)); got != want || got.Key().String() != "team/prod" {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// path spells a route.
func path(r Route) string {
	p := strings.TrimSuffix(base, "/")
	if r.Namespace != "" {
		p += "/namespaces/" + r.Namespace
	}
	if r.Host != "" {
		p += "/dockerhosts/" + r.Host
	}
	p += "/" + r.Segment
	if r.Object != "" {
		p += "/" + url.PathEscape(r.Object)
	}
	if r.Action != "" {
		p += "/" + r.Action
	}
	return p + r.Rest
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"containers", "namespaces/team/containers/web", "namespaces/team/dockerhosts/prod/containers/web/start",
		"namespaces/team/dockerhosts/prod/images/a%2Fb%3Ac", "namespaces/team/dockerhosts/prod/proxy/v1.41/../%2e//x",
		"%6eamespaces/a/b", "namespaces/a/%64ockerhosts/b", "namespaces/a/dockerhosts/b/%70roxy", "images/..%2f", "images/%252f",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, below string) {
		r, ok, err := Parse(base + below)
		if !ok || err != nil {
			if r != (Route{}) {
				t.Fatalf("%q is refused and yet %+v", below, r)
			}
			return
		}
		for _, name := range []string{r.Namespace, r.Host, r.Segment, r.Action} {
			if strings.ContainsAny(name, "/%\\\x00") || name == "." || name == ".." {
				t.Errorf("%q: the name %q", below, name)
			}
		}
		for part := range strings.SplitSeq(strings.TrimPrefix(r.Object, "/"), "/") {
			if r.Object != "" && (part == "" || part == "." || part == "..") {
				t.Errorf("%q: the object %q", below, r.Object)
			}
		}
		if r.Host != "" && r.Namespace == "" || r.Segment == "" || r.Action != "" && r.Object == "" {
			t.Errorf("%q: %+v lacks something", below, r)
		}
		if r.Rest != "" && (r.Segment != Proxy || r.Host == "" || r.Rest[0] != '/' || !strings.HasSuffix(below, Proxy+r.Rest)) {
			t.Errorf("%q: the rest is %q", below, r.Rest)
		}
		again, ok, err := Parse(path(r))
		if again != r || !ok || err != nil {
			t.Errorf("%q is %+v, which is spelled %q, which is %+v (%v)", below, r, path(r), again, err)
		}
		// Only an object has more than one spelling.
		if r.Object == "" && path(r) != base+below {
			t.Errorf("%q is spelled %q", below, path(r))
		}
	})
}
