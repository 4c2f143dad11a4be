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

package access

import (
	"errors"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	const c = "/v1.41/containers/web"
	for _, test := range []struct {
		method, path, query string
		operation, right    string
		object, forwarded   string // forwarded: path?query, where it is not as it came
	}{
		{"GET", "/v1.41/containers/json", "all=1", "GET /containers/json", "containers get", "", ""},
		{"GET", "/containers/json", "", "GET /containers/json", "containers get", "", ""},
		{"GET", c + "/json", "", "GET /containers/{name}/json", "containers get", "web", ""},
		{"GET", c + "/top/json", "", "GET /containers/{name}/json", "containers get", "web/top", ""},
		{"GET", c + "/json/top", "", "GET /containers/{name}/top", "inspect get", "web/json", ""},
		{"POST", "/containers/create/start", "", "POST /containers/{name}/start", "containers update", "create", ""},
		{"POST", "/containers/a%2Fb/kill", "", "POST /containers/{name}/kill", "containers update", "a/b", "/containers/a/b/kill?"},
		{"POST", "/containers/web%2fexec", "", "POST /containers/{name}/exec", "exec create", "web", "/containers/web/exec?"},
		{"POST", "/%63ontainers/web/%65xec", "", "POST /containers/{name}/exec", "exec create", "web", "/containers/web/exec?"},
		{"GET", "/images/reg.example:5000/a/b:1.0@sha256:00/json", "", "GET /images/{name}/json", "images get", "reg.example:5000/a/b:1.0@sha256:00", ""},
		{"GET", "/volumes/a%20b%3Fc", "", "GET /volumes/{name}", "volumes get", "a b?c", ""},
		{"DELETE", "/containers/web/archive", "", "DELETE /containers/{name}", "containers delete", "web/archive", ""},
		{"DELETE", "/containers/web/checkpoints/one", "", "DELETE /containers/{name}/checkpoints/{checkpoint}", "raw delete", "web", ""},
		{"GET", "/networks/", "", "GET /networks/", "networks get", "", ""},
		{"HEAD", "/_ping", "", "HEAD /_ping", "info get", "", ""},

		// The path is not enough.
		{"POST", "/images/create", "fromImage=busybox&tag=1", "POST /images/create", "images create", "busybox", ""},
		{"POST", "/images/create", "fromSrc=-&repo=x", "POST /images/create", "images update", "", ""},
		{"POST", "/images/create", "fromImage=a&fromSrc=-", "POST /images/create", "images update", "a", ""},
		{"POST", "/images/create", "fromImage=a&fromsrc=", "POST /images/create", "images update", "a", ""},
		{"POST", "/images/create", "fromimage=a", "POST /images/create", "images update", "a", ""},
		{"POST", "/images/create", "fromImage=", "POST /images/create", "images update", "", ""},
		{"POST", "/images/create", "", "POST /images/create", "images update", "", ""},
		{"POST", c + "/start", "checkpoint=", "POST /containers/{name}/start", "containers update", "web", ""},
		{"POST", c + "/start", "checkpoint-dir=%2Ftmp", "POST /containers/{name}/start", "raw create", "web", ""},
		{"GET", c + "/logs", "details=0&stdout=1", "GET /containers/{name}/logs", "log get", "web", ""},
		{"GET", c + "/logs", "details=1&stdout=1", "GET /containers/{name}/logs", "inspect get", "web", ""},
		{"GET", "/services/s1/logs", "Details=yes", "GET /services/{id}/logs", "inspect get", "s1", ""},
		{"POST", "/services/create", "", "POST /services/create", "services create", "", ""},
		{"POST", "/services/s1/update", "version=3", "POST /services/{id}/update", "services patch", "s1", ""},
		{"POST", c + "/update", "", "POST /containers/{name}/update", "containers patch", "web", ""},
		{"POST", "/commit", "container=web", "POST /commit", "images update", "web", ""},

		// What no line knows.
		{"GET", "/Containers/json", "", "GET raw", "raw get", "", ""},
		{"GET", "/V1.41/containers/json", "", "GET raw", "raw get", "", ""},
		{"HEAD", "/containers/json", "", "HEAD raw", "raw get", "", ""},
		{"POST", "/containers/json", "", "POST raw", "raw create", "", ""},
		{"PATCH", c + "/json", "", "PATCH raw", "raw patch", "", ""},
		{"PUT", "/nodes/n1", "", "PUT raw", "raw update", "", ""},
		{"DELETE", "/swarm", "", "DELETE raw", "raw delete", "", ""},
		{"GET", "/libpod/containers/json", "", "GET raw", "raw get", "", ""},
		{"GET", "/services/a/b", "", "GET raw", "raw get", "", ""},
		{"GET", "/v1.41", "", "GET raw", "raw get", "", ""},
		{"OPTIONS", "/containers/json", "", "OPTIONS /{anyroute}", "raw get", "containers/json", ""},

		// The query is spelled anew, and lists keep their order.
		{"GET", "/images/get", "names=b&names=a%2Fc", "GET /images/get", "export get", "", "/images/get?names=b&names=a%2Fc"},
		{"GET", "/events", "until=2&since=1&x", "GET /events", "events get", "", "/events?since=1&until=2&x="},
	} {
		got, err := Classify(test.method, test.path, test.query, Headers{})
		if err != nil {
			t.Errorf("%s %s?%s: %v", test.method, test.path, test.query, err)
			continue
		}
		if right := string(got.Subresource) + " " + string(got.Verb); got.Operation != test.operation || right != test.right || got.Object != test.object {
			t.Errorf("%s %s?%s is %q, %s on %q; want %q, %s on %q", test.method, test.path, test.query,
				got.Operation, right, got.Object, test.operation, test.right, test.object)
		}
		want := test.forwarded
		if want == "" {
			want = test.path + "?" + test.query
			if strings.HasSuffix(test.path, "%3Fc") || test.query == "" {
				want = test.path + "?"
			}
		}
		if test.forwarded != "" || !strings.Contains(test.query, "&") {
			if forwarded := got.Path + "?" + got.Query; forwarded != want {
				t.Errorf("%s %s?%s goes upstream as %s, want %s", test.method, test.path, test.query, forwarded, want)
			}
		}
		if got.Method != test.method {
			t.Errorf("%s %s goes upstream as a %s", test.method, test.path, got.Method)
		}
	}
}

