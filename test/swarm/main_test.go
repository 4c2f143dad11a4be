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
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// atOnce is how many tests run at once, unless -parallel says otherwise. They mostly wait
// for the swarm, so that more of them than there are cores take less time. Two that share
// an outage must run at once.
const atOnce = "4"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", atOnce); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(testenv.Run(m))
}

// TestSwarm runs every test of the package on one swarm.
func TestSwarm(t *testing.T) {
	b := newBed(t)
	t.Run("services", func(t *testing.T) {
		for _, test := range []struct {
			name string
			run  func(*testing.T, *bed)
		}{
			{"replicated", testReplicated},
			{"global", testGlobal},
			{"replicated job", testReplicatedJob},
			{"global job", testGlobalJob},
			{"network", testNetwork},
			{"scale", testScale},
			{"rolling update", testRollingUpdate},
			{"rollback", testRollback},
			{"secret rotation", testSecretRotation},
			{"missing secret", testMissingSecret},
			{"adoption", testAdoption},
			{"orphaning", testOrphaning},
			{"updated by hand", testUpdatedByHand},
			{"scaled by hand", testScaledByHand},
			{"removed by hand", testRemovedByHand},
			{"drift reported", testDriftReported},
			{"fight", testFight},
			{"two of one name", testTwoOfOneName},
			{"bad image reference", testBadImageReference},
			{"missing image", testMissingImage},
			{"private registry", testPrivateRegistry},
			{"placement", testPlacement},
			{"ingress port taken", testIngressPortTaken},
			{"host port taken", testHostPortTaken},
			{"unknown network", testUnknownNetwork},
			{"namespace deleted", testNamespaceDeleted},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.run(t, b)
			})
		}
	})
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bed)
	}{
		{"drain", testDrain},
		{"no manager", testNoManager},
		{"manager killed", withoutFollower(outageTest{"dead node", testDeadNode}, outageTest{"rollout", testKilledInRollout})},
		{"leader killed", withoutLeader(outageTest{"failover", testFailover}, outageTest{"rollout", testLeaderKilled})},
		{"leader demoted", testLeaderDemoted},
		{"quorum lost", testQuorumLost},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, b) })
		b.heal(t) // whatever became of the test, the next one has a swarm
	}
}
