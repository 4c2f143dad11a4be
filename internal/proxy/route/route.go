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
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/access"
)

// Prefix is what the paths of this package begin with.
const Prefix = "/apis/" + access.EngineGroup + "/" + Version

// Version is the version of the paths' group.
const Version = "v1alpha1"

// Proxy is the segment of the pass-through.
const Proxy = string(access.Proxy)

// maxObject bounds an object's name in bytes: image references are the longest.
const maxObject = 1 << 10

// Route is a path taken apart.
type Route struct {
	// Namespace is empty where all of them are meant.
	Namespace string
	// Host is empty where all hosts of the namespace are meant.
	Host string
	// Segment is what is asked for: "containers", "log", "proxy".
	Segment string
	// Object and Action follow it, decoded; empty where there are none.
	Object, Action string
	// Rest is, for the pass-through, what follows "proxy" as it came: escaped, with its
	// leading slash.
	Rest string
}

// Key names the host.
func (r Route) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: r.Namespace, Name: r.Host}
}

// Parse takes an escaped path apart (URL.EscapedPath). The error says what is wrong with a
// path below Prefix; ok is false where nothing of this package is meant.
func Parse(escaped string) (r Route, ok bool, err error) {
	rest, below := strings.CutPrefix(escaped, Prefix+"/")
	if !below || rest == "" {
		return Route{}, false, nil
	}
	segment, after, deeper := strings.Cut(rest, "/")
	if segment != "namespaces" {
		return r.finish(rest)
	}
	namespace, after, deeper2 := strings.Cut(after, "/")
	if !deeper || !deeper2 || len(validation.ValidateNamespaceName(namespace, false)) > 0 {
		return Route{}, true, fmt.Errorf("after namespaces/ comes the name of a namespace and what to serve of it")
	}
	r.Namespace = namespace
	after, named := strings.CutPrefix(after, access.Resource+"/")
	if !named {
		return r.finish(after)
	}
	host, after, deeper := strings.Cut(after, "/")
	if !deeper || after == "" || len(validation.NameIsDNSSubdomain(host, false)) > 0 {
		return Route{}, true, fmt.Errorf("after %s/ comes the name of a DockerHost and what to serve of it", access.Resource)
	}
	r.Host = host
	if proxied, isProxy := strings.CutPrefix(after, Proxy); isProxy && (proxied == "" || proxied[0] == '/') {
		r.Segment, r.Rest = Proxy, proxied
		return r, true, nil
	}
	return r.finish(after)
}

// finish takes segment, object and action.
func (r Route) finish(rest string) (Route, bool, error) {
	parts := strings.Split(rest, "/")
	if len(parts) > 3 {
		return Route{}, true, fmt.Errorf("a path has a segment, an object and an action at most; write a slash in an object's name as %%2F")
	}
	for i, part := range parts {
		decoded, err := url.PathUnescape(part)
		// Only objects have names that need an escape: a segment or an action with one is
		// another spelling of what is compared elsewhere.
		if err != nil || !isName(decoded) || i != 1 && decoded != part {
			return Route{}, true, fmt.Errorf("part %d of what is to serve is empty, too long or no name", i+1)
		}
		*[]*string{&r.Segment, &r.Object, &r.Action}[i] = decoded
	}
	return r, true, nil
}

// isName tells what can be an object's name, slashes and all, and no other path to
// whoever puts it into one: an engine's client cleans "images/../x".
func isName(s string) bool {
	if len(s) > maxObject || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsAny(s, `\%`) {
		return false
	}
	// Engines tell the names of containers with a slash in front.
	for part := range strings.SplitSeq(strings.TrimPrefix(s, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

type key struct{}

// With returns a context that carries the route.
func With(ctx context.Context, r Route) context.Context { return context.WithValue(ctx, key{}, r) }

// From returns the route of a context; the zero one where there is none.
func From(ctx context.Context) Route {
	r, _ := ctx.Value(key{}).(Route)
	return r
}
