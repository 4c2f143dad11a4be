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
	"io"
	"net/http"

	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
	"github.com/dockercontrol/dockercontrol/internal/mask"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/dockerapi"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/proxy/target"
)

// Engines is what the proxy needs to serve engines. All of it is required.
type Engines struct {
	Hosts target.Hosts
	Audit audit.Recorder
	Keys  *keyring.Keyring
}

// engines serves the paths of package route to callers who are known.
type engines struct {
	authz   *authz.Authorizer
	tunnels *dockerapi.Tunnels
	passed  http.Handler
}

func newEngines(o Options, connections *limit.Counter) (*engines, error) {
	authorizer, err := authz.New(rest.CopyConfig(o.RESTConfig), o.Log.WithName("authz"))
	if err != nil {
		return nil, err
	}
	e := &engines{authz: authorizer, tunnels: dockerapi.NewTunnels()}
	e.passed = &dockerapi.Handler{
		Hosts: o.Engines.Hosts, Authz: authorizer, Audit: o.Engines.Audit, Mask: masker{},
		Keys: execKeys{o.Engines.Keys}, Limit: connections, Tunnels: e.tunnels, Log: o.Log.WithName("dockerapi"),
	}
	return e, nil
}

// ServeHTTP finds the handler of a path below route.Prefix.
func (e *engines) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parsed, ok, err := route.Parse(r.URL.EscapedPath())
	switch {
	case err != nil:
		apistatus.Write(w, apistatus.BadRequest("%s", err.Error()))
	case !ok:
		apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
	case parsed.Segment == route.Proxy:
		e.passed.ServeHTTP(w, r.WithContext(route.With(r.Context(), parsed)))
	default:
		limit.Body(limit.MaxBody, http.HandlerFunc(e.typed)).ServeHTTP(w, r.WithContext(route.With(r.Context(), parsed)))
	}
}

// typed serves lists and actions.
func (e *engines) typed(w http.ResponseWriter, r *http.Request) {
	apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
}

// masker finds an operation's policy for the pass-through.
type masker struct{}

// Copy implements dockerapi.Masker.
func (masker) Copy(operation string, dst io.Writer, src io.Reader) error {
	policy, ok := mask.For(operation)
	if !ok {
		return apistatus.New(http.StatusForbidden, "Forbidden", "nothing says what of this answer may be seen without the right to inspect")
	}
	return policy.Copy(dst, src)
}

// execKeys are the keys of exec ids, the one that signs first.
type execKeys struct{ keys *keyring.Keyring }

// All implements dockerapi.Keys.
func (k execKeys) All() [][]byte {
	all := [][]byte{k.keys.Current(keyring.ExecIDs).Bytes}
	for _, key := range k.keys.All(keyring.ExecIDs) {
		all = append(all, key.Bytes)
	}
	return all
}

// sessionKeys are the keys of browsers' sessions.
type sessionKeys struct{ keys *keyring.Keyring }

// Current implements session.Keys.
func (k sessionKeys) Current() (string, []byte) {
	key := k.keys.Current(keyring.SessionCookies)
	return key.ID, key.Bytes
}

// Key implements session.Keys.
func (k sessionKeys) Key(id string) ([]byte, bool) {
	key, ok := k.keys.Find(keyring.SessionCookies, id)
	return key.Bytes, ok
}
