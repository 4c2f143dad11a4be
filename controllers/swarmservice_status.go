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
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	engineswarm "github.com/moby/moby/api/types/swarm"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/status"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

// Bounds of a status, as in the CRD.
const (
	maxStatusNodes = 100
	maxTaskErrors  = 10
	maxTaskError   = 1024
	maxStatusName  = 256
	maxStateText   = 32
	maxUpdateText  = 1024
)

// serviceView is what one reconciliation knows of a service.
type serviceView struct {
	// swarm and servedBy are empty while the swarm cannot be asked.
	clusterID, servedBy string
	// service is what the swarm has, nil where it has none or that is not known.
	service *engineswarm.Service
	tasks   []engineswarm.Task
	// listedAt is when the swarm's services were listed.
	listedAt time.Time
	// current: the tasks were listed after the service became what it is. failures: so
	// long after that a task which failed is not of before.
	current, failures bool
	// early: the swarm may have yet to make the tasks of this global service.
	early bool
	// nodes are host names by node id.
	nodes map[string]string

	// fault keeps the service from being what its spec says; passes tells that it ends
	// without the user.
	fault  *SpecFault
	passes bool
	// known tells whether service, or its absence, is.
	known bool
	// written: it was written just now, and the swarm's listings do not have that yet.
	written, created bool
	// checked: the diff is that of this generation, which was written once.
	checked bool
	diff    swarm.Differences
	// missing: somebody removed the service.
	missing bool
}

// setServiceStatus brings svc.Status to what is known. It touches nothing that says the
// same already, and depends on its arguments only.
func setServiceStatus(svc *dcv1.SwarmService, v *serviceView, now time.Time) (counts taskCounts) {
	s := &svc.Status
	s.ObservedGeneration = svc.Generation
	s.Selector = swarm.Selector(svc.UID, svc.Spec.HostRef.Name)
	if v.servedBy != "" {
		s.ServedBy = v.servedBy
	}
	switch {
	case v.service != nil:
		counts = countTasks(v.service, v.tasks, now)
		s.ClusterID, s.ServiceID = v.clusterID, v.service.ID
		setServiceCounts(svc, v, counts)
	case v.known:
		clearCounts(s)
	}
	setServiceConditions(svc, v, counts)
	return counts
}

func clearCounts(s *dcv1.SwarmServiceStatus) {
	s.Replicas, s.RunningReplicas, s.UpdatedReplicas, s.CompletedReplicas, s.DesiredReplicas = 0, 0, 0, 0, 0
	s.ReplicaSummary, s.UpdateStatus, s.Distribution, s.TaskErrors = "", nil, nil, nil
}

func setServiceCounts(svc *dcv1.SwarmService, v *serviceView, c taskCounts) {
	s := &svc.Status
	s.SpecVersion = int64(v.service.Version.Index)
	s.Replicas, s.RunningReplicas, s.UpdatedReplicas = c.there, c.running, c.updated
	s.CompletedReplicas, s.DesiredReplicas = c.completed, c.desired
	if isJob(v.service) {
		s.ReplicaSummary = fmt.Sprintf("%d/%d", c.completed, c.desired)
	} else {
		s.ReplicaSummary = fmt.Sprintf("%d/%d", c.running, c.desired)
	}
	s.UpdateStatus = updateStatus(v.service.UpdateStatus)
	s.Distribution = distribution(c.perNode, v.nodes)
	s.TaskErrors = taskErrors(s.TaskErrors, v.tasks, v.nodes)
	if container := v.service.Spec.TaskTemplate.ContainerSpec; container != nil && v.checked && v.diff.Empty() {
		s.Image, s.ImageDigest = svc.Spec.Image, digestOf(container.Image)
	}
}

func isJob(service *engineswarm.Service) bool {
	return service.Spec.Mode.ReplicatedJob != nil || service.Spec.Mode.GlobalJob != nil
}

// isGlobal reports whether the swarm decides how many tasks there are to be.
func isGlobal(service *engineswarm.Service) bool {
	return service.Spec.Mode.Global != nil || service.Spec.Mode.GlobalJob != nil
}

// digestOf is the digest in a reference, or nothing.
func digestOf(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return ""
	}
	if d, ok := named.(reference.Digested); ok {
		return d.Digest().String()
	}
	return ""
}

