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

package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// told reads events up to the first whose action is last, as "type action".
func told(t *testing.T, c *client, path string, last string) []string {
	t.Helper()
	var got []string
	in := c.stream(path)
	for in.Scan() {
		var ev struct {
			Type, Action string
			Actor        struct{ Attributes map[string]string }
		}
		if err := json.Unmarshal(in.Bytes(), &ev); err != nil {
			t.Fatal(err)
		}
		line := ev.Type + " " + ev.Action
		for _, k := range []string{"exitCode", "signal", "oldName"} {
			if v, ok := ev.Actor.Attributes[k]; ok {
				line += " " + v
			}
		}
		got = append(got, line)
		if ev.Type+" "+ev.Action == last {
			return got
		}
	}
	t.Fatalf("the events ended after %q: %v", got, in.Err())
	return nil
}

// TestLifecycle compares the events of a container's life with dockerd's.
func TestLifecycle(t *testing.T) {
	c := serve(t, Options{Images: 1})
	id := c.create("c1", map[string]any{"Cmd": []string{"sh", "-c", "sleep 1000"}, "StopTimeout": 0, "HostConfig": map[string]any{"Binds": []string{"v1:/data"}}})
	c.must(204, "POST", "/containers/c1/start", nil)
	c.must(304, "POST", "/containers/c1/start", nil)
	c.must(204, "POST", "/containers/c1/pause", nil)
	c.must(409, "POST", "/containers/c1/pause", nil)
	c.must(409, "DELETE", "/containers/c1", nil)
	c.must(204, "POST", "/containers/c1/unpause", nil)
	c.must(204, "POST", "/containers/c1/rename?name=c2", nil)
	c.must(204, "POST", "/containers/c2/kill?signal=HUP", nil)
	c.must(204, "POST", "/containers/c2/restart?t=0", nil)
	c.must(204, "POST", "/containers/c2/stop", nil)
	c.must(304, "POST", "/containers/"+id[:12]+"/stop", nil)
	c.must(204, "POST", "/containers/c2/start", nil)
	c.must(409, "DELETE", "/containers/c2", nil)
	c.must(204, "DELETE", "/containers/c2?force=1", nil)
	c.must(404, "DELETE", "/containers/c2", nil)
	want := []string{
		"volume create", "container create", "network connect", "volume mount", "container start", "container pause", "container unpause",
		"container rename /c1", "container kill 1",
		"container kill 15", "container kill 9", "container die 137", "network disconnect", "volume unmount", "container stop",
		"network connect", "volume mount", "container start", "container restart",
		"container kill 15", "container kill 9", "container die 137", "network disconnect", "volume unmount", "container stop",
		"network connect", "volume mount", "container start",
		"container kill 9", "container die 137", "network disconnect", "volume unmount", "container destroy",
	}
	if got := told(t, c, "/events?since=1", "container destroy"); !slices.Equal(got, want) {
		t.Errorf("the events are\n%q; want\n%q", got, want)
	}
}

func TestExitCodes(t *testing.T) {
	c := serve(t, Options{Images: 1})
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "no-such-thing": 127, "sleep 0.01": 0} {
		id := c.script("", script)
		if got := c.wait(id); got != want {
			t.Errorf("%q ended with %d; want %d", script, got, want)
		}
		if got := c.wait(id); got != want {
			t.Errorf("a later wait says %d; want %d", got, want)
		}
	}
	id := c.create("none", map[string]any{"Cmd": []string{"/no/such/program"}})
	status, body := c.call("POST", "/containers/none/start", nil)
	if status != 400 || !strings.Contains(string(body), "no such file or directory") {
		t.Errorf("start of no program: %d %s", status, body)
	}
	var out struct {
		State struct {
			Status, Error string
			ExitCode      int
		}
	}
	c.read("/containers/"+id+"/json", &out)
	if out.State.Status != "created" || out.State.ExitCode != 127 || out.State.Error == "" {
		t.Errorf("afterwards its state is %+v", out.State)
	}
}

