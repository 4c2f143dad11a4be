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

package hostapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

// grants is a fake Authorizer: who holds which rights on which hosts.
type grants struct {
	mu     sync.Mutex
	rights map[string]bool // "user host subresource"
	guards map[*guarded]struct{}
	told   map[*func()]struct{}
	away   bool
	asks   int
}

type guarded struct {
	user   string
	rights []authz.Right
	cancel context.CancelCauseFunc
}

func newGrants() *grants {
	return &grants{rights: map[string]bool{}, guards: map[*guarded]struct{}{}, told: map[*func()]struct{}{}}
}

func rightKey(who string, host authz.Host, right access.Right) string {
	return fmt.Sprintf("%s %s %s", who, host, right.Subresource)
}

// grant gives get on subresources.
func (g *grants) grant(who string, host authz.Host, subresources ...access.Subresource) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range subresources {
		g.rights[rightKey(who, host, access.Right{Subresource: s, Verb: access.Get})] = true
	}
}

// revoke takes get on a subresource away and ends what it guarded.
func (g *grants) revoke(who string, host authz.Host, s access.Subresource) {
	g.mu.Lock()
	defer g.mu.Unlock()
	right := access.Right{Subresource: s, Verb: access.Get}
	delete(g.rights, rightKey(who, host, right))
	for guard := range g.guards {
		if guard.user == who && slices.Contains(guard.rights, authz.Right{Host: host, Right: right}) {
			guard.cancel(authz.ErrRevoked)
		}
	}
}

func (g *grants) outage(away bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away = away
}

// asked counts questions.
func (g *grants) asked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asks
}

func (g *grants) Allowed(_ context.Context, who user.Info, host authz.Host, right access.Right) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asks++
	if g.away {
		return false, apistatus.Unavailable("the kube-apiserver is away")
	}
	return g.rights[rightKey(who.GetName(), host, right)], nil
}

func (g *grants) Authorize(ctx context.Context, who user.Info, host authz.Host, right access.Right) error {
	allowed, err := g.Allowed(ctx, who, host, right)
	if err == nil && !allowed {
		err = apistatus.Forbidden(who.GetName(), host, right)
	}
	return err
}

func (g *grants) Hosts(ctx context.Context, c *caller.Caller, right access.Right, hosts []authz.Host) ([]authz.Host, error) {
	var some []authz.Host
	for _, host := range hosts {
		allowed, err := g.Allowed(ctx, c.User, host, right)
		if err != nil {
			return nil, err
		}
		if allowed {
			some = append(some, host)
		}
	}
	return some, nil
}

func (g *grants) Guard(ctx context.Context, c *caller.Caller, rights ...authz.Right) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	guard := &guarded{user: c.User.GetName(), rights: rights, cancel: cancel}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guards[guard] = struct{}{}
	return ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.guards, guard)
		cancel(nil)
	}
}

func (g *grants) OnGrantsChanged(fn func()) (cancel func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told[&fn] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.told, &fn)
	}
}

// changed tells that grants have changed.
func (g *grants) changed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for fn := range g.told {
		(*fn)()
	}
}

// hider is a fake Masker: it hides a container's command and the labels of no project.
type hider struct{}

var errUnmaskable = errors.New("unmaskable")

func (hider) AppendMasked(dst []byte, _ engine.Kind, item []byte) ([]byte, error) {
	if bytes.Contains(item, []byte("unmaskable")) {
		return dst, errUnmaskable
	}
	var fields map[string]any
	if err := json.Unmarshal(item, &fields); err != nil {
		return dst, err
	}
	if _, has := fields["Command"]; has {
		fields["Command"] = "(masked)"
	}
	labels, _ := fields["Labels"].(map[string]any)
	if spec, has := fields["Spec"].(map[string]any); has {
		labels, _ = spec["Labels"].(map[string]any)
	}
	for key := range labels {
		if !strings.HasPrefix(key, "com.docker.compose.project") {
			labels[key] = "(masked)"
		}
	}
	text, err := json.Marshal(fields)
	return append(dst, text...), err
}