var updateStates = map[engineswarm.UpdateState]dcv1.SwarmUpdateState{
	engineswarm.UpdateStateUpdating:          dcv1.SwarmUpdating,
	engineswarm.UpdateStatePaused:            dcv1.SwarmUpdatePaused,
	engineswarm.UpdateStateCompleted:         dcv1.SwarmUpdateCompleted,
	engineswarm.UpdateStateRollbackStarted:   dcv1.SwarmRollbackStarted,
	engineswarm.UpdateStateRollbackPaused:    dcv1.SwarmRollbackPaused,
	engineswarm.UpdateStateRollbackCompleted: dcv1.SwarmRollbackCompleted,
}

func updateStatus(u *engineswarm.UpdateStatus) *dcv1.SwarmUpdateStatus {
	if u == nil || updateStates[u.State] == "" {
		return nil
	}
	return &dcv1.SwarmUpdateStatus{
		State: updateStates[u.State], StartedAt: statusTime(u.StartedAt), CompletedAt: statusTime(u.CompletedAt),
		Message: status.CleanText(u.Message, maxUpdateText),
	}
}

// statusTime is a time as the API keeps it, to the second.
func statusTime(t *time.Time) *metav1.Time {
	if t == nil || t.IsZero() {
		return nil
	}
	rounded := metav1.NewTime(t.Truncate(time.Second)).Rfc3339Copy()
	return &rounded
}

func distribution(perNode map[string]int32, nodes map[string]string) []dcv1.SwarmNodeReplicas {
	var list []dcv1.SwarmNodeReplicas
	for id, n := range perNode {
		if id != "" {
			list = append(list, dcv1.SwarmNodeReplicas{NodeID: id, Node: nodes[id], Replicas: n})
		}
	}
	slices.SortFunc(list, func(a, b dcv1.SwarmNodeReplicas) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.NodeID, b.NodeID))
	})
	return list[:min(len(list), maxStatusNodes)]
}

// taskErrors are the last errors, the newest first, each text once. One that repeats
// stays as it was first told: a container that always fails is no news every 5 s.
func taskErrors(told []dcv1.SwarmTaskError, tasks []engineswarm.Task, nodes map[string]string) []dcv1.SwarmTaskError {
	sorted := slices.SortedFunc(slices.Values(tasks), func(a, b engineswarm.Task) int {
		return cmp.Or(b.Status.Timestamp.Compare(a.Status.Timestamp), cmp.Compare(a.ID, b.ID))
	})
	var list []dcv1.SwarmTaskError
	for _, t := range sorted {
		e := taskError(&t, nodes)
		sameText := func(o dcv1.SwarmTaskError) bool { return o.Error == e.Error }
		if e.Error == "" || slices.ContainsFunc(list, sameText) {
			continue
		}
		if i := slices.IndexFunc(told, sameText); i >= 0 {
			e = told[i]
		}
		if list = append(list, e); len(list) == maxTaskErrors {
			break
		}
	}
	slices.SortStableFunc(list, func(a, b dcv1.SwarmTaskError) int { return b.Time.Time.Compare(a.Time.Time) })
	return list
}

func taskError(t *engineswarm.Task, nodes map[string]string) dcv1.SwarmTaskError {
	at := statusTime(&t.Status.Timestamp)
	if at == nil {
		at = &metav1.Time{}
	}
	return dcv1.SwarmTaskError{
		TaskID: t.ID, Node: nodes[t.NodeID], Time: at,
		State: status.CleanText(string(t.Status.State), maxStateText), Error: status.CleanText(t.Status.Err, maxTaskError),
	}
}

// ofTasks says how many tasks run, for people.
func ofTasks(service *engineswarm.Service, c taskCounts) string {
	if isJob(service) {
		return fmt.Sprintf("%d of %d tasks have completed", c.completed, c.desired)
	}
	return fmt.Sprintf("%d of %d tasks run", c.running, c.desired)
}

// because says what became of the task that failed last.
func because(v *serviceView, t *engineswarm.Task) string {
	if t == nil {
		return ""
	}
	where := ""
	if node := v.nodes[t.NodeID]; node != "" {
		where = " on node " + node
	}
	return fmt.Sprintf(" A task%s is %s: %s", where, t.Status.State, strings.TrimSuffix(cmp.Or(t.Status.Err, t.Status.Message, "no reason given"), ".")+".")
}