func TestStopSignals(t *testing.T) {
	c := serve(t, Options{Images: 1})
	yes := true
	for name, test := range map[string]struct {
		script string
		init   *bool
		signal string
		code   int
	}{
		// A trap is set before it is said that the script runs.
		"trap":     {"trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done", nil, "", 5},
		"trapwait": {"trap 'exit 6' TERM; echo up; sleep 1000 & wait", nil, "", 6},
		"other":    {"trap 'exit 7' USR1; echo up; while :; do sleep 0.01; done", nil, "SIGUSR1", 7},
		"ignore":   {"echo up; sleep 1000", nil, "", 137},
		"init":     {"echo up; sleep 1000", &yes, "", 143},
	} {
		id := c.create(name, map[string]any{"Cmd": []string{"sh", "-c", test.script}, "StopSignal": test.signal, "HostConfig": map[string]any{"Init": test.init}})
		c.must(204, "POST", "/containers/"+name+"/start", nil)
		eventually(t, "the script to run", func() bool { return len(c.must(200, "GET", "/containers/"+id+"/logs?stdout=1", nil)) > 0 })
		grace := "5"
		if test.code == 137 {
			grace = "0"
		}
		c.must(204, "POST", "/containers/"+name+"/stop?t="+grace, nil)
		if got := c.wait(id); got != test.code {
			t.Errorf("%s ended with %d; want %d", name, got, test.code)
		}
	}
}

func TestRestartPolicy(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.create("re", map[string]any{"Cmd": []string{"sh", "-c", "exit 2"}, "HostConfig": map[string]any{
		"RestartPolicy": map[string]any{"Name": "on-failure", "MaximumRetryCount": 2},
	}})
	c.must(204, "POST", "/containers/re/start", nil)
	var out struct {
		RestartCount int
		State        struct {
			Status   string
			ExitCode int
		}
	}
	eventually(t, "two restarts", func() bool {
		c.read("/containers/re/json", &out)
		return out.RestartCount == 2 && out.State.Status == "exited"
	})
	if out.State.ExitCode != 2 {
		t.Errorf("it ended with %d", out.State.ExitCode)
	}
	c.create("always", map[string]any{"Cmd": []string{"sleep", "1000"}, "HostConfig": map[string]any{"RestartPolicy": map[string]any{"Name": "always"}}})
	c.must(204, "POST", "/containers/always/start", nil)
	c.must(204, "POST", "/containers/always/stop?t=0", nil)
	if got := c.state("always"); got != "exited" {
		t.Errorf("after a stop it is %s", got)
	}
}

func TestWaits(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.create("gone", map[string]any{"Cmd": []string{"sleep", "1000"}, "HostConfig": map[string]any{"AutoRemove": true}})
	answers := make(chan string, 2)
	for _, condition := range []string{"next-exit", "removed"} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		resp, err := c.request(ctx, http.MethodPost, "/containers/gone/wait?condition="+condition, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer resp.Body.Close()
			var out struct{ StatusCode int }
			err := json.NewDecoder(resp.Body).Decode(&out)
			answers <- fmt.Sprint(condition, " ", out.StatusCode, " ", err)
		}()
	}
	c.must(204, "POST", "/containers/gone/start", nil)
	c.must(204, "POST", "/containers/gone/kill", nil)
	got := []string{<-answers, <-answers}
	slices.Sort(got)
	if want := []string{"next-exit 137 <nil>", "removed 137 <nil>"}; !slices.Equal(got, want) {
		t.Errorf("the waits say %q; want %q", got, want)
	}
	c.must(404, "GET", "/containers/gone/json", nil)
}

func TestPauseStopsTime(t *testing.T) {
	c := serve(t, Options{Images: 1})
	loop := c.script("loop", "while :; do echo x; sleep 0.01; done")
	// The nap must not be over before it is paused.
	nap := c.create("nap", map[string]any{"Cmd": []string{"sleep", "2"}})
	c.must(204, "POST", "/containers/nap/start", nil)
	for _, id := range []string{loop, nap} {
		c.must(204, "POST", "/containers/"+id+"/pause", nil)
	}
	length := func() int { return len(c.must(200, "GET", "/containers/loop/logs?stdout=1", nil)) }
	before := length()
	time.Sleep(2200 * time.Millisecond) // long enough for the nap to be over
	if after := length(); after > before+20 {
		t.Errorf("a paused container wrote %d bytes", after-before)
	}
	if got := c.state("nap"); got != "paused" {
		t.Errorf("a paused sleep is %s", got)
	}
	for _, id := range []string{loop, nap} {
		c.must(204, "POST", "/containers/"+id+"/unpause", nil)
	}
	if code := c.wait("nap"); code != 0 {
		t.Errorf("the sleep ended with %d", code)
	}
	eventually(t, "the loop to go on", func() bool { return length() > before+20 })
}