func TestClassifyRefuses(t *testing.T) {
	for _, test := range []struct {
		method, path, query string
		part                string
	}{
		{"get", "/info", "", "method"},
		{"CONNECT", "/info", "", "method"},
		{"", "/info", "", "method"},
		{"GET", "", "", "path"},
		{"GET", "info", "", "path"},
		{"GET", "*", "", "path"},
		{"GET", "//info", "", "path"},
		{"GET", "/%2Finfo", "", "path"},
		{"GET", "/containers//web/json", "", "path"},
		{"GET", "/images/%2F/json", "", "path"},
		{"GET", "/./info", "", "path"},
		{"GET", "/containers/../info", "", "path"},
		{"GET", "/containers/%2e%2E/info", "", "path"},
		{"GET", "/containers%2f..%2finfo", "", "path"},
		{"GET", "/info/..", "", "path"},
		{"GET", "/info/", "", "path"},
		{"GET", "/info%2F", "", "path"},
		{"GET", "/", "", "path"},
		{"GET", "/v1.41/", "", "path"},
		{"DELETE", "/containers/web/", "", "path"},
		{"DELETE", "/networks/", "", "path"},
		{"GET", "/volumes/", "", "path"},
		{"GET", "/images/%/json", "", "path"},
		{"GET", "/images/%zz/json", "", "path"},
		{"GET", "/images/%252e%252e/json", "", "path"},
		{"GET", `/images/a\b/json`, "", "path"},
		{"GET", "/images/a%5Cb/json", "", "path"},
		{"GET", "/images/a%00/json", "", "path"},
		{"GET", "/images/a%0A/json", "", "path"},
		{"GET", "/images/a%0d%0aX:1/json", "", "path"},
		{"GET", "/images/a%7F/json", "", "path"},
		{"GET", "/images/a%C2%85/json", "", "path"},
		{"GET", "/images/a%FF/json", "", "path"},
		{"GET", "/images/" + strings.Repeat("a", maxPath) + "/json", "", "path"},
		{"POST", "/v1.23/containers/web/start", "", "path"},
		{"GET", "/v1.39/info", "", "path"},
		{"GET", "/v2.0/info", "", "path"},
		{"GET", "/v1.041/info", "", "path"},
		{"GET", "/v1.41.0/info", "", "path"},
		{"GET", "/v1..41/info", "", "path"},
		{"GET", "/v1/info", "", "path"},
		{"GET", "/v4.0.0/libpod/info", "", "path"},
		{"GET", "/v1.99999999999999999999/info", "", "path"},
		{"GET", "/info", "a=%", "query"},
		{"GET", "/info", "a=%zz", "query"},
		{"GET", "/info", "a=1;b=2", "query"},
		{"GET", "/info", "a=1 2", "query"},
		{"GET", "/info", "a=\n", "query"},
		{"GET", "/info", "a=%00", "query"},
		{"GET", "/info", "=a", "query"},
		{"GET", "/info", "%0a=a", "query"},
		{"POST", "/images/create", "fromImage=a&fromImage=b", "query"},
		{"POST", "/images/create", "fromImage=a&FROMIMAGE=b", "query"},
		{"POST", "/images/create", "fromImage=a&from%49mage=a", "query"},
		{"GET", "/images/get", "names=a&Names=b", "query"},
		{"GET", "/info", "\u212a=1&k=2", "query"}, // the Kelvin sign folds to k
		{"GET", "/info", strings.Repeat("a", maxQuery+1), "query"},
		{"GET", "/info", strings.Repeat("names=a&", maxParameters+1), "query"},
	} {
		got, err := Classify(test.method, test.path, test.query, Headers{})
		var refused *RequestError
		if !errors.As(err, &refused) || refused.Part != test.part {
			t.Errorf("%s %.100q?%.100q: got %q and error %v, want the %s refused", test.method, test.path, test.query, got.Operation, err, test.part)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("an error of %d characters: %.100s", len(err.Error()), err)
		}
	}
}

