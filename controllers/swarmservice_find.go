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
	"encoding/json"
	"fmt"
	"strings"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/api/meta"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

const (
	// listingPatience is how long a listing may take to show what was written. The event
	// comes within milliseconds; after this the engine is asked itself.
	listingPatience = 5 * time.Second
	// tasksPause is a little more than the pause between two lists of tasks that are
	// followed.
	tasksPause = 1200 * time.Millisecond
	// globalPatience is how long a swarm may take to make the first task of a global
	// service: it decides by itself how many there are to be, within a second or so. After
	// this none means that no node fits.
	globalPatience = 5 * time.Second
)

// saysReady reports whether Ready has this reason already.
func saysReady(svc *dcv1.SwarmService, reason string) bool {
	ready := meta.FindStatusCondition(svc.Status.Conditions, dcv1.ConditionReady)
	return ready != nil && ready.Reason == reason
}

// find looks the service up in what the host cache has listed. It is not found while
// the listing may lack what was written, or there is none.
func (t *serviceTurn) find(ctx context.Context) (have *engineswarm.Service, found bool) {
	listing, err := t.Hosts.List(t.on.Via, engine.Services)
	if err != nil {
		t.away(awayFor(dcv1.ReasonHostNotReady, "The swarm's services cannot be listed: %s", err.Error()))
		return nil, false
	}
	have, err = serviceNamed(listing.Items, t.svc.ServiceName())
	if err != nil {
		t.err, t.silent = err, true
		return nil, false
	}
	t.view.listedAt = listing.ListedAt
	w := t.memory.written
	switch {
	case w.id == "":
		return have, true
	case have != nil && (have.ID != w.id || have.Version.Index > w.above):
		t.memory.written = writtenService{}
		return have, true
	}
	if left := listingPatience - t.now.Sub(w.at); left > 0 {
		t.silent, t.again = true, left
		return nil, false
	}
	have, err = inspectService(ctx, t.on.Engine, w.id)
	if err != nil {
		t.err, t.silent = err, true
		return nil, false
	}
	t.memory.written, t.view.listedAt = writtenService{}, t.now
	return have, true
}

// serviceNamed finds a service in a listing, nil if there is none.
func serviceNamed(items []engine.Object, name string) (*engineswarm.Service, error) {
	for i := range items {
		if items[i].Name == name {
			return decodeService(items[i].Raw)
		}
	}
	return nil, nil
}

func decodeService(raw json.RawMessage) (*engineswarm.Service, error) {
	service := &engineswarm.Service{}
	if err := json.Unmarshal(raw, service); err != nil {
		return nil, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's answer about a service cannot be read: %w", err)
	}
	return service, nil
}

// inspectService asks the engine itself, by id or name; nil if there is none.
func inspectService(ctx context.Context, eng engine.Engine, ref string) (*engineswarm.Service, error) {
	raw, err := eng.Inspect(ctx, engine.Services, ref)
	switch {
	case engine.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	service, err := decodeService(raw)
	if err != nil || service.ID != ref && service.Spec.Name != ref {
		return nil, err // engines also go by the beginning of an id
	}
	return service, nil
}

// look gathers the tasks and nodes of the service.
func (t *serviceTurn) look() {
	v := &t.view
	if v.service == nil {
		return
	}
	if s := &t.memory.seen; s.id != v.service.ID || s.version != v.service.Version.Index {
		*s = seenVersion{v.service.ID, v.service.Version.Index, v.listedAt, t.now}
		if was := &t.before.Status; was.ServiceID == s.id && was.SpecVersion == int64(s.version) {
			s.listedAt, s.at = time.Time{}, time.Time{} // seen by the process before this one
		}
	}
	tasks, err := t.Hosts.List(t.on.Via, engine.Tasks)
	if err != nil {
		t.away(awayFor(dcv1.ReasonHostNotReady, "The swarm's tasks cannot be listed: %s", err.Error()))
		return
	}
	var raws []json.RawMessage
	for i := range tasks.Items {
		if tasks.Items[i].ServiceID == v.service.ID {
			raws = append(raws, tasks.Items[i].Raw)
		}
	}
	v.tasks = decodeTasks(raws)
	v.current = tasks.ObservedAt.After(t.memory.seen.listedAt)
	v.failures = tasks.ObservedAt.After(t.memory.seen.at)
	v.early = isGlobal(v.service) && !tasks.ObservedAt.After(t.memory.seen.at.Add(globalPatience))
	v.nodes = map[string]string{}
	nodes, err := t.Hosts.List(t.on.Via, engine.Nodes)
	if err == nil {
		for i := range nodes.Items {
			v.nodes[nodes.Items[i].ID] = limit(nodes.Items[i].Name, maxStatusName)
		}
	}
}

// limit cuts a text to so many bytes, and no character in two.
func limit(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// leftBehind refuses a spec.hostRef of another swarm than the one that has the service.
func (t *serviceTurn) leftBehind() *SpecFault {
	s := &t.svc.Status
	if s.ServiceID == "" || s.ClusterID == "" || s.ClusterID == t.on.Swarm.ClusterID {
		return nil
	}
	if t.goneFrom(s.ClusterID) || t.givenUp(s.ClusterID) {
		s.ServiceID, s.ClusterID, s.SpecVersion = "", "", 0
		t.memory.written, t.memory.applied, t.memory.made = writtenService{}, applied{}, madeService{}
		meta.RemoveStatusCondition(&s.Conditions, dcv1.ConditionDrifted)
		return nil
	}
	return &SpecFault{dcv1.ReasonSwarmChanged, fmt.Sprintf(
		"spec.hostRef: DockerHost %s is a manager of another swarm than the one that has the service %s. Name a manager of that swarm again, "+
			"or remove the service there. If that swarm is gone for good, set the annotation %s to %s, and the service is created on this one.",
		t.svc.Spec.HostRef.Name, t.svc.ServiceName(), dcv1.AnnotationAdopt, t.on.Swarm.ClusterID)}
}

// givenUp reports whether somebody says that the new swarm is to have the service, since
// the old one is gone. While that answers, it has the say itself.
func (t *serviceTurn) givenUp(clusterID string) bool {
	sw, is := t.swarmByID(t.svc.Namespace, clusterID)
	return t.svc.Annotations[dcv1.AnnotationAdopt] == t.on.Swarm.ClusterID && (!is || sw.ServedBy == (hostcache.Key{}) || sw.Err != nil)
}

// goneFrom reports whether it is known that a swarm has the service no more, or that it
// has another owner.
func (t *serviceTurn) goneFrom(clusterID string) bool {
	sw, is := t.swarmByID(t.svc.Namespace, clusterID)
	if !is || sw.ServedBy == (hostcache.Key{}) || sw.Err != nil {
		return false
	}
	listing, err := t.Hosts.List(sw.ServedBy, engine.Services)
	if err != nil {
		return false
	}
	for i := range listing.Items {
		if o := &listing.Items[i]; o.ID == t.svc.Status.ServiceID {
			return o.Labels[dcv1.LabelOwnerUID] != string(t.svc.UID)
		}
	}
	return true
}
