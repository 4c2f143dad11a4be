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
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Key names a DockerHost.
type Key = types.NamespacedName

// Host is what the cache is told about a DockerHost: its specification with the
// credentials read.
type Host struct {
	Key Key
	// UID tells a host that was deleted and made again from the one before.
	UID types.UID
	// Generation is the DockerHost's, handed back in State so that a status says
	// which spec it speaks of.
	Generation int64
	Suspended  bool
	Config     engine.Config
	// ConfigErr is set where spec or Secrets give no usable Config: nothing is
	// dialled and State.Err repeats it.
	ConfigErr *engine.Error
	Health    HealthCheck
}

// HealthCheck is a DockerHost's spec.healthCheck with defaults filled in.
type HealthCheck struct {
	Interval, Timeout time.Duration
	// FailureThreshold probes must fail in a row before a connected host counts
	// as lost, SuccessThreshold succeed before a lost one counts as back.
	FailureThreshold, SuccessThreshold int
}

// DefaultHealthCheck is what the fields of a HealthCheck that are zero mean; the
// CRD has the same defaults.
var DefaultHealthCheck = HealthCheck{
	Interval: 10 * time.Second, Timeout: 5 * time.Second,
	FailureThreshold: 3, SuccessThreshold: 1,
}

func (h HealthCheck) withDefaults() HealthCheck {
	d := DefaultHealthCheck
	if h.Interval > 0 {
		d.Interval = h.Interval
	}
	if h.Timeout > 0 {
		d.Timeout = h.Timeout
	}
	if h.FailureThreshold > 0 {
		d.FailureThreshold = h.FailureThreshold
	}
	if h.SuccessThreshold > 0 {
		d.SuccessThreshold = h.SuccessThreshold
	}
	return d
}

// sameConnection reports whether two Hosts of one UID are reached in the same
// way, so that a live connection may stay.
func (h Host) sameConnection(other Host) bool {
	return h.Suspended == other.Suspended &&
		sameError(h.ConfigErr, other.ConfigErr) &&
		reflect.DeepEqual(h.Config, other.Config)
}

// Phase is how far an accessor has come.
type Phase string

// The phases. A host that is lost is Disconnected and keeps trying.
const (
	PhaseSuspended    Phase = "Suspended"
	PhaseConnecting   Phase = "Connecting"
	PhaseConnected    Phase = "Connected"
	PhaseDisconnected Phase = "Disconnected"
)

// State is what an accessor knows of its host at one moment. It is a value:
// nothing in it changes after it was handed out.
type State struct {
	Key        Key
	UID        types.UID
	Generation int64
	Phase      Phase
	// Err says why the host is not connected; nil while Connected, Suspended or
	// on the first attempt with a new configuration.
	Err *engine.Error
	// Credentials describes the client credentials, zero where the endpoint
	// needs none or they are unusable (CredentialsErr then says why).
	Credentials    engine.CredentialInfo
	CredentialsErr *engine.Error
	// Info and Version are the last ones heard; zero if the host was never
	// connected under this UID. A lost host keeps them. Info.ID is empty where the
	// engine has no ID that lasts (Podman makes up a new one for each answer).
	Info    engine.Info
	Version engine.Version
	// Counts come from the inventory, Images from the engine's own count.
	Counts Counts
	// LastProbe and Latency are of the last probe that succeeded.
	LastProbe time.Time
	Latency   time.Duration
}

// Connected reports whether calls can be made.
func (s State) Connected() bool { return s.Phase == PhaseConnected }

// Counts are numbers of containers by state, as `docker info` counts them: what
// is neither running nor paused is stopped, a restarting container too.
type Counts struct {
	Running, Paused, Stopped, Total int
	Images                          int
}

// Change tells what differs between two States of a host.
type Change struct {
	Key Key
	// Condition is true when phase, error, credentials, identity, version or
	// swarm place changed; false when only counts did.
	Condition bool
}

// Listing is the inventory of one kind on one host or in one swarm.
type Listing struct {
	// Items are sorted by ID and shared: they must not be changed.
	Items []engine.Object
	// ObservedAt is when the engine last confirmed the listing: now while its event
	// stream is open, no probe fails and no event waits to be applied; else when
	// the first of these ceased to be so.
	ObservedAt time.Time
	// ListedAt is when the engine answered with all of it last; what it says since then
	// of single objects may be in it too.
	ListedAt time.Time
	// ServedBy is the host whose engine was asked: the host itself, or for
	// services, tasks and nodes the manager that serves the swarm.
	ServedBy Key
}

// sameError compares what a user would see of two errors.
func sameError(a, b *engine.Error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Class == b.Class && a.Cause == b.Cause && a.Message == b.Message
}

// sameIdentity compares what a status shows of two States, counts apart: times,
// latencies and the counters inside Info differ from one answer to the next.
func sameIdentity(a, b State) bool {
	return a.UID == b.UID && a.Generation == b.Generation && a.Phase == b.Phase && a.Credentials == b.Credentials &&
		sameError(a.Err, b.Err) && sameError(a.CredentialsErr, b.CredentialsErr) &&
		a.Version == b.Version && reflect.DeepEqual(lastingInfo(a.Info), lastingInfo(b.Info))
}

// lastingInfo is i without what changes in a steady engine.
func lastingInfo(i engine.Info) engine.Info {
	i.Containers, i.ContainersRunning, i.ContainersPaused, i.ContainersStopped = 0, 0, 0, 0
	i.Images, i.SystemTime = 0, ""
	return i
}
