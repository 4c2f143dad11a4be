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
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

func podman(t *testing.T) Fixture {
	p := testbed.StartPodman(t)
	p.ImportBusybox(t, image)
	var version struct{ Version string }
	if err := json.Unmarshal(p.Call(t, http.MethodGet, "/version", nil), &version); err != nil {
		t.Fatal(err)
	}
	t.Logf("Podman %s", version.Version)
	parts := strings.SplitN(version.Version, ".", 3)
	release := strings.Join(parts[:min(2, len(parts))], ".")
	differs := maps.Clone(podmanDiffers)
	for _, d := range podmanOnce {
		before := d.before == "" || engine.CompareAPIVersions(release, d.before) < 0
		if before && engine.CompareAPIVersions(release, d.since) >= 0 {
			differs[d.differs] = d.reason
		}
	}
	return Fixture{Open: opener(t, p.Endpoint(), nil), Image: image, Differs: differs}
}

// podmanDiffers are the differences of the versions of Podman that were tried.
var podmanDiffers = map[Difference]string{
	NewID:                "Podman has no daemon that could have an ID; /info makes one up at each call",
	CreatedUncounted:     "it has more states than Docker, and counts exited containers only as stopped",
	OwnEvents:            "they are libpod's events with their names and ids",
	RoundedSince:         "it reads the seconds into a float64, 240 ns apart today",
	FailedStartForgotten: "a start that failed leaves the container as it was",
	WholeSeconds:         "its service writes the times of log lines in RFC 3339 without fractions",
	BinaryLogs:           "the k8s-file driver writes bytes, not JSON",
	SmallParts:           "conmon reads a container's output 8 KiB at a time, or what there is",
	StatsEndOnStop:       "there is no collector that outlives the process",
	ExecErrorSilent:      "conmon reports the failure by its exit code alone",
	RemovesUsedNetwork:   "it looks for users of the network by name only",
}

// podmanOnce are the differences of some versions. Tried were 4.3 (Debian 12), 4.9
// (Ubuntu 24.04) and 5.4 (Debian 13): a bound may lie between them.
var podmanOnce = []struct {
	since, before string
	differs       Difference
	reason        string
}{
	{"0", "4.9", NoOSType, "its ping has no Ostype header"},
	{"0", "4.9", BrokenAttachLogs, "it adds a newline to each line after it has counted the bytes"},
	{"0", "5.0", StatsNetworkName, "its counters are of the whole network namespace"},
	{"5.0", "", NoCommandNeeded, "it checks the command at the start"},
}
