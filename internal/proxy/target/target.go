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
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/hostspec"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// Hosts is what is known of the declared hosts; *hostcache.Cache is one.
type Hosts interface {
	State(key hostcache.Key) (hostcache.State, bool)
	Engine(key hostcache.Key) (engine.Engine, error)
}

// Find returns the live engine of a host with the state it is in.
func Find(hosts Hosts, key types.NamespacedName) (engine.Engine, hostcache.State, error) {
	state, ok := hosts.State(key)
	if !ok {
		return nil, state, apistatus.HostNotFound(key)
	}
	if !state.Connected() {
		return nil, state, NotReady(state)
	}
	live, err := hosts.Engine(key)
	if err != nil { // lost since
		return nil, state, apistatus.HostUnavailable(key, string(engine.CauseDialFailed), err.Error())
	}
	return live, state, nil
}

// NotReady says why a host that is not connected is not, in the words of its status.
func NotReady(state hostcache.State) error {
	reason, message := hostspec.Unavailability(state)
	return apistatus.HostUnavailable(state.Key, reason, message)
}
