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

package engine

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Ping is the answer to HEAD /_ping.
type Ping struct {
	// APIVersion is the newest version the engine speaks.
	APIVersion string
	OSType     string
	// SwarmState and ControlAvailable come from the Swarm header, which engines
	// before API 1.43 do not send; SwarmState is then empty.
	SwarmState       string
	ControlAvailable bool
	// Latency is how long the call took.
	Latency time.Duration
}

// Version is the part of GET /version that the project uses.
type Version struct {
	Version       string
	APIVersion    string `json:"ApiVersion"`
	MinAPIVersion string `json:"MinAPIVersion"`
	Os            string
	Arch          string
	KernelVersion string
	Platform      struct{ Name string }
}

// Info is the part of GET /info that the project uses, under the API's names.
// A part and not the SDK's whole: other implementations of the API differ in
// fields nobody here reads, and 1,000 hosts decode it often.
type Info struct {
	ID                string
	Name              string
	ServerVersion     string
	OperatingSystem   string
	OSType            string
	Architecture      string
	KernelVersion     string
	Driver            string
	CgroupVersion     string
	SecurityOptions   []string
	NCPU              int
	MemTotal          int64
	Containers        int
	ContainersRunning int
	ContainersPaused  int
	ContainersStopped int
	Images            int
	SystemTime        string
	Swarm             SwarmInfo
}

// Rootless reports whether the engine runs without root.
func (i Info) Rootless() bool {
	return slices.ContainsFunc(i.SecurityOptions, func(o string) bool {
		return o == "name=rootless" || strings.HasPrefix(o, "name=rootless,")
	})
}

// SwarmInfo is an engine's place in a swarm.
type SwarmInfo struct {
	NodeID           string
	LocalNodeState   string // inactive, pending, active, error, locked
	ControlAvailable bool
	Error            string
	Nodes            int
	Managers         int
	Cluster          *struct{ ID string }
}

// ClusterID is the swarm's id, known to its managers only.
func (s SwarmInfo) ClusterID() string {
	if s.Cluster == nil {
		return ""
	}
	return s.Cluster.ID
}

// CompareAPIVersions compares two "major.minor" API versions: -1, 0 or +1. A
// part that is no number counts as 0, so that garbage is older than anything.
func CompareAPIVersions(a, b string) int {
	aMajor, aMinor := splitVersion(a)
	bMajor, bMinor := splitVersion(b)
	if aMajor != bMajor {
		return sign(aMajor - bMajor)
	}
	return sign(aMinor - bMinor)
}

func splitVersion(v string) (major, minor int) {
	head, tail, _ := strings.Cut(v, ".")
	major, _ = strconv.Atoi(head)
	minor, _ = strconv.Atoi(tail)
	return major, minor
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
