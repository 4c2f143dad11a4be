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

package controllers

import (
	"context"
	"maps"
	"sync"
	"time"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

const (
	// shelfAge is how long a list of what a swarm has of ours is relied on. What we
	// make and remove ourselves is noted at once; the rest is done by hand, rarely, and the
	// engine refuses a service whose secret is gone.
	shelfAge = 30 * time.Second
	// maxNamedOnShelf bounds what is remembered of objects that others made.
	maxNamedOnShelf = 10_000
	// lingerAge is how long a network that was removed is known for it: a manager has it,
	// and tells of it as the swarm's, until its own last task on it has stopped.
	lingerAge = 10 * time.Minute
)

// shelves are what is known of the secrets, configs and networks of swarms: one list a
// swarm serves all of its services.
type shelves struct {
	mu  sync.Mutex // never held across I/O
	all map[hostcache.SwarmKey]*shelf
}

type shelf struct {
	listed time.Time
	// owned are the secrets, configs and networks that some SwarmService owns.
	owned map[objectKey]ownedObject
	// named are the ids of what others made, and when they were looked up.
	named map[objectKey]namedObject
	// gone are the ids of the networks that were removed, and when.
	gone map[string]time.Time
}

type objectKey struct {
	kind engine.Kind
	name string
}

// ownedObject is a secret, config or network; a content is not kept.
type ownedObject struct {
	id string
	// owner is the UID of its SwarmService, with the object's namespace and name.
	owner, namespace, name string
	created                time.Time
}

type namedObject struct {
	id string
	at time.Time
}

// of is called with mu held.
func (s *shelves) of(key hostcache.SwarmKey) *shelf {
	if s.all == nil {
		s.all = map[hostcache.SwarmKey]*shelf{}
	}
	sh := s.all[key]
	if sh == nil {
		sh = &shelf{owned: map[objectKey]ownedObject{}, named: map[objectKey]namedObject{}, gone: map[string]time.Time{}}
		s.all[key] = sh
	}
	return sh
}

// refresh lists what the swarm has of ours where the last list is too old.
func (s *shelves) refresh(ctx context.Context, on SwarmAccess, now time.Time) error {
	s.mu.Lock()
	fresh := now.Sub(s.of(on.Swarm).listed) < shelfAge
	s.mu.Unlock()
	if fresh {
		return nil
	}
	owned := map[objectKey]ownedObject{}
	for _, kind := range []engine.Kind{engine.Secrets, engine.Configs, engine.Networks} {
		objects, err := on.Engine.List(ctx, kind, engine.ListOptions{Label: dcv1.LabelOwnerUID})
		if err != nil {
			return err
		}
		for _, o := range objects {
			if kind == engine.Networks && networkScope(o) != "swarm" {
				continue // the engine's own, whoever gave it the label
			}
			owned[objectKey{kind, o.Name}] = ownedObject{
				id: o.ID, owner: o.Labels[dcv1.LabelOwnerUID], namespace: o.Labels[dcv1.LabelOwnerNamespace],
				name: o.Labels[dcv1.LabelOwnerName], created: o.Created,
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.of(on.Swarm)
	sh.owned, sh.listed = owned, now
	maps.DeleteFunc(sh.named, func(_ objectKey, n namedObject) bool { return now.Sub(n.at) >= shelfAge })
	maps.DeleteFunc(s.all, func(_ hostcache.SwarmKey, o *shelf) bool {
		return o != sh && now.Sub(o.listed) > 10*shelfAge && len(o.named) == 0
	})
	return nil
}

func (s *shelves) find(key hostcache.SwarmKey, kind engine.Kind, name string) (ownedObject, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, found := s.of(key).owned[objectKey{kind, name}]
	return f, found
}

func (s *shelves) add(key hostcache.SwarmKey, kind engine.Kind, name string, f ownedObject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(key).owned[objectKey{kind, name}] = f
}

func (s *shelves) remove(key hostcache.SwarmKey, object objectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of(key).owned, object)
}

// removeNetwork forgets a network, by whatever name it was noted, and what the managers
// go on telling of it for a moment.
func (s *shelves) removeNetwork(key hostcache.SwarmKey, name, id string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, object := s.of(key), objectKey{engine.Networks, name}
	delete(sh.owned, object)
	delete(sh.named, object)
	maps.DeleteFunc(sh.gone, func(_ string, at time.Time) bool { return now.Sub(at) >= lingerAge })
	sh.gone[id] = now
}

// removed reports whether a network is one that was removed.
func (s *shelves) removed(key hostcache.SwarmKey, id string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, gone := s.of(key).gone[id]
	return gone && now.Sub(at) < lingerAge
}

// outdate has the next refresh list again, and forgets what others made.
func (s *shelves) outdate(key hostcache.SwarmKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.of(key)
	sh.listed = time.Time{}
	clear(sh.named)
}

// filter returns what is owned for which want says so.
func (s *shelves) filter(key hostcache.SwarmKey, want func(objectKey, ownedObject) bool) map[objectKey]ownedObject {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[objectKey]ownedObject{}
	for k, f := range s.of(key).owned {
		if want(k, f) {
			found[k] = f
		}
	}
	return found
}

// named returns the id of a secret or config by its name, whoever made it.
func (s *shelves) named(ctx context.Context, on SwarmAccess, kind engine.Kind, name string, now time.Time) (id string, found bool, err error) {
	if id, found = s.recall(on.Swarm, kind, name, now); found {
		return id, true, nil
	}
	objects, err := on.Engine.List(ctx, kind, engine.ListOptions{Names: []string{name}})
	if err != nil || len(objects) == 0 {
		return "", false, err
	}
	s.note(on.Swarm, kind, name, objects[0].ID, now)
	return objects[0].ID, true, nil
}

func (s *shelves) recall(key hostcache.SwarmKey, kind engine.Kind, name string, now time.Time) (id string, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.of(key).named[objectKey{kind, name}]
	return n.id, ok && now.Sub(n.at) < shelfAge
}

func (s *shelves) note(key hostcache.SwarmKey, kind engine.Kind, name, id string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh := s.of(key); len(sh.named) < maxNamedOnShelf {
		sh.named[objectKey{kind, name}] = namedObject{id, now}
	}
}
