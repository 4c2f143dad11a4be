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

package hostcachetest

import (
	"encoding/json"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Container makes a container as an engine lists it. state is as in the API:
// created, running, paused, restarting, removing, exited or dead.
func Container(id, name, state string) engine.Object {
	return object(engine.Containers, map[string]any{
		"Id": id, "Names": []string{"/" + name}, "State": state, "Created": 1_700_000_000,
	})
}

// Image makes an image with one tag.
func Image(id, tag string) engine.Object {
	return object(engine.Images, map[string]any{"Id": id, "RepoTags": []string{tag}})
}

// Volume makes a volume.
func Volume(name string) engine.Object {
	return object(engine.Volumes, map[string]any{"Name": name})
}

// Network makes a network.
func Network(id, name string) engine.Object {
	return object(engine.Networks, map[string]any{"Id": id, "Name": name})
}

// Service makes a swarm service.
func Service(id, name string, version uint64) engine.Object {
	return object(engine.Services, map[string]any{
		"ID": id, "Version": map[string]any{"Index": version}, "Spec": map[string]any{"Name": name},
	})
}

// Task makes a task of a service on a node.
func Task(id, serviceID, nodeID, state string) engine.Object {
	return object(engine.Tasks, map[string]any{
		"ID": id, "ServiceID": serviceID, "NodeID": nodeID, "Status": map[string]any{"State": state},
	})
}

// Node makes a swarm node.
func Node(id, hostname, state string) engine.Object {
	return object(engine.Nodes, map[string]any{
		"ID": id, "Description": map[string]any{"Hostname": hostname}, "Status": map[string]any{"State": state},
	})
}

func object(kind engine.Kind, fields map[string]any) engine.Object {
	raw, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	o, err := engine.ParseObject(kind, raw)
	if err != nil {
		panic(err)
	}
	return o
}

// Event makes an event as an engine sends it. attributes are key, value, ...
func Event(at time.Time, typ, action, id string, attributes ...string) engine.Event {
	attr := map[string]string{}
	for i := 0; i+1 < len(attributes); i += 2 {
		attr[attributes[i]] = attributes[i+1]
	}
	raw, err := json.Marshal(map[string]any{
		"Type": typ, "Action": action, "Actor": map[string]any{"ID": id, "Attributes": attr},
		"time": at.Unix(), "timeNano": at.UnixNano(),
	})
	if err != nil {
		panic(err)
	}
	ev, err := engine.ParseEvent(raw)
	if err != nil {
		panic(err)
	}
	return ev
}
