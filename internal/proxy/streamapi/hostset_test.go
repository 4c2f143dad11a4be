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

package streamapi

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// awayRights cannot be asked while away is set.
type awayRights struct {
	rights
	away atomic.Bool
}

func (a *awayRights) Allowed(ctx context.Context, who user.Info, host authz.Host, right access.Right) (bool, error) {
	if a.away.Load() {
		return false, errors.New("nobody answers")
	}
	return a.rights.Allowed(ctx, who, host, right)
}

// everyHost knows every host.
type everyHost struct{ Hosts }

func (everyHost) State(hostcache.Key) (hostcache.State, bool) { return hostcache.State{}, true }

func (everyHost) Notify(func(hostcache.Change)) (cancel func()) { return func() {} }

// TestHostSetOutage: what was allowed outlasts a short outage, and no long one.
func TestHostSetOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		who := &awayRights{rights: rights{denied: map[string]bool{}}}
		c := &call{
			h:   &Handler{options: Options{Authorizer: who, Hosts: everyHost{}}},
			who: &caller.Caller{User: &user.DefaultInfo{Name: "ann"}}, at: route.Route{Namespace: "prod", Host: "one"},
		}
		set, err := c.followHosts(t.Context(), eventsRight, "")
		if err != nil {
			t.Fatal(err)
		}
		defer set.close()
		hosts, current, _ := set.get()
		if len(hosts) != 1 || hosts[0].masked {
			t.Fatalf("the hosts are %+v", hosts)
		}
		who.away.Store(true)
		time.Sleep(reviewOutage - 3*reviewInterval)
		if _, _, err := set.get(); err != nil || current.Err() != nil {
			t.Errorf("a short outage: %v, %v", err, current.Err())
		}
		time.Sleep(6 * reviewInterval)
		hosts, after, err := set.get()
		if !errors.Is(err, authz.ErrUnverified) || len(hosts) != 0 || current.Err() == nil {
			t.Errorf("a long outage: %v, %v, %v", hosts, err, current.Err())
		}
		who.away.Store(false)
		time.Sleep(2 * reviewInterval)
		if hosts, _, err := set.get(); err != nil || len(hosts) != 1 || after.Err() == nil {
			t.Errorf("after the outage: %v, %v", hosts, err)
		}
	})
}
