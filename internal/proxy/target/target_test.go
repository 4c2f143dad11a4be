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

package target

import (
	"errors"
	"net/http"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

var prod = types.NamespacedName{Namespace: "team", Name: "prod"}

// fakeEngine is nobody's.
type fakeEngine struct{ engine.Engine }

// hosts knows prod alone.
type hosts struct {
	state hostcache.State
	live  engine.Engine
	err   error
}

func (h hosts) State(key hostcache.Key) (hostcache.State, bool) { return h.state, key == prod }

func (h hosts) Engine(hostcache.Key) (engine.Engine, error) { return h.live, h.err }

func TestFind(t *testing.T) {
	connected := hostcache.State{Key: prod, Phase: hostcache.PhaseConnected}
	live := &fakeEngine{}
	if got, state, err := Find(hosts{state: connected, live: live}, prod); got != engine.Engine(live) || state.Key != prod || err != nil {
		t.Errorf("a connected host: %v, %v, %v", got, state.Key, err)
	}
	failed := hostcache.State{Key: prod, Err: engine.Errorf(engine.ClassUnreachable, engine.CauseDialFailed, "connection refused")}
	noCause := hostcache.State{Key: prod, Err: engine.Errorf(engine.ClassServer, "", "500 from the engine")}
	for name, tc := range map[string]struct {
		hosts  hosts
		key    types.NamespacedName
		code   int32
		reason string // of a 503
	}{
		"unknown":       {hosts{}, types.NamespacedName{Namespace: "team", Name: "other"}, http.StatusNotFound, ""},
		"first attempt": {hosts{state: hostcache.State{Key: prod}}, prod, http.StatusServiceUnavailable, dcv1.ReasonConnecting},
		"suspended":     {hosts{state: hostcache.State{Key: prod, Phase: hostcache.PhaseSuspended}}, prod, http.StatusServiceUnavailable, dcv1.ReasonSuspended},
		"failed":        {hosts{state: failed}, prod, http.StatusServiceUnavailable, string(engine.CauseDialFailed)},
		"no cause":      {hosts{state: noCause}, prod, http.StatusServiceUnavailable, dcv1.ReasonEngineError},
		"lost since":    {hosts{state: connected, err: errors.New("lost")}, prod, http.StatusServiceUnavailable, string(engine.CauseDialFailed)},
	} {
		got, _, err := Find(tc.hosts, tc.key)
		var status *apierrors.StatusError
		if got != nil || !errors.As(err, &status) || status.ErrStatus.Code != tc.code || status.ErrStatus.Details.Name != tc.key.Name {
			t.Errorf("%s: got %v and %v, want %d about %s", name, got, err, tc.code, tc.key)
			continue
		}
		if causes := status.ErrStatus.Details.Causes; tc.reason != "" && (len(causes) != 1 || string(causes[0].Type) != tc.reason) {
			t.Errorf("%s: the causes are %v, want %s", name, causes, tc.reason)
		}
	}
}
