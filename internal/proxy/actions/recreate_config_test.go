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

package actions

import (
	"encoding/json"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func parse(t *testing.T, text string) object {
	t.Helper()
	var o object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestUserConfig(t *testing.T) {
	const empty = `"Env":[],"Labels":{},"ExposedPorts":{},"Volumes":{}`
	tests := map[string]struct{ config, image, want string }{
		"all the image's": {
			`{"User":"app","WorkingDir":"/app","StopSignal":"SIGINT","Env":["PATH=/bin","A=1"],"Cmd":["serve"],"Entrypoint":["/app"],"Labels":{"v":"1"},"ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}},"Healthcheck":{"Test":["CMD","true"]}}`,
			`{"User":"app","WorkingDir":"/app","StopSignal":"SIGINT","Env":["PATH=/bin","A=1"],"Cmd":["serve"],"Entrypoint":["/app"],"Labels":{"v":"1"},"ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}},"Healthcheck":{"Test":["CMD","true"]}}`,
			`{` + empty + `}`,
		},
		"the user's beside them": {
			`{"User":"me","Env":["A=2","MINE=1","PATH=/bin"],"Labels":{"v":"1","w":"2"},"ExposedPorts":{"80/tcp":{},"81/tcp":{}},"Volumes":{"/x":{}},"Tty":true}`,
			`{"User":"app","Env":["PATH=/bin","A=1"],"Labels":{"v":"0","w":"2"},"ExposedPorts":{"80/tcp":{}}}`,
			`{"User":"me","Env":["A=2","MINE=1"],"Labels":{"v":"1"},"ExposedPorts":{"81/tcp":{}},"Volumes":{"/x":{}},"Tty":true}`,
		},
		"a command under the image's entrypoint": {
			`{"Cmd":["mine"],"Entrypoint":["/app"]}`, `{"Cmd":["serve"],"Entrypoint":["/app"]}`, `{"Cmd":["mine"],` + empty + `}`,
		},
		"an entrypoint drops the image's command": {
			`{"Cmd":null,"Entrypoint":["/mine"]}`, `{"Cmd":["serve"],"Entrypoint":["/app"]}`, `{"Cmd":null,"Entrypoint":["/mine"],` + empty + `}`,
		},
		"the image's entrypoint, said by the user": {
			`{"Entrypoint":["/app"]}`, `{"Cmd":["serve"],"Entrypoint":["/app"]}`, `{"Entrypoint":["/app"],` + empty + `}`,
		},
		"an entrypoint and the image's command, said by the user": {
			`{"Cmd":["serve"],"Entrypoint":["/mine"]}`, `{"Cmd":["serve"],"Entrypoint":["/app"]}`, `{"Cmd":["serve"],"Entrypoint":["/mine"],` + empty + `}`,
		},
		"a command alone": {
			`{"Cmd":["mine"],"Entrypoint":null}`, `{"Cmd":["serve"]}`, `{"Cmd":["mine"],` + empty + `}`,
		},
		"a part of a health check": {
			`{"Healthcheck":{"Test":["CMD","true"],"Interval":5}}`, `{"Healthcheck":{"Test":["CMD","true"],"Interval":3}}`, `{"Healthcheck":{"Interval":5},` + empty + `}`,
		},
		"a health check turned off": {
			`{"Healthcheck":{"Test":["NONE"]}}`, `{"Healthcheck":{"Test":["CMD","true"]}}`, `{"Healthcheck":{"Test":["NONE"]},` + empty + `}`,
		},
		"an image that says nothing": {
			`{"User":"me","Cmd":["x"],"Env":null}`, `null`, `{"User":"me","Cmd":["x"],` + empty + `}`,
		},
	}
	for name, tt := range tests {
		got, err := json.Marshal(userConfig(parse(t, tt.config), parse(t, tt.image)))
		if err != nil || !same(got, json.RawMessage(tt.want)) && !same(fillNull(t, got), fillNull(t, json.RawMessage(tt.want))) {
			t.Errorf("%s:\n got %s, %v\nwant %s", name, got, err, tt.want)
		}
	}
}

// fillNull drops empty lists, which engines take for null.
func fillNull(t *testing.T, raw json.RawMessage) json.RawMessage {
	t.Helper()
	o := parse(t, string(raw))
	for k, v := range o {
		if s := string(v); s == "null" || s == "[]" || s == "{}" {
			delete(o, k)
		}
	}
	out, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const oldID = "aaaaaaaaaaaabbbb"

func old(t *testing.T, hostConfig, config, more string) *inspected {
	t.Helper()
	if more != "" {
		more = "," + more
	}
	c, err := parseContainer(json.RawMessage(`{"Id":"` + oldID + `","Name":"/web","Image":"sha256:111111111111","State":{"Status":"running","Running":true},"HostConfig":` + hostConfig + `,"Config":` + config + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSuccessor(t *testing.T) {
	c := old(t,
		`{"NetworkMode":"net-id","Binds":["named:/n:ro"],"Mounts":[{"Type":"volume","Target":"/m"},{"Type":"tmpfs","Target":"/t"}],"Links":["/db:/web/database"],"Unknown":12345678901234567890}`,
		`{"Image":"app:1","Hostname":"aaaaaaaaaaaa","Labels":{"com.docker.compose.image":"sha256:111111111111"}}`,
		`"Mounts":[{"Type":"volume","Name":"named","Destination":"/n","RW":false},{"Type":"volume","Name":"v1","Destination":"/m","RW":true},{"Type":"volume","Name":"v2","Destination":"/a","RW":true},{"Type":"volume","Name":"v3","Destination":"/r","RW":false},{"Type":"bind","Destination":"/b"},{"Type":"tmpfs","Destination":"/t"}],
		 "NetworkSettings":{"Networks":{"front":{"NetworkID":"net-id","IPAddress":"10.0.0.7","MacAddress":"02:42:00:00:00:01","Aliases":["aaaaaaaaaaaa"],"IPAMConfig":{}},
		 "back":{"NetworkID":"x","IPAMConfig":{"IPv4Address":"10.1.0.7"},"Aliases":["db","aaaaaaaaaaaa"],"GwPriority":5,"DriverOpts":null}}}`)
	p, err := c.successor("sha256:2222", nil, "02:42:00:00:00:99")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Image":"app:1","Labels":{"com.docker.compose.image":"sha256:2222"},
		"HostConfig":{"NetworkMode":"net-id","Binds":["named:/n:ro","v2:/a","v3:/r:ro"],"Mounts":[{"Type":"volume","Target":"/m","Source":"v1"},{"Type":"tmpfs","Target":"/t"}],"Links":["db:database"],"Unknown":12345678901234567890},
		"NetworkingConfig":{"EndpointsConfig":{"front":{"MacAddress":"02:42:00:00:00:99"}}}}`
	if !same(fillNull(t, p.body), json.RawMessage(want)) {
		t.Errorf("got  %s\nwant %s", p.body, want)
	}
	if !strings.Contains(string(p.body), "12345678901234567890") {
		t.Errorf("a number lost its digits: %s", p.body)
	}
	if len(p.networks) != 1 || !same(p.networks["back"], json.RawMessage(`{"IPAMConfig":{"IPv4Address":"10.1.0.7"},"Aliases":["db"],"GwPriority":5}`)) {
		t.Errorf("the further networks are %s", p.networks)
	}

	shares := old(t, `{"NetworkMode":"container:other"}`, `{"Image":"app:1","Hostname":"other","Domainname":"d","ExposedPorts":{"1/tcp":{}}}`, `"NetworkSettings":{"Networks":{}}`)
	p, err = shares.successor("sha256:2222", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"Hostname", "Domainname", "ExposedPorts"} {
		if strings.Contains(string(p.body), `"`+gone+`"`) {
			t.Errorf("one on another's network is to have a %s: %s", gone, p.body)
		}
	}
}

func TestRecreatable(t *testing.T) {
	for says, c := range map[string]*inspected{
		"swarm":      old(t, `{}`, `{"Image":"a:1","Labels":{"com.docker.swarm.task.id":"x"}}`, ""),
		"--rm":       old(t, `{"AutoRemove":true}`, `{"Image":"a:1"}`, ""),
		"image's id": old(t, `{}`, `{"Image":"sha256:111111111111"}`, ""),
		"paused":     old(t, `{}`, `{"Image":"a:1"}`, `"State":{"Status":"paused","Running":true}`),
	} {
		if err := c.recreatable(); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want a conflict that says %q", err, says)
		}
	}
	if err := old(t, `{}`, `{"Image":"a:1"}`, "").recreatable(); err != nil {
		t.Error(err)
	}
}
