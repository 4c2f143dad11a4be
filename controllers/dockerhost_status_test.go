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
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func connectedState() hostcache.State {
	st := hostcache.State{
		Key: hostcache.Key{Namespace: "team", Name: "edge"}, UID: "u1", Generation: 7, Phase: hostcache.PhaseConnected,
		Counts: hostcache.Counts{Running: 3, Paused: 1, Stopped: 2, Total: 6, Images: 4},
	}
	st.Info = engine.Info{
		ID: "E1", Name: "box", OSType: "linux", OperatingSystem: "Debian", Architecture: "x86_64", KernelVersion: "6.1",
		Driver: "overlay2", CgroupVersion: "2", SecurityOptions: []string{"name=rootless"}, NCPU: 8, MemTotal: 16 << 30,
	}
	st.Info.Swarm.LocalNodeState = "inactive"
	st.Version = engine.Version{Version: "20.10.24", APIVersion: "1.41", MinAPIVersion: "1.12"}
	return st
}

func unixHost() *dcv1.DockerHost {
	return hostWith(dcv1.DockerHostSpec{Endpoint: "unix:///var/run/docker.sock"})
}

func tlsHost() *dcv1.DockerHost {
	return hostWith(dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2376", TLS: &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: "certs"}}})
}

// wantConditions checks type=Status/Reason, with "-" for a condition that must be absent.
func wantConditions(t *testing.T, host *dcv1.DockerHost, want map[string]string) {
	t.Helper()
	for conditionType, w := range want {
		got := "-"
		if c := meta.FindStatusCondition(host.Status.Conditions, conditionType); c != nil {
			got = string(c.Status) + "/" + c.Reason
			if c.ObservedGeneration != host.Generation {
				t.Errorf("%s has observedGeneration %d, want %d", conditionType, c.ObservedGeneration, host.Generation)
			}
		}
		if got != w {
			t.Errorf("condition %s = %s, want %s", conditionType, got, w)
		}
	}
}

func TestStatusOfConnectedHost(t *testing.T) {
	host := unixHost()
	setHostStatus(host, connectedState(), "", testNow)
	wantConditions(t, host, map[string]string{
		"Ready": "True/Connected", "Reachable": "True/Connected", "CredentialsValid": "True/NotRequired",
		"Reconciling": "-", "Stalled": "-", "Default": "-",
	})
	s := host.Status
	if s.ObservedGeneration != 7 || *s.Containers.Running != 3 || *s.Containers.Paused != 1 || *s.Containers.Stopped != 2 || *s.Containers.Total != 6 || *s.Images != 4 {
		t.Errorf("counts: %+v", s)
	}
	e := s.Engine
	if e.ID != "E1" || e.Version != "20.10.24" || e.APIVersion != "1.41" || e.OS != "linux" || e.OSImage != "Debian" || e.Arch != "x86_64" || !*e.Rootless {
		t.Errorf("engine: %+v", e)
	}
	if s.Capacity.CPUs != 8 || s.Capacity.Memory.String() != "16Gi" {
		t.Errorf("capacity: %+v", s.Capacity)
	}
	if s.Swarm != nil {
		t.Errorf("swarm = %+v for an engine in none", s.Swarm)
	}
}

func TestStatusOfAnEngineWithoutAnID(t *testing.T) {
	host, st := unixHost(), connectedState()
	st.Info.ID = "" // as the host cache leaves it for Podman, whose ID is another one each time
	setHostStatus(host, st, "", testNow)
	if e := host.Status.Engine; e == nil || e.ID != "" || e.Name != "box" || host.Status.Capacity == nil {
		t.Errorf("engine = %+v, capacity = %+v", e, host.Status.Capacity)
	}
	before := host.DeepCopy()
	st.Info.ID = "E1"
	setHostStatus(host, st, "", testNow)
	if events := hostEvents(&before.Status, &host.Status); len(events) != 0 {
		t.Errorf("events = %+v for an ID that became known", events)
	}
}

func TestStatusIsSteady(t *testing.T) {
	host := tlsHost()
	st := connectedState()
	st.Credentials = engine.CredentialInfo{Fingerprint: "SHA256:x", NotAfter: testNow.Add(90*24*time.Hour + 123*time.Millisecond)}
	setHostStatus(host, st, "", testNow)
	before := host.DeepCopy()
	st.LastProbe, st.Latency = testNow.Add(time.Hour), time.Second
	setHostStatus(host, st, "", testNow.Add(time.Hour))
	if !equality.Semantic.DeepEqual(before.Status, host.Status) {
		t.Errorf("an hour of nothing changed the status:\n%+v\n%+v", before.Status, host.Status)
	}
}

func TestStatusOfLostHost(t *testing.T) {
	host := unixHost()
	st := connectedState()
	setHostStatus(host, st, "", testNow)
	st.Phase, st.Err = hostcache.PhaseDisconnected, engine.Errorf(engine.ClassUnreachable, engine.CauseDialFailed, "Nothing listens there.")
	setHostStatus(host, st, "", testNow)
	wantConditions(t, host, map[string]string{
		"Ready": "False/DialFailed", "Reachable": "False/DialFailed", "CredentialsValid": "True/NotRequired", "Stalled": "True/DialFailed", "Reconciling": "-",
	})
	if host.Status.Containers != nil || host.Status.Images != nil {
		t.Error("counts of a lost host are still shown")
	}
	if host.Status.Engine == nil || host.Status.Engine.ID != "E1" {
		t.Error("a lost host forgot which engine it was")
	}
}

func TestStatusAfterRestartOfManager(t *testing.T) {
	host := unixHost()
	setHostStatus(host, connectedState(), "", testNow)
	lost := hostcache.State{Key: connectedState().Key, UID: "u1", Generation: 7, Phase: hostcache.PhaseDisconnected, Err: engine.Errorf(engine.ClassTimeout, engine.CauseTimeout, "No answer.")}
	setHostStatus(host, lost, "", testNow)
	if host.Status.Engine == nil {
		t.Error("the engine's description is gone though the spec is the same")
	}
	host.Generation, lost.Generation = 8, 8
	setHostStatus(host, lost, "", testNow)
	if host.Status.Engine != nil || host.Status.Capacity != nil {
		t.Error("a changed spec still shows what the engine before it said")
	}
}

func TestConditionsByState(t *testing.T) {
	fault := func(class engine.Class, cause engine.Cause) *engine.Error {
		return engine.Errorf(class, cause, "What happened, and what to do.")
	}
	state := func(phase hostcache.Phase, err, credentialsErr *engine.Error) hostcache.State {
		return hostcache.State{Generation: 7, Phase: phase, Err: err, CredentialsErr: credentialsErr}
	}
	expired := fault(engine.ClassAuth, engine.CauseCertificateExpired)
	tests := map[string]struct {
		state hostcache.State
		want  map[string]string
	}{
		"first attempt": {
			state(hostcache.PhaseConnecting, nil, nil),
			map[string]string{"Ready": "False/Connecting", "Reachable": "Unknown/Connecting", "Reconciling": "True/Connecting", "Stalled": "-"},
		},
		"suspended": {
			state(hostcache.PhaseSuspended, nil, nil),
			map[string]string{"Ready": "False/Suspended", "Reachable": "Unknown/Suspended", "CredentialsValid": "Unknown/NotChecked", "Reconciling": "-", "Stalled": "-"},
		},
		"Secret missing": {
			state(hostcache.PhaseDisconnected, fault(engine.ClassAuth, engine.CauseCredentialsMissing), nil),
			map[string]string{"Ready": "False/CredentialsMissing", "Reachable": "Unknown/NotChecked", "CredentialsValid": "False/CredentialsMissing", "Stalled": "True/CredentialsMissing"},
		},
		"own certificate expired": {
			state(hostcache.PhaseDisconnected, expired, expired),
			map[string]string{"Ready": "False/CertificateExpired", "Reachable": "Unknown/NotChecked", "CredentialsValid": "False/CertificateExpired"},
		},
		"engine's certificate expired": {
			state(hostcache.PhaseDisconnected, expired, nil),
			map[string]string{"Ready": "False/CertificateExpired", "Reachable": "False/CertificateExpired", "CredentialsValid": "Unknown/NotChecked"},
		},
		"refused by the engine": {
			state(hostcache.PhaseDisconnected, fault(engine.ClassAuth, engine.CauseAuthenticationFailed), nil),
			map[string]string{"Ready": "False/AuthenticationFailed", "Reachable": "False/AuthenticationFailed", "CredentialsValid": "False/AuthenticationFailed"},
		},
		"no cause, only a class": {
			state(hostcache.PhaseDisconnected, fault(engine.ClassTimeout, ""), nil),
			map[string]string{"Ready": "False/Timeout"},
		},
		"neither": {
			state(hostcache.PhaseDisconnected, fault(engine.ClassServer, ""), nil),
			map[string]string{"Ready": "False/EngineError"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			host := tlsHost()
			setHostStatus(host, tt.state, "", testNow)
			wantConditions(t, host, tt.want)
		})
	}
}

func TestExpiryWarnings(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		left   time.Duration
		reason string
		says   string
		next   time.Duration
	}{
		{31 * day, "Valid", "usable", day},
		{29 * day, "CertificateExpiring", "less than 30 days", 22 * day},
		{6 * day, "CertificateExpiring", "less than 7 days", 5 * day},
		{day / 2, "CertificateExpiring", "less than 1 day:", 0},
	}
	for _, tt := range tests {
		host, st := tlsHost(), connectedState()
		st.Credentials = engine.CredentialInfo{Fingerprint: "SHA256:x", NotAfter: testNow.Add(tt.left)}
		setHostStatus(host, st, "", testNow)
		c := meta.FindStatusCondition(host.Status.Conditions, dcv1.ConditionCredentialsValid)
		if c.Status != metav1.ConditionTrue || c.Reason != tt.reason || !strings.Contains(c.Message, tt.says) {
			t.Errorf("%s before the end: %s/%s %q, want %s and %q", tt.left, c.Status, c.Reason, c.Message, tt.reason, tt.says)
		}
		if next := nextExpiryWarning(st.Credentials.NotAfter, testNow); next != tt.next {
			t.Errorf("%s before the end the next look is in %s, want %s", tt.left, next, tt.next)
		}
	}
}

