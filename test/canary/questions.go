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

package canary

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"
)

// Question is a request of a masked operation.
type Question struct {
	Operation, Path string
	// Into reads the answer as the SDK does.
	Into func([]byte) error
	// Holds are places whose canaries the engine's own answer must hold, or the test would prove nothing.
	Holds []string
}

// As reads an answer as a T.
func As[T any](answer []byte) error {
	var v T
	return json.Unmarshal(answer, &v)
}

// AsEvents reads a sequence.
func AsEvents(answer []byte) error {
	values := json.NewDecoder(bytes.NewReader(answer))
	for {
		var event events.Message
		if err := values.Decode(&event); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if event.Type == "" || event.Action == "" || event.TimeNano == 0 {
			return fmt.Errorf("an event is %+v", event)
		}
	}
}

// Questions are requests of all masked operations, but those of plugins: there are none without a registry.
func (b *Bed) Questions() []Question {
	containerPlaces := []string{"command", "label", "compose hash", "compose files"}
	inspectPlaces := append([]string{
		"env", "health output", "health command", "log option", "extra host", "dns search", "dns option", "bind source",
		"mount device", "mount label", "endpoint option", "image env", "image label",
	}, containerPlaces...)
	info := []string{"engine label", "mirror", "swarm label"}
	if b.Modern {
		inspectPlaces = append(inspectPlaces, "annotation")
		info = append(info, "no proxy")
	}
	volumePlaces := []string{"volume label", "volume device", "volume password"}
	networkPlaces := []string{"network label", "network option", "ipam option"}
	imagePlaces := []string{"image env", "image label", "image healthcheck", "image command", "image author", "image comment"}
	usage := append([]string{"image label", "plain volume label"}, containerPlaces...)
	var spec, current []string
	for _, place := range []string{"label", "command", "argument", "env", "container label", "host", "health command", "dns search",
		"mount label", "mount device", "log option", "constraint"} {
		spec = append(spec, "before service "+place)
		current = append(current, "service "+place)
	}
	taskPlaces := current[1:] // without the service's own label

	return []Question{
		{"GET /containers/json", "/containers/json?all=1", As[[]container.Summary], append(containerPlaces, "failed command")},
		{"GET /containers/{name}/json", "/containers/web/json", As[container.InspectResponse], inspectPlaces},
		{"GET /containers/{name}/json", "/containers/failed/json?size=1", As[container.InspectResponse], []string{"failed command"}},
		{"GET /images/json", "/images/json?all=1", As[[]image.Summary], []string{"image label"}},
		{"GET /images/{name}/json", "/images/" + Reference + "/json", As[image.InspectResponse], imagePlaces},
		{"GET /images/{name}/json", "/images/localhost/built:1/json", As[image.InspectResponse], []string{"image env", "image onbuild"}},
		{"GET /images/{name}/history", "/images/" + Reference + "/history", As[[]image.HistoryResponseItem],
			[]string{"image env", "image label", "image build step", "image command", "image comment"}},
		{"GET /volumes", "/volumes", As[volume.ListResponse], append(volumePlaces, "mount device", "service mount device")},
		{"GET /volumes/{name}", "/volumes/share", As[volume.Volume], volumePlaces},
		{"GET /networks", "/networks", As[[]network.Summary], networkPlaces},
		{"GET /networks/", "/networks/", As[[]network.Summary], networkPlaces},
		{"GET /networks/{id}", "/networks/front?verbose=1", As[network.Inspect], networkPlaces},
		{"GET /events", fmt.Sprintf("/events?since=0&until=%d", time.Now().Unix()), AsEvents, []string{"exec command", "label", "image label"}},
		{"GET /info", "/info", As[system.Info], info},
		{"GET /system/df", "/v1.41/system/df", As[Object], usage},
		{"GET /system/df", "/system/df", As[system.DiskUsage], nil},
		{"GET /system/df", "/system/df?verbose=1", As[system.DiskUsage], usage},
		{"GET /swarm", "/swarm", As[swarm.Swarm], []string{"swarm label", "worker token", "manager token"}},
		{"GET /services", "/services?status=1", As[[]swarm.Service], append(append(spec, current...), "failing task command")},
		{"GET /services/{id}", "/services/web", As[swarm.Service], append(spec, current...)},
		{"GET /tasks", "/tasks", As[[]swarm.Task], append(taskPlaces, "failing task command")},
		{"GET /tasks/{id}", "/tasks/" + b.Task, As[swarm.Task], taskPlaces},
		{"GET /tasks/{id}", "/tasks/" + b.FailedTask, As[swarm.Task], []string{"failing task command"}},
		{"GET /nodes", "/nodes", As[[]swarm.Node], []string{"node label", "engine label"}},
		{"GET /nodes/{id}", "/nodes/" + b.Node, As[swarm.Node], []string{"node label", "engine label"}},
		{"GET /secrets", "/secrets", As[[]swarm.Secret], []string{"secret label"}},
		{"GET /secrets/{id}", "/secrets/" + b.Secret, As[swarm.Secret], []string{"secret label"}},
		{"GET /configs", "/configs", As[[]swarm.Config], []string{"config label", "config data"}},
		{"GET /configs/{id}", "/configs/" + b.Config, As[swarm.Config], []string{"config label", "config data"}},
	}
}
