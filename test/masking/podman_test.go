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

package masking

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"

	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// TestPodman holds Podman's answers to the policies too: it speaks the same API with fields and habits of its own.
func TestPodman(t *testing.T) {
	t.Parallel()
	b := &bed{canaries: map[string]string{}}
	b.server = testbed.StartPodman(t)
	b.ImportBusybox(t, reference)
	b.plantPodman(t)
	containerPlaces := []string{"command", "label"}
	for _, q := range []question{
		{"GET /containers/json", "/containers/json?all=1", as[[]container.Summary], containerPlaces},
		{"GET /containers/{name}/json", "/containers/web/json", as[container.InspectResponse],
			append([]string{"env", "health command", "extra host", "dns search"}, containerPlaces...)},
		{"GET /images/json", "/images/json?all=1", as[[]image.Summary], []string{"image label"}},
		{"GET /images/{name}/json", "/images/localhost/built:1/json", as[image.InspectResponse], []string{"image env", "image label", "image author"}},
		{"GET /images/{name}/history", "/images/localhost/built:1/history", as[[]image.HistoryResponseItem], nil},
		{"GET /volumes", "/volumes", as[volume.ListResponse], []string{"volume label", "volume device"}},
		{"GET /volumes/{name}", "/volumes/share", as[volume.Volume], []string{"volume label", "volume device"}},
		{"GET /networks", "/networks", as[[]network.Summary], []string{"network label"}},
		{"GET /networks/{id}", "/networks/front", as[network.Inspect], []string{"network label"}},
		{"GET /events", fmt.Sprintf("/events?since=0&until=%d", time.Now().Add(2*time.Second).Unix()), asEvents, []string{"label"}},
		{"GET /info", "/info", as[system.Info], nil},
		{"GET /system/df", "/system/df", as[object], nil},
	} {
		t.Run(q.path, func(t *testing.T) { b.ask(t, q) })
	}
	t.Run("what is not masked holds none", func(t *testing.T) { b.testNotMasked(t) })
}

func (b *bed) plantPodman(t *testing.T) {
	t.Helper()
	b.Call(t, http.MethodPost, "/networks/create", object{
		"Name": "front", "Driver": "bridge", "Labels": object{"auth": b.canary("network label")},
	})
	b.Call(t, http.MethodPost, "/volumes/create", object{
		"Name": "share", "Driver": "local", "Labels": object{"auth": b.canary("volume label")},
		"DriverOpts": object{"type": "nfs", "device": ":/" + b.canary("volume device"), "o": "addr=127.0.0.1"},
	})
	id := decode[created](t, b, http.MethodPost, "/containers/create?name=web", object{
		"Image":       reference,
		"Entrypoint":  []string{"sh", "-c"},
		"Cmd":         []string{"sleep 1000 # " + b.canary("command")},
		"Env":         []string{"TOKEN=" + b.canary("env")},
		"StopSignal":  "SIGKILL",
		"Labels":      object{"auth": b.canary("label")},
		"Healthcheck": object{"Test": []string{"CMD-SHELL", "true # " + b.canary("health command")}, "Interval": 3600e9},
		"HostConfig": object{
			"NetworkMode": "front",
			"ExtraHosts":  []string{b.canary("extra host") + ":127.0.0.1"},
			"DnsSearch":   []string{b.canary("dns search") + ".invalid"},
		},
	}).ID
	b.Call(t, http.MethodPost, "/containers/"+id+"/start", nil)
	b.Call(t, http.MethodPost, "/commit?container="+id+"&repo=localhost/built&tag=1&author="+b.canary("image author")+"&comment="+b.canary("image comment")+
		"&changes=ENV%20IMAGE_TOKEN="+b.canary("image env")+"&changes=LABEL%20auth="+b.canary("image label"), object{})
}
