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

// The differences that the suite knows.
const (
	// NewID is an engine that has no lasting ID.
	NewID Difference = "the engine's ID in /info is new each time"
	// WholeSeconds is an engine whose log lines have times without fractions.
	WholeSeconds Difference = "times of log lines are whole seconds"
	// BinaryLogs is an engine that keeps bytes that are no UTF-8 in its logs.
	BinaryLogs Difference = "logs keep every byte"
	// StatsEndOnStop is an engine whose statistics end when the container stops.
	StatsEndOnStop Difference = "statistics end with the container's process"
	// NoSwarmAPI is an engine without the calls of a swarm.
	NoSwarmAPI Difference = "there are no calls for swarms"
)