func TestSwarmStatus(t *testing.T) {
	manager := engine.SwarmInfo{LocalNodeState: "active", NodeID: "n1", ControlAvailable: true, Managers: 3, Nodes: 5, Cluster: &struct{ ID string }{"c1"}}
	if s := swarmStatus(manager); s.Role != dcv1.SwarmManager || s.ClusterID != "c1" || *s.Managers != 3 || *s.Nodes != 5 || !*s.ControlAvailable {
		t.Errorf("manager: %+v", s)
	}
	if s := swarmStatus(engine.SwarmInfo{LocalNodeState: "active", NodeID: "n2"}); s.Role != dcv1.SwarmWorker || s.Nodes != nil {
		t.Errorf("worker: %+v", s)
	}
	if s := swarmStatus(engine.SwarmInfo{LocalNodeState: "locked"}); s == nil || s.Error != "the node is locked" {
		t.Errorf("locked: %+v", s)
	}
	if s := swarmStatus(engine.SwarmInfo{LocalNodeState: "inactive"}); s != nil {
		t.Errorf("inactive: %+v", s)
	}
}

func TestDefaultHost(t *testing.T) {
	host := func(name string, age time.Duration, isDefault bool) dcv1.DockerHost {
		h := dcv1.DockerHost{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(testNow.Add(-age))}}
		h.Spec.Default = ptr.To(isDefault)
		return h
	}
	hosts := []dcv1.DockerHost{host("oldest", time.Hour, false), host("b", time.Minute, true), host("a", time.Minute, true), host("new", 0, true)}
	if got := defaultHostOf(hosts); got != "a" {
		t.Errorf("defaultHostOf = %q, want a: the oldest that asks, first by name", got)
	}
	if got := defaultHostOf(hosts[:1]); got != "" {
		t.Errorf("defaultHostOf = %q where none asks", got)
	}
	for name, want := range map[string]string{"edge": "True/NamespaceDefault", "older": "False/AnotherDefault"} {
		h := unixHost()
		h.Spec.Default = ptr.To(true)
		setHostStatus(h, connectedState(), name, testNow)
		wantConditions(t, h, map[string]string{"Default": want})
	}
}

func TestEngineTextIsCleaned(t *testing.T) {
	host, st := unixHost(), connectedState()
	st.Info.Name = "evil\x1b[31m\n" + strings.Repeat("x", 5000)
	st.Info.NCPU, st.Info.MemTotal = -5, -1
	st.Counts.Total = 1 << 40
	setHostStatus(host, st, "", testNow)
	if n := host.Status.Engine.Name; utf8.RuneCountInString(n) > 256 || strings.ContainsAny(n, "\x1b\n") {
		t.Errorf("engine name = %q (%d characters)", n, utf8.RuneCountInString(n))
	}
	if host.Status.Capacity.CPUs != 0 || host.Status.Capacity.Memory.Value() != 0 || *host.Status.Containers.Total != 1<<31-1 {
		t.Errorf("numbers out of range: %+v %+v", host.Status.Capacity, *host.Status.Containers.Total)
	}
}

func hostWith(spec dcv1.DockerHostSpec) *dcv1.DockerHost {
	return &dcv1.DockerHost{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "edge", UID: "u1", Generation: 7}, Spec: spec}
}