func TestInspectAndTop(t *testing.T) {
	c := serve(t, Options{Images: 1})
	id := c.create("web", map[string]any{
		"Cmd": []string{"sleep", "1000"}, "Env": []string{"A=b"}, "ExposedPorts": map[string]any{"81/udp": map[string]any{}},
		"HostConfig": map[string]any{"PortBindings": map[string]any{"80/tcp": []map[string]any{{"HostPort": "8080"}}}},
	})
	c.must(204, "POST", "/containers/web/start", nil)
	var out struct {
		ID, Name, Path string
		Args           []string
		Config         struct {
			Env      []string
			Hostname string
		}
		State struct {
			Pid     int
			Running bool
		}
		NetworkSettings struct {
			IPAddress string
			Ports     map[string][]struct{ HostIP, HostPort string }
			Networks  map[string]struct{ IPAddress, Gateway, MacAddress string }
		}
	}
	c.read("/containers/web/json", &out)
	bridge := out.NetworkSettings.Networks["bridge"]
	if out.ID != id || out.Name != "/web" || out.Path != "sleep" || !slices.Equal(out.Args, []string{"1000"}) || out.Config.Hostname != id[:12] ||
		!out.State.Running || out.State.Pid == 0 || bridge.IPAddress != "172.17.0.2" || bridge.Gateway != "172.17.0.1" ||
		bridge.MacAddress != "02:42:ac:11:00:02" || out.NetworkSettings.IPAddress != bridge.IPAddress ||
		out.NetworkSettings.Ports["80/tcp"][0].HostPort != "8080" || len(out.NetworkSettings.Ports) != 2 {
		t.Errorf("inspect says %+v", out)
	}
	var list []struct{ Ports []map[string]any }
	c.read("/containers/json", &list)
	if got := fmt.Sprint(list[0].Ports); got != "[map[IP:0.0.0.0 PrivatePort:80 PublicPort:8080 Type:tcp] map[IP::: PrivatePort:80 PublicPort:8080 Type:tcp] map[PrivatePort:81 Type:udp]]" {
		t.Errorf("the ports are %s", got)
	}
	c.create("second", map[string]any{"Cmd": []string{"sleep", "1"}, "HostConfig": map[string]any{"PortBindings": map[string]any{"80/tcp": []map[string]any{{"HostPort": "8080"}}}}})
	if body := c.must(500, "POST", "/containers/second/start", nil); !strings.Contains(string(body), "port is already allocated") {
		t.Errorf("a taken port: %s", body)
	}
	var top struct {
		Titles    []string
		Processes [][]string
	}
	c.read("/containers/web/top", &top)
	if len(top.Processes) != 1 || top.Processes[0][len(top.Titles)-1] != "sleep 1000" {
		t.Errorf("top says %+v", top)
	}
}

func TestStats(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	type sample struct {
		Read, PreRead time.Time
		CPU           struct {
			Usage struct {
				Total uint64 `json:"total_usage"`
			} `json:"cpu_usage"`
			System uint64 `json:"system_cpu_usage"`
		} `json:"cpu_stats"`
		PreCPU struct {
			Usage struct {
				Total uint64 `json:"total_usage"`
			} `json:"cpu_usage"`
			System uint64 `json:"system_cpu_usage"`
		} `json:"precpu_stats"`
		Memory struct{ Usage, Limit uint64 } `json:"memory_stats"`
		Name   string
	}
	in := c.stream("/containers/c0/stats")
	var samples []sample
	for len(samples) < 2 && in.Scan() {
		var s sample
		if err := json.Unmarshal(in.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		samples = append(samples, s)
	}
	if len(samples) < 2 {
		t.Fatal("the stream ended")
	}
	one, two := samples[0], samples[1]
	cpu, system := two.CPU.Usage.Total-two.PreCPU.Usage.Total, two.CPU.System-two.PreCPU.System
	if !one.PreRead.IsZero() || !two.PreRead.Equal(one.Read) || two.PreCPU != one.CPU || two.Memory.Usage == 0 || two.Memory.Usage > two.Memory.Limit ||
		float64(cpu)/float64(system) <= 0 || float64(cpu)/float64(system)*machineCPUs > 0.31 || two.Name != "/c0" {
		t.Errorf("the samples are %+v", samples)
	}
	c.must(204, "POST", "/containers/c0/kill", nil)
	var stopped sample
	c.read("/containers/c0/stats?stream=0", &stopped)
	if !stopped.Read.IsZero() || stopped.Name != "/c0" {
		t.Errorf("of a stopped container: %+v", stopped)
	}
}
