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

// The differences that the suite knows. They are Podman's.
const (
	// NewID is an engine that has no lasting ID.
	NewID Difference = "the engine's ID in /info is new each time"
	// NoOSType is an engine whose ping does not tell its operating system.
	NoOSType Difference = "ping tells no OS type"
	// CreatedUncounted is an engine that counts a container that never ran as
	// neither running, paused nor stopped.
	CreatedUncounted Difference = "created containers are not counted as stopped"
	// OwnEvents is an engine with other actions in its events, other ids of images
	// and volumes, and events of images that come late. Of networks some versions
	// send none.
	OwnEvents Difference = "events have actions and ids of their own"
	// RoundedSince is an engine that reads the time in /events?since= as a number of
	// limited precision.
	RoundedSince Difference = "since of events is good to a microsecond"
	// FailedStartForgotten is an engine that keeps no trace of a start that failed.
	FailedStartForgotten Difference = "a failed start leaves no exit code"
	// WholeSeconds is an engine whose log lines have times without fractions.
	WholeSeconds Difference = "times of log lines are whole seconds"
	// BinaryLogs is an engine that keeps bytes that are no UTF-8 in its logs.
	BinaryLogs Difference = "logs keep every byte"
	// SmallParts is an engine that cuts long lines of a log into smaller parts.
	SmallParts Difference = "long lines come in parts of 8 KiB or less"
	// StatsEndOnStop is an engine whose statistics end when the container stops.
	StatsEndOnStop Difference = "statistics end with the container's process"
	// StatsNetworkName is an engine that does not call a network's counters by the
	// interface.
	StatsNetworkName Difference = "network counters have another key than the interface"
	// ExecErrorSilent is an engine whose exec session does not say why a command
	// did not start.
	ExecErrorSilent Difference = "a failed exec says nothing"
	// BrokenAttachLogs is an engine whose attach frames what was written before
	// with a wrong length.
	BrokenAttachLogs Difference = "frames of attach's old output are too short by their newline"
	// RemovesUsedNetwork is an engine that refuses to remove a network that a
	// container uses when it is named by its name only.
	RemovesUsedNetwork Difference = "a network in use can be removed by its id"
	// NoCommandNeeded is an engine that finds out at the start that there is nothing
	// to run.
	NoCommandNeeded Difference = "a container can be created without a command"
)
