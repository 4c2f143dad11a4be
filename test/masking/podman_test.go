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

	"github.com/dockercontrol/dockercontrol/test/canary"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// TestPodman holds Podman's answers to the policies too: it speaks the same API with fields and habits of its own.
func TestPodman(t *testing.T) {
	t.Parallel()
	b := &bed{canary.New(testbed.StartPodman(t))}
	b.ImportBusybox(t, canary.Reference)
	b.plantPodman(t)
	containerPlaces := []string{"command", "label"}
	for _, q := range []canary.Question{
		{Operation: "GET /containers/json", Path: "/containers/json?all=1", Into: canary.As[[]container.Summary], Holds: containerPlaces},
		{Operation: "GET /containers/{name}/json", Path: "/containers/web/json", Into: canary.As[container.InspectResponse],
			Holds: append([]string{"env", "health command", "extra host", "dns search"}, containerPlaces...)},
		{Operation: "GET /images/json", Path: "/images/json?all=1", Into: canary.As[[]image.Summary], Holds: []string{"image label"}},
		{Operation: "GET /images/{name}/json", Path: "/images/localhost/built:1/json", Into: canary.As[image.InspectResponse], Holds: []string{"image env", "image label", "image author"}},
		{Operation: "GET /images/{name}/history", Path: "/images/localhost/built:1/history", Into: canary.As[[]image.HistoryResponseItem]},
		{Operation: "GET /volumes", Path: "/volumes", Into: canary.As[volume.ListResponse], Holds: []string{"volume label", "volume device"}},
		{Operation: "GET /volumes/{name}", Path: "/volumes/share", Into: canary.As[volume.Volume], Holds: []string{"volume label", "volume device"}},
		{Operation: "GET /networks", Path: "/networks", Into: canary.As[[]network.Summary], Holds: []string{"network label"}},
		{Operation: "GET /networks/{id}", Path: "/networks/front", Into: canary.As[network.Inspect], Holds: []string{"network label"}},
		{Operation: "GET /events", Path: fmt.Sprintf("/events?since=0&until=%d", time.Now().Add(2*time.Second).Unix()), Into: canary.AsEvents, Holds: []string{"label"}},
		{Operation: "GET /info", Path: "/info", Into: canary.As[system.Info]},
		{Operation: "GET /system/df", Path: "/system/df", Into: canary.As[canary.Object]},
	} {
		t.Run(q.Path, func(t *testing.T) { b.ask(t, q) })
	}
	t.Run("what is not masked holds none", func(t *testing.T) { b.testNotMasked(t) })
}

func (b *bed) plantPodman(t *testing.T) {
	t.Helper()
	b.Call(t, http.MethodPost, "/networks/create", canary.Object{
		"Name": "front", "Driver": "bridge", "Labels": canary.Object{"auth": b.Canary("network label")},
	})
	b.Call(t, http.MethodPost, "/volumes/create", canary.Object{
		"Name": "share", "Driver": "local", "Labels": canary.Object{"auth": b.Canary("volume label")},
		"DriverOpts": canary.Object{"type": "nfs", "device": ":/" + b.Canary("volume device"), "o": "addr=127.0.0.1"},
	})
	id := canary.Decode[canary.Created](t, b.Bed, http.MethodPost, "/containers/create?name=web", canary.Object{
		"Image":       canary.Reference,
		"Entrypoint":  []string{"sh", "-c"},
		"Cmd":         []string{"sleep 1000 # " + b.Canary("command")},
		"Env":         []string{"TOKEN=" + b.Canary("env")},
		"StopSignal":  "SIGKILL",
		"Labels":      canary.Object{"auth": b.Canary("label")},
		"Healthcheck": canary.Object{"Test": []string{"CMD-SHELL", "true # " + b.Canary("health command")}, "Interval": 3600e9},
		"HostConfig": canary.Object{
			"NetworkMode": "front",
			"ExtraHosts":  []string{b.Canary("extra host") + ":127.0.0.1"},
			"DnsSearch":   []string{b.Canary("dns search") + ".invalid"},
		},
	}).ID
	b.Call(t, http.MethodPost, "/containers/"+id+"/start", nil)
	b.Call(t, http.MethodPost, "/commit?container="+id+"&repo=localhost/built&tag=1&author="+b.Canary("image author")+"&comment="+b.Canary("image comment")+
		"&changes=ENV%20IMAGE_TOKEN="+b.Canary("image env")+"&changes=LABEL%20auth="+b.Canary("image label"), canary.Object{})
}
