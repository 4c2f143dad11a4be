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
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"

	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// plantSwarm makes a service that was updated, one whose task cannot start, a config and a secret, and labels the node
// and the swarm.
func (b *Bed) plantSwarm(t *testing.T) {
	t.Helper()
	swarm := Decode[struct {
		Version    struct{ Index int }
		Spec       Object
		JoinTokens struct{ Worker, Manager string }
	}](t, b, http.MethodGet, "/swarm", nil)
	b.canaries["worker token"], b.canaries["manager token"] = swarm.JoinTokens.Worker, swarm.JoinTokens.Manager
	swarm.Spec["Labels"] = Object{"auth": b.Canary("swarm label")}
	b.Call(t, http.MethodPost, fmt.Sprintf("/swarm/update?version=%d", swarm.Version.Index), swarm.Spec)

	b.labelNode(t)
	b.Config = Decode[Created](t, b, http.MethodPost, "/configs/create", Object{
		"Name": "config", "Labels": Object{"auth": b.Canary("config label")},
		"Data": base64.StdEncoding.EncodeToString([]byte("password = " + b.Canary("config data") + "\n")),
	}).ID
	b.Secret = Decode[Created](t, b, http.MethodPost, "/secrets/create", Object{
		"Name": "secret", "Labels": Object{"auth": b.Canary("secret label")},
		"Data": base64.StdEncoding.EncodeToString([]byte(b.Canary("secret data") + "\n")),
	}).ID

	b.Service = Decode[Created](t, b, http.MethodPost, "/services/create", b.serviceSpec("web", "before ")).ID
	b.waitTask(t, "web", "running")
	b.updateService(t)
	b.Task = b.waitTask(t, "web", "running")
	failing := b.serviceSpec("failing", "failing ")
	failing["TaskTemplate"].(Object)["ContainerSpec"].(Object)["Command"] = []string{b.Canary("failing task command")}
	Decode[Created](t, b, http.MethodPost, "/services/create", failing)
	b.FailedTask = b.waitTask(t, "failing", "failed")
}

func (b *Bed) labelNode(t *testing.T) {
	t.Helper()
	node := Decode[[]struct {
		ID      string
		Version struct{ Index int }
		Spec    Object
	}](t, b, http.MethodGet, "/nodes", nil)[0]
	b.Node = node.ID
	node.Spec["Labels"] = Object{"zone": b.Canary("node label")}
	b.Call(t, http.MethodPost, fmt.Sprintf("/nodes/%s/update?version=%d", node.ID, node.Version.Index), node.Spec)
}

func (b *Bed) serviceSpec(name, when string) Object {
	return Object{
		"Name":         name,
		"Labels":       Object{"auth": b.Canary(when + "service label")},
		"Mode":         Object{"Replicated": Object{"Replicas": 1}},
		"EndpointSpec": Object{"Mode": "dnsrr"},
		"TaskTemplate": Object{
			"ContainerSpec": Object{
				"Image":       Reference,
				"Command":     []string{"sh", "-c", "sleep 1000 # " + b.Canary(when+"service command")},
				"Args":        []string{b.Canary(when + "service argument")},
				"Env":         []string{"TOKEN=" + b.Canary(when+"service env")},
				"Labels":      Object{"auth": b.Canary(when + "service container label")},
				"Hosts":       []string{"127.0.0.1 " + b.Canary(when+"service host")},
				"StopSignal":  "SIGKILL",
				"Healthcheck": Object{"Test": []string{"CMD", "true", b.Canary(when + "service health command")}, "Interval": 1e9},
				"DNSConfig":   Object{"Search": []string{b.Canary(when+"service dns search") + ".invalid"}},
				"Configs":     []Object{{"ConfigID": b.Config, "ConfigName": "config", "File": Object{"Name": "/c", "UID": "0", "GID": "0", "Mode": 0o400}}},
				"Secrets":     []Object{{"SecretID": b.Secret, "SecretName": "secret", "File": Object{"Name": "s", "UID": "0", "GID": "0", "Mode": 0o400}}},
				"Mounts": []Object{{
					"Type": "volume", "Target": "/scratch",
					"VolumeOptions": Object{
						"Labels": Object{"auth": b.Canary(when + "service mount label")},
						"DriverConfig": Object{"Name": "local", "Options": Object{
							"type": "tmpfs", "device": b.Canary(when + "service mount device"), "o": "size=1m"}},
					},
				}},
			},
			"LogDriver":     Object{"Name": "json-file", "Options": Object{"tag": b.Canary(when + "service log option")}},
			"Placement":     Object{"Constraints": []string{"node.labels.zone != " + b.Canary(when+"service constraint")}},
			"RestartPolicy": Object{"Condition": "none"},
		},
	}
}

// updateService makes PreviousSpec of what was planted before.
func (b *Bed) updateService(t *testing.T) {
	t.Helper()
	version := Decode[struct{ Version struct{ Index int } }](t, b, http.MethodGet, "/services/"+b.Service, nil).Version.Index
	b.Call(t, http.MethodPost, fmt.Sprintf("/services/%s/update?version=%d", b.Service, version), b.serviceSpec("web", ""))
	testbed.Eventually(t, limit, "the update to be complete", func() bool {
		return Decode[struct{ UpdateStatus struct{ State string } }](t, b, http.MethodGet, "/services/"+b.Service, nil).UpdateStatus.State == "completed"
	})
}

// waitTask returns the newest task of a service that is in the state.
func (b *Bed) waitTask(t *testing.T, service, state string) string {
	t.Helper()
	id := ""
	testbed.Eventually(t, limit, "a task of "+service+" to be "+state, func() bool {
		for _, task := range Decode[[]struct {
			ID           string
			Status       struct{ State string }
			DesiredState string
			Spec         struct {
				ContainerSpec struct{ Labels map[string]string }
			}
			Slot      int
			ServiceID string
		}](t, b, http.MethodGet, `/tasks?filters={"service":["`+service+`"]}`, nil) {
			if task.Status.State == state && (state != "running" || task.DesiredState == "running") {
				id = task.ID
			}
		}
		return id != ""
	})
	return id
}
