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
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"

	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// plantSwarm makes a service that was updated, one whose task cannot start, a config and a secret, and labels the node
// and the swarm.
func (b *bed) plantSwarm(t *testing.T) {
	t.Helper()
	swarm := decode[struct {
		Version    struct{ Index int }
		Spec       object
		JoinTokens struct{ Worker, Manager string }
	}](t, b, http.MethodGet, "/swarm", nil)
	b.canaries["worker token"], b.canaries["manager token"] = swarm.JoinTokens.Worker, swarm.JoinTokens.Manager
	swarm.Spec["Labels"] = object{"auth": b.canary("swarm label")}
	b.Call(t, http.MethodPost, fmt.Sprintf("/swarm/update?version=%d", swarm.Version.Index), swarm.Spec)

	b.labelNode(t)
	b.config = decode[created](t, b, http.MethodPost, "/configs/create", object{
		"Name": "config", "Labels": object{"auth": b.canary("config label")},
		"Data": base64.StdEncoding.EncodeToString([]byte("password = " + b.canary("config data") + "\n")),
	}).ID
	b.secret = decode[created](t, b, http.MethodPost, "/secrets/create", object{
		"Name": "secret", "Labels": object{"auth": b.canary("secret label")},
		"Data": base64.StdEncoding.EncodeToString([]byte(b.canary("secret data") + "\n")),
	}).ID

	b.service = decode[created](t, b, http.MethodPost, "/services/create", b.serviceSpec("web", "before ")).ID
	b.waitTask(t, "web", "running")
	b.updateService(t)
	b.task = b.waitTask(t, "web", "running")
	failing := b.serviceSpec("failing", "failing ")
	failing["TaskTemplate"].(object)["ContainerSpec"].(object)["Command"] = []string{b.canary("failing task command")}
	decode[created](t, b, http.MethodPost, "/services/create", failing)
	b.failedTask = b.waitTask(t, "failing", "failed")
}

func (b *bed) labelNode(t *testing.T) {
	t.Helper()
	node := decode[[]struct {
		ID      string
		Version struct{ Index int }
		Spec    object
	}](t, b, http.MethodGet, "/nodes", nil)[0]
	b.node = node.ID
	node.Spec["Labels"] = object{"zone": b.canary("node label")}
	b.Call(t, http.MethodPost, fmt.Sprintf("/nodes/%s/update?version=%d", node.ID, node.Version.Index), node.Spec)
}

func (b *bed) serviceSpec(name, when string) object {
	return object{
		"Name":         name,
		"Labels":       object{"auth": b.canary(when + "service label")},
		"Mode":         object{"Replicated": object{"Replicas": 1}},
		"EndpointSpec": object{"Mode": "dnsrr"},
		"TaskTemplate": object{
			"ContainerSpec": object{
				"Image":       reference,
				"Command":     []string{"sh", "-c", "sleep 1000 # " + b.canary(when+"service command")},
				"Args":        []string{b.canary(when + "service argument")},
				"Env":         []string{"TOKEN=" + b.canary(when+"service env")},
				"Labels":      object{"auth": b.canary(when + "service container label")},
				"Hosts":       []string{"127.0.0.1 " + b.canary(when+"service host")},
				"StopSignal":  "SIGKILL",
				"Healthcheck": object{"Test": []string{"CMD", "true", b.canary(when + "service health command")}, "Interval": 1e9},
				"DNSConfig":   object{"Search": []string{b.canary(when+"service dns search") + ".invalid"}},
				"Configs":     []object{{"ConfigID": b.config, "ConfigName": "config", "File": object{"Name": "/c", "UID": "0", "GID": "0", "Mode": 0o400}}},
				"Secrets":     []object{{"SecretID": b.secret, "SecretName": "secret", "File": object{"Name": "s", "UID": "0", "GID": "0", "Mode": 0o400}}},
				"Mounts": []object{{
					"Type": "volume", "Target": "/scratch",
					"VolumeOptions": object{
						"Labels": object{"auth": b.canary(when + "service mount label")},
						"DriverConfig": object{"Name": "local", "Options": object{
							"type": "tmpfs", "device": b.canary(when + "service mount device"), "o": "size=1m"}},
					},
				}},
			},
			"LogDriver":     object{"Name": "json-file", "Options": object{"tag": b.canary(when + "service log option")}},
			"Placement":     object{"Constraints": []string{"node.labels.zone != " + b.canary(when+"service constraint")}},
			"RestartPolicy": object{"Condition": "none"},
		},
	}
}

// updateService makes PreviousSpec of what was planted before.
func (b *bed) updateService(t *testing.T) {
	t.Helper()
	version := decode[struct{ Version struct{ Index int } }](t, b, http.MethodGet, "/services/"+b.service, nil).Version.Index
	b.Call(t, http.MethodPost, fmt.Sprintf("/services/%s/update?version=%d", b.service, version), b.serviceSpec("web", ""))
	testbed.Eventually(t, limit, "the update to be complete", func() bool {
		return decode[struct{ UpdateStatus struct{ State string } }](t, b, http.MethodGet, "/services/"+b.service, nil).UpdateStatus.State == "completed"
	})
}

// waitTask returns the newest task of a service that is in the state.
func (b *bed) waitTask(t *testing.T, service, state string) string {
	t.Helper()
	id := ""
	testbed.Eventually(t, limit, "a task of "+service+" to be "+state, func() bool {
		for _, task := range decode[[]struct {
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