func TestHeaders(t *testing.T) {
	const attach, attachWS, session = "/containers/web/attach", "/containers/web/attach/ws", "/session"
	for _, test := range []struct {
		name, method, path string
		headers            Headers
		upgrade            string
		hijacks, refused   bool
	}{
		{name: "no upgrade, hijacked all the same", method: "POST", path: attach, hijacks: true},
		{name: "tcp", method: "POST", path: attach, headers: Headers{Upgrade: []string{"TCP "}}, upgrade: "tcp", hijacks: true},
		{name: "attach to h2c", method: "POST", path: attach, headers: Headers{Upgrade: []string{"h2c"}}, refused: true},
		{name: "websocket", method: "GET", path: attachWS, headers: Headers{Upgrade: []string{"websocket"}}, upgrade: "websocket", hijacks: true},
		{name: "h2c", method: "POST", path: session, headers: Headers{Upgrade: []string{"h2c"}}, upgrade: "h2c", hijacks: true},
		{name: "two", method: "POST", path: session, headers: Headers{Upgrade: []string{"h2c", "h2c"}}, refused: true},
		{name: "a list", method: "POST", path: session, headers: Headers{Upgrade: []string{"h2c, tcp"}}, refused: true},
		{name: "empty", method: "POST", path: session, headers: Headers{Upgrade: []string{""}}, refused: true},
		{name: "an operation without", method: "GET", path: "/info", headers: Headers{Upgrade: []string{"h2c"}}, refused: true},
		{name: "raw", method: "POST", path: "/unheard-of", headers: Headers{Upgrade: []string{"tcp"}}, upgrade: "tcp", hijacks: true},
		{name: "raw, no upgrade", method: "POST", path: "/unheard-of"},
		{name: "raw, unknown", method: "POST", path: "/unheard-of", headers: Headers{Upgrade: []string{"TLS/1.0"}}, refused: true},

		{name: "json", method: "POST", path: "/auth", headers: Headers{ContentType: []string{"application/json"}, ContentLength: 9}},
		{name: "chunked", method: "POST", path: "/build", headers: Headers{ContentLength: -1, TransferEncoding: []string{"chunked"}}},
		{name: "form", method: "POST", path: "/auth", headers: Headers{ContentType: []string{"application/x-www-form-urlencoded"}}, refused: true},
		{name: "form in disguise", method: "POST", path: "/auth", headers: Headers{ContentType: []string{" Application/X-WWW-Form-URLEncoded ; charset"}}, refused: true},
		{name: "multipart", method: "POST", path: "/auth", headers: Headers{ContentType: []string{"multipart/form-data; boundary=x"}}, refused: true},
		{name: "two types", method: "POST", path: "/auth", headers: Headers{ContentType: []string{"application/json", "application/json"}}, refused: true},
		{name: "two lengths", method: "POST", path: "/auth", headers: Headers{ContentLength: 9, TransferEncoding: []string{"chunked"}}, refused: true},
		{name: "gzip, chunked", method: "POST", path: "/auth", headers: Headers{ContentLength: -1, TransferEncoding: []string{"gzip", "chunked"}}, refused: true},
	} {
		got, err := Classify(test.method, test.path, "", test.headers)
		var refused *RequestError
		if errors.As(err, &refused) != test.refused || err != nil && refused.Part != "header" {
			t.Errorf("%s: %v, want refused %v", test.name, err, test.refused)
		}
		if got.Upgrade != test.upgrade || got.Hijacks != test.hijacks {
			t.Errorf("%s: upgrade %q, hijacks %v; want %q, %v", test.name, got.Upgrade, got.Hijacks, test.upgrade, test.hijacks)
		}
	}
}

