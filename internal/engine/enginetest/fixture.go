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
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Fixture is an engine to hold to the contract.
type Fixture struct {
	// Open makes another Engine for the same engine. The suite closes it.
	Open func() (engine.Engine, error)
	// Image is the reference of an image on the engine that has busybox's commands
	// on its PATH, and no command of its own.
	Image string
	// Swarm is true where the engine is the only node of a swarm.
	Swarm bool
	// Differs has the reason of each difference from dockerd.
	Differs map[Difference]string
}

// Difference is a behaviour that another implementation of the API has in the
// place of dockerd's.
type Difference string

// Run holds an engine to the contract.
func Run(t *testing.T, fx Fixture) {
	for d, reason := range fx.Differs {
		if reason == "" {
			t.Fatalf("the difference %q has no reason", d)
		}
	}
	s := &suite{Fixture: fx}
	s.e = s.open(t)
	groups := []struct {
		name string
		test func(*testing.T)
	}{
		{"System", s.testSystem},
		{"List", s.testList},
		{"Events", s.testEvents},
		{"Lifecycle", s.testLifecycle},
		{"Examine", s.testExamine},
		{"Logs", s.testLogs},
		{"Stats", s.testStats},
		{"Exec", s.testExec},
		{"Attach", s.testAttach},
		{"Images", s.testImages},
		{"Volumes", s.testVolumes},
		{"Networks", s.testNetworks},
		{"Cleaning", s.testCleaning},
		{"Swarm", s.testSwarm},
		{"Ends", s.testEnds},
	}
	for _, g := range groups {
		t.Run(g.name, g.test)
	}
}

// subtests runs tests in their order.
func subtests(t *testing.T, tests []subtest) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, test.run)
	}
}

type subtest struct {
	name string
	run  func(*testing.T)
}
