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

package hostcache

import (
	"context"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// maxDirty is how many containers are listed by id; more, and all are: the ids
// go into a URL, and an engine takes as long for each as for a list of some.
const maxDirty = 100

// silent are actions of a container that no list shows.
var silent = map[string]bool{
	"exec_create": true, "exec_start": true, "exec_die": true, "exec_detach": true,
	"attach": true, "detach": true, "resize": true, "top": true, "kill": true,
	"archive-path": true, "extract-to-dir": true, "copy": true, "export": true,
	"commit": true, "checkpoint": true,
}

// apply turns the events that came into what there is to list again.
func (s *session) apply() {
	events, overflow := s.inbox.take()
	now := time.Now()
	if overflow {
		s.a.log.Info("The engine sends events faster than they can be handled; its inventory is listed anew")
		s.relist(now)
		s.a.cache.swarm.relist(s.a.key)
	}
	removed := false
	for i := range events {
		removed = s.applyOne(events[i], now) || removed
	}
	if removed {
		s.publishCounts()
	}
}

// applyOne reports whether it removed a container.
func (s *session) applyOne(e engine.Event, now time.Time) bool {
	// What follows a colon is free text: a command, a health check's output.
	action, _, _ := strings.Cut(string(e.Action), ":")
	switch e.Type {
	case events.ContainerEventType:
		return s.containerEvent(action, e.Actor.ID, now)
	case events.ImageEventType:
		if action != "push" && action != "save" {
			s.askKind(engine.Images, now)
			s.place.ask(time.Time{}, infoDelay)
		}
	case events.VolumeEventType:
		if action != "mount" && action != "unmount" {
			s.askKind(engine.Volumes, now)
		}
	case events.NetworkEventType:
		if action != "connect" && action != "disconnect" {
			s.askKind(engine.Networks, now)
			break
		}
		// The list of networks does not show who is connected, that of containers does.
		if id := e.Actor.Attributes["container"]; id != "" {
			s.touch(id, now)
		}
	case events.DaemonEventType:
		s.place.ask(time.Time{}, infoDelay)
	case events.NodeEventType:
		s.place.ask(time.Time{}, infoDelay)
		s.a.cache.swarm.event(s.a.key, engine.Nodes)
	case events.ServiceEventType, events.SecretEventType, events.ConfigEventType:
		s.a.cache.swarm.event(s.a.key, engine.Services)
	}
	return false
}

func (s *session) containerEvent(action, id string, now time.Time) (removed bool) {
	switch {
	case silent[action]:
	case id == "": // a prune, which also tells of each container
		s.askAllContainers(now)
	case action == "destroy":
		if s.containers.lane.busy {
			s.gone[id] = struct{}{}
		}
		delete(s.dirty, id)
		return s.a.inv.remove(engine.Containers, id)
	default:
		s.touch(id, now)
	}
	return false
}

// touch has one container listed again.
func (s *session) touch(id string, now time.Time) {
	if s.dirty[id] = struct{}{}; len(s.dirty) > maxDirty {
		s.full = true
	}
	s.containers.ask(now, 0)
	s.stale(engine.Containers, s.containers)
}

func (s *session) askAllContainers(since time.Time) {
	s.full = true
	s.containers.ask(since, 0)
	s.stale(engine.Containers, s.containers)
}

func (s *session) askKind(kind engine.Kind, since time.Time) {
	s.kinds[kind].ask(since, 0)
	s.stale(kind, s.kinds[kind])
}

// relist has everything listed again, because of what happened at since, or
// because of nothing for a zero time.
func (s *session) relist(since time.Time) {
	s.askAllContainers(since)
	for kind := range s.kinds {
		s.askKind(kind, since)
	}
	s.place.ask(time.Time{}, infoDelay)
}

// stale tells readers since when a kind's listing lacks something.
func (s *session) stale(kind engine.Kind, j *job) { s.a.inv.setStale(kind, j.staleSince()) }

func (s *session) makeJobs() {
	own, others, stream := &lane{}, &lane{}, &lane{}
	s.containers = &job{lane: own, spacing: containerSpacing, maxFailures: maxListFailures, begin: s.beginContainers}
	s.place = &job{lane: others, spacing: infoDelay, maxFailures: maxListFailures, begin: s.beginInfo}
	s.reopen = &job{lane: stream, spacing: 0, maxFailures: maxListFailures, begin: s.beginReopen}
	s.jobs.list = []*job{s.containers, s.reopen, s.place}
	for _, kind := range []engine.Kind{engine.Images, engine.Networks, engine.Volumes} {
		j := &job{lane: others, spacing: kindSpacing, maxRetry: maxKindRetry}
		j.begin = func() work { return s.beginKind(kind, j) }
		s.kinds[kind] = j
		s.jobs.list = append(s.jobs.list, j)
	}
}

// beginContainers lists the dirty containers, or all of them.
func (s *session) beginContainers() work {
	opts, full := engine.ListOptions{}, s.full
	dirty := s.dirty
	if !full {
		for id := range dirty {
			opts.IDs = append(opts.IDs, id)
		}
	}
	s.dirty, s.full = map[string]struct{}{}, false
	clear(s.gone)
	var objects []engine.Object
	return work{
		do: func(ctx context.Context) (err error) {
			if !full && len(opts.IDs) == 0 {
				return nil
			}
			objects, err = s.eng.List(ctx, engine.Containers, opts)
			return err
		},
		then: func() error {
			if full {
				if err := s.a.inv.replace(engine.Containers, objects, s.gone); err != nil {
					return err
				}
			} else if err := s.a.inv.merge(engine.Containers, opts.IDs, objects, s.gone); err != nil {
				s.askAllContainers(time.Now())
			}
			s.stale(engine.Containers, s.containers)
			s.publishCounts()
			return nil
		},
		// What could not be listed by ids is listed whole: the engine may be one that
		// cannot filter.
		failed: func(err *engine.Error) {
			s.full = true
			s.a.inv.setError(engine.Containers, err)
			s.stale(engine.Containers, s.containers)
		},
	}
}

// beginKind lists images, volumes or networks.
func (s *session) beginKind(kind engine.Kind, j *job) work {
	var objects []engine.Object
	return work{
		do: func(ctx context.Context) (err error) {
			objects, err = s.eng.List(ctx, kind, engine.ListOptions{})
			return err
		},
		then: func() error {
			if err := s.a.inv.replace(kind, objects, nil); err != nil {
				s.a.inv.setError(kind, toError(err))
			}
			s.stale(kind, j)
			return nil
		},
		failed: func(err *engine.Error) {
			// It may hang again, and must not keep the others waiting again.
			j.lane = &lane{}
			s.a.inv.setError(kind, err)
			s.stale(kind, j)
		},
	}
}

// beginInfo reads /info again.
func (s *session) beginInfo() work {
	known := s.a.memory
	var got identity
	return work{
		do: func(ctx context.Context) (err error) {
			got.info, got.volatile, err = s.readInfo(ctx, known.id, known.volatile)
			return err
		},
		then: func() error {
			got.version = s.is.version
			s.identified(got)
			s.publishIdentity()
			return nil
		},
	}
}

// publishIdentity publishes what the engine says of itself, its count of images
// among it.
func (s *session) publishIdentity() {
	if s.connectedAt.IsZero() {
		return
	}
	s.a.update(s.epoch, func(st *State) {
		st.Info, st.Version, st.Counts.Images = s.is.info, s.is.version, s.is.info.Images
	})
}

// publishCounts publishes the counts of containers.
func (s *session) publishCounts() {
	if s.connectedAt.IsZero() {
		return
	}
	counts := s.a.inv.counts()
	s.a.update(s.epoch, func(st *State) {
		counts.Images = st.Counts.Images
		st.Counts = counts
	})
}