func TestWithObject(t *testing.T) {
	got, err := Classify("POST", "/v1.41/exec/abc.mac%2Bx/start", "", Headers{})
	if err != nil || !got.ExecID || got.Object != "abc.mac+x" {
		t.Fatalf("exec start is %+v, %v", got, err)
	}
	if opened := got.WithObject("abc"); opened.Path != "/v1.41/exec/abc/start" || opened.Object != "abc" || opened.Operation != got.Operation {
		t.Errorf("with its object opened it is %+v", opened)
	}
	list, err := Classify("POST", "/commit", "container=web", Headers{})
	if err != nil || list.WithObject("other") != list {
		t.Errorf("a path without object was changed: %+v, %v", list.WithObject("other"), err)
	}
	create, err := Classify("POST", "/containers/web/exec", "", Headers{})
	if err != nil || !create.ExecCreate || create.ExecID {
		t.Errorf("exec create is %+v, %v", create, err)
	}
}

func TestErrorsHoldNoValues(t *testing.T) {
	for _, query := range []string{"a=hunter2&a=hunter2", "a=hunter2&A=hunter2", "a=hunter2%00", "a=hunter2%zz", "a=hunter2;", "a=hunter2 "} {
		_, err := Classify("POST", "/build", query, Headers{})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q is refused with %v", query, err)
		}
	}
	_, err := ExecCreateNeedsAdmin([]byte(`{"Env":["A=hunter2"`))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a cut body is refused with %v", err)
	}
}
