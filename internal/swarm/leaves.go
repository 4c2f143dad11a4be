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

package swarm

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/swarm"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// leaf is what one field of ours says.
type leaf struct {
	value string
	// private values are shown to nobody: they may be secret, on the engine's side at least.
	private bool
}

// leaves are a spec, flattened: the paths of our fields and what they mean. What is as
// the engine has it by default is either filled in or left out, always one of both, so that
// two specs that mean the same have the same leaves.
type leaves map[string]leaf

// flatten makes leaves of a spec. networks are names by id; a network without one goes by its id.
func flatten(s swarm.ServiceSpec, networks map[string]string) leaves {
	l := leaves{}
	l.text("spec.serviceName", s.Name)
	l.private("spec.labels", s.Labels)
	mode := l.mode(s.Mode)
	job := mode == dcv1.SwarmReplicatedJob || mode == dcv1.SwarmGlobalJob
	if !job || s.UpdateConfig != nil {
		l.updateConfig("spec.updateConfig", s.UpdateConfig)
	}
	if !job || s.RollbackConfig != nil {
		l.updateConfig("spec.rollbackConfig", s.RollbackConfig)
	}
	l.endpoint(s.EndpointSpec)
	l.task(s.TaskTemplate, networks)
	if c := s.TaskTemplate.ContainerSpec; c != nil {
		l.container(c)
	}
	return l
}

// put adds a leaf. A list may say the same key twice, which the engine does not mind; then
// each is a leaf of its own.
func (l leaves) put(path, value string, private bool) {
	for n, p := 2, path; ; n++ {
		if _, taken := l[p]; !taken {
			l[p] = leaf{value, private}
			return
		}
		p = path + "#" + strconv.Itoa(n)
	}
}

func (l leaves) text(path, value string) {
	if value != "" {
		l.put(path, value, false)
	}
}

func (l leaves) flag(path string, value bool) {
	if value {
		l.put(path, "true", false)
	}
}

func (l leaves) number(path string, n int64) {
	if n != 0 {
		l.put(path, strconv.FormatInt(n, 10), false)
	}
}

func (l leaves) unsigned(path string, n uint64) { l.put(path, strconv.FormatUint(n, 10), false) }

func (l leaves) duration(path string, d time.Duration) {
	if d != 0 {
		l.put(path, d.String(), false)
	}
}

// list is one leaf: which item of a command changed tells nobody anything.
func (l leaves) list(path string, items []string, private bool) {
	if len(items) > 0 {
		text, _ := json.Marshal(items) // strings always marshal
		l.put(path, string(text), private)
	}
}

// set is a list whose order and repeats mean nothing.
func (l leaves) set(path string, items []string) {
	l.list(path, slices.Compact(slices.Sorted(slices.Values(items))), false)
}

// public and private have a leaf a key.
func (l leaves) public(path string, m map[string]string) { l.entries(path, m, false) }

func (l leaves) private(path string, m map[string]string) { l.entries(path, m, true) }

func (l leaves) entries(path string, m map[string]string, private bool) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		l.put(keyed(path, k), m[k], private)
	}
}

func keyed(path, key string) string { return path + "[" + key + "]" }

func (l leaves) mode(m swarm.ServiceMode) dcv1.SwarmServiceMode {
	mode := dcv1.SwarmReplicated
	switch {
	case m.Global != nil:
		mode = dcv1.SwarmGlobal
	case m.GlobalJob != nil:
		mode = dcv1.SwarmGlobalJob
	case m.ReplicatedJob != nil:
		mode = dcv1.SwarmReplicatedJob
		concurrent := value(m.ReplicatedJob.MaxConcurrent, 1)
		l.unsigned("spec.maxConcurrent", concurrent)
		l.unsigned("spec.replicas", value(m.ReplicatedJob.TotalCompletions, concurrent))
	case m.Replicated != nil:
		l.unsigned("spec.replicas", value(m.Replicated.Replicas, 1))
	default:
		l.unsigned("spec.replicas", 1)
	}
	l.text("spec.mode", string(mode))
	return mode
}

// value is what p points at, or the engine's default.
func value[T any](p *T, otherwise T) T {
	if p != nil {
		return *p
	}
	return otherwise
}

// or is the engine's default for an empty value.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// words are a text's, with one space between them.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }
