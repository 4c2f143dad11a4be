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

package enginetest

import (
	"runtime"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (s *suite) testSystem(t *testing.T) {
	subtests(t, []subtest{
		{"ping", s.testPing},
		{"version", s.testVersion},
		{"info", s.testInfo},
		{"counts of containers", s.testCounts},
	})
}

func (s *suite) testPing(t *testing.T) {
	e := s.open(t)
	p, err := e.Ping(s.context(t))
	s.must(t, "ping", err)
	if engine.CompareAPIVersions(p.APIVersion, engine.MinAPIVersion) < 0 {
		t.Errorf("ping says API version %q", p.APIVersion)
	}
	osType := "linux"
	if s.differs(t, NoOSType) {
		osType = ""
	}
	if p.OSType != osType {
		t.Errorf("ping says OS type %q; want %q", p.OSType, osType)
	}
	if p.Latency <= 0 || p.Latency > limit {
		t.Errorf("ping took %v", p.Latency)
	}
	switch {
	case engine.CompareAPIVersions(p.APIVersion, "1.43") < 0:
		// These say nothing, or the truth.
		if p.SwarmState != "" && (p.SwarmState == "active") != s.Swarm {
			t.Errorf("ping says swarm %q", p.SwarmState)
		}
	case s.Swarm && (p.SwarmState != "active" || !p.ControlAvailable):
		t.Errorf("ping says swarm %q, control available %t; want a manager", p.SwarmState, p.ControlAvailable)
	case !s.Swarm && p.SwarmState != "inactive":
		t.Errorf("ping says swarm %q; want inactive", p.SwarmState)
	}
}

func (s *suite) testVersion(t *testing.T) {
	v, err := s.e.Version(s.context(t))
	s.must(t, "version", err)
	p, err := s.e.Ping(s.context(t))
	s.must(t, "ping", err)
	if v.APIVersion != p.APIVersion {
		t.Errorf("version says API %q, ping %q", v.APIVersion, p.APIVersion)
	}
	if v.MinAPIVersion == "" || engine.CompareAPIVersions(v.MinAPIVersion, v.APIVersion) > 0 {
		t.Errorf("the least API version is %q of %q", v.MinAPIVersion, v.APIVersion)
	}
	if v.Version == "" || v.KernelVersion == "" || v.Os != "linux" || v.Arch != runtime.GOARCH {
		t.Errorf("version is %+v", v)
	}
}

func (s *suite) testInfo(t *testing.T) {
	info, err := s.e.Info(s.context(t))
	s.must(t, "info", err)
	v, err := s.e.Version(s.context(t))
	s.must(t, "version", err)
	if info.ServerVersion != v.Version || info.KernelVersion != v.KernelVersion {
		t.Errorf("info says version %q, kernel %q; version %q, %q", info.ServerVersion, info.KernelVersion, v.Version, v.KernelVersion)
	}
	for what, value := range map[string]string{
		"ID": info.ID, "Name": info.Name, "OperatingSystem": info.OperatingSystem, "Driver": info.Driver,
		"Architecture": info.Architecture, "CgroupVersion": info.CgroupVersion,
	} {
		if value == "" {
			t.Errorf("info says no %s", what)
		}
	}
	if info.OSType != "linux" || info.NCPU < 1 || info.MemTotal < 1<<20 {
		t.Errorf("info says OS type %q, %d CPUs, %d bytes of memory", info.OSType, info.NCPU, info.MemTotal)
	}
	if info.Rootless() {
		t.Error("info says that a root's engine is rootless")
	}
	at, err := time.Parse(time.RFC3339Nano, info.SystemTime)
	if d := time.Since(at).Abs(); err != nil || d > time.Minute {
		t.Errorf("info says that it is %q", info.SystemTime)
	}
	again, err := s.open(t).Info(s.context(t))
	s.must(t, "info", err)
	if s.differs(t, NewID) != (again.ID != info.ID) {
		t.Errorf("the engine's ID is %q, then %q", info.ID, again.ID)
	}
	s.checkSwarmInfo(t, info.Swarm)
}

func (s *suite) checkSwarmInfo(t *testing.T, info engine.SwarmInfo) {
	t.Helper()
	if !s.Swarm {
		if info.LocalNodeState != "inactive" && info.LocalNodeState != "" || info.ControlAvailable || info.NodeID != "" || info.ClusterID() != "" {
			t.Errorf("info says swarm %+v; want none", info)
		}
		return
	}
	if info.LocalNodeState != "active" || !info.ControlAvailable || info.Managers != 1 || info.Nodes != 1 {
		t.Errorf("info says swarm %+v; want the only manager", info)
	}
	if info.NodeID == "" || info.ClusterID() == "" || info.Error != "" {
		t.Errorf("info says node %q of cluster %q, error %q", info.NodeID, info.ClusterID(), info.Error)
	}
}

// counts are a container's share in /info.
type counts struct{ total, running, paused, stopped int }

func (s *suite) testCounts(t *testing.T) {
	read := func() counts {
		info, err := s.e.Info(s.context(t))
		s.must(t, "info", err)
		return counts{info.Containers, info.ContainersRunning, info.ContainersPaused, info.ContainersStopped}
	}
	before := read()
	check := func(when string, want counts) {
		t.Helper()
		now := read()
		got := counts{now.total - before.total, now.running - before.running, now.paused - before.paused, now.stopped - before.stopped}
		if got != want {
			t.Errorf("%s info counts %+v more; want %+v", when, got, want)
		}
	}
	ctx := s.context(t)
	id := s.create(t, box{cmd: []string{"sleep", "1000"}})
	created := counts{total: 1, stopped: 1}
	if s.differs(t, CreatedUncounted) {
		created.stopped = 0
	}
	check("after a create", created)
	s.must(t, "start", s.e.ContainerStart(ctx, id))
	check("after a start", counts{total: 1, running: 1})
	s.must(t, "pause", s.e.ContainerPause(ctx, id))
	check("after a pause", counts{total: 1, paused: 1})
	s.must(t, "unpause", s.e.ContainerUnpause(ctx, id))
	s.must(t, "stop", s.e.ContainerStop(ctx, id, 0))
	check("after a stop", counts{total: 1, stopped: 1})
	s.must(t, "remove", s.e.ContainerRemove(ctx, id, false, true))
	check("after a remove", counts{})
}
