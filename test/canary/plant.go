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
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// Reference has nothing answer at the registry of its name.
const Reference = "localhost/masking:1"

// limit is generous: what it bounds takes a second or two.
const limit = 60 * time.Second

// Object is a JSON object of the API.
type Object = map[string]any

// Server is what is asked of any engine of the test bed.
type Server interface {
	Call(t testing.TB, method, path string, body any) []byte
	TryCall(method, path string, body any) ([]byte, error)
	ImportBusybox(t testing.TB, ref string)
	RemoveContainer(t testing.TB, id string)
	Socket() string
}

// Bed is an engine with canaries, and the ids of what holds them.
type Bed struct {
	Server
	Modern   bool
	canaries map[string]string

	Container, Service, Task, FailedTask, Config, Secret, Node string
}

// Canary returns the text to plant at a place.
func (b *Bed) Canary(place string) string {
	text := fmt.Sprintf("canary%x", place)
	b.canaries[place] = text
	return text
}

// Found returns the places whose canaries are in the answer, as they are or in base64.
func (b *Bed) Found(answer []byte) []string {
	var places []string
	for place, text := range b.canaries {
		forms := []string{text}
		for shift := range 3 { // base64 looks different at each of three offsets
			encoded := base64.RawStdEncoding.EncodeToString([]byte("xyz"[:shift] + text))
			forms = append(forms, encoded[4:len(encoded)-4])
		}
		for _, form := range forms {
			if bytes.Contains(answer, []byte(form)) {
				places = append(places, place)
				break
			}
		}
	}
	return places
}

// New returns a bed of an engine in which nothing is planted yet.
func New(engine Server) *Bed { return &Bed{Server: engine, canaries: map[string]string{}} }

// Start starts an engine, the manager of a swarm of its own, with canaries everywhere.
func Start(t *testing.T, modern bool) *Bed {
	t.Helper()
	b := &Bed{Modern: modern, canaries: map[string]string{}}
	args := []string{"--label", "tier=" + b.Canary("engine label"), "--registry-mirror", "https://" + b.Canary("mirror") + ".invalid"}
	if modern {
		// The engine itself hides the credentials of a proxy.
		args = append(args, "--http-proxy", "http://"+b.Canary("http proxy")+":secret@127.0.0.1:1", "--no-proxy", b.Canary("no proxy"))
	}
	b.Server = testbed.StartDockerd(t, testbed.DockerdOptions{Modern: modern, Swarm: true, Args: args})
	b.ImportBusybox(t, "localhost/base:1")
	b.buildImage(t)
	b.plantLocal(t)
	b.plantSwarm(t)
	return b
}

// Decode calls the engine and reads the answer.
func Decode[T any](t *testing.T, b *Bed, method, path string, body any) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(b.Call(t, method, path, body), &v); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return v
}

// Created is the engine's answer to what made something.
type Created struct{ ID string }

// Stream sends a body that is no JSON, or reads an answer that goes on.
func (b *Bed) Stream(t *testing.T, method, path string, body io.Reader) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://engine"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-tar")
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", b.Socket())
	}}
	response, err := (&http.Client{Transport: transport, Timeout: limit}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v: %s", method, path, response.Status, err, answer)
	}
	return answer
}

// buildImage makes the image by the classic builder, which runs the Dockerfile's commands in containers.
func (b *Bed) buildImage(t *testing.T) {
	t.Helper()
	dockerfile := strings.Join([]string{
		"FROM localhost/base:1",
		"ENV IMAGE_TOKEN=" + b.Canary("image env"),
		"LABEL auth=" + b.Canary("image label"),
		"RUN echo " + b.Canary("image build step") + " > /dev/null",
		"ONBUILD RUN echo " + b.Canary("image onbuild"),
		"HEALTHCHECK CMD echo " + b.Canary("image healthcheck"),
		`CMD ["sh", "-c", "echo ` + b.Canary("image command") + `"]`,
	}, "\n")
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	if err := w.WriteHeader(&tar.Header{Name: "Dockerfile", Size: int64(len(dockerfile)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, dockerfile); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	query := url.Values{"t": {"localhost/built:1"}, "networkmode": {"none"}}
	if answer := b.Stream(t, http.MethodPost, "/build?"+query.Encode(), &files); bytes.Contains(answer, []byte(`"error"`)) {
		t.Fatalf("build: %s", answer)
	}
	// A commit adds an author and a message.
	c := Decode[Created](t, b, http.MethodPost, "/containers/create", Object{"Image": "localhost/built:1"})
	query = url.Values{"container": {c.ID}, "repo": {"localhost/masking"}, "tag": {"1"}, "author": {b.Canary("image author")}, "comment": {b.Canary("image comment")}}
	b.Call(t, http.MethodPost, "/commit?"+query.Encode(), nil)
	b.RemoveContainer(t, c.ID)
}

// plantLocal makes a container that runs, one that failed to, a network and volumes.
func (b *Bed) plantLocal(t *testing.T) {
	t.Helper()
	b.Call(t, http.MethodPost, "/networks/create", Object{
		"Name": "front", "Driver": "bridge",
		"Labels":  Object{"auth": b.Canary("network label")},
		"Options": Object{"com.example.option": b.Canary("network option")},
		"IPAM":    Object{"Driver": "default", "Options": Object{"com.example.option": b.Canary("ipam option")}},
	})
	b.Call(t, http.MethodPost, "/volumes/create", Object{
		"Name": "share", "Driver": "local",
		"Labels":     Object{"auth": b.Canary("volume label")},
		"DriverOpts": Object{"type": "nfs", "device": ":/" + b.Canary("volume device"), "o": "addr=127.0.0.1,password=" + b.Canary("volume password")},
	})
	// An engine's disk usage lists only volumes without options.
	b.Call(t, http.MethodPost, "/volumes/create", Object{"Name": "plain", "Labels": Object{"auth": b.Canary("plain volume label")}})
	b.Container = Decode[Created](t, b, http.MethodPost, "/containers/create?name=web", b.containerSpec(t)).ID
	b.Call(t, http.MethodPost, "/containers/"+b.Container+"/start", nil)
	exec := Decode[Created](t, b, http.MethodPost, "/containers/"+b.Container+"/exec", Object{
		"Cmd": []string{"echo", b.Canary("exec command")}, "Env": []string{"TOKEN=" + b.Canary("exec env")},
	})
	b.Call(t, http.MethodPost, "/exec/"+exec.ID+"/start", Object{"Detach": true})
	failed := Decode[Created](t, b, http.MethodPost, "/containers/create?name=failed", Object{
		"Image": Reference, "Entrypoint": []string{b.Canary("failed command")},
	}).ID
	if _, err := b.TryCall(http.MethodPost, "/containers/"+failed+"/start", nil); err == nil {
		t.Fatal("a container without a program started")
	}
	testbed.Eventually(t, limit, "the health check to run", func() bool {
		state := b.Call(t, http.MethodGet, "/containers/"+b.Container+"/json", nil)
		return bytes.Contains(state, []byte(b.canaries["health output"]+`\n`))
	})
}

func (b *Bed) containerSpec(t *testing.T) Object {
	t.Helper()
	return Object{
		"Image":      Reference,
		"Entrypoint": []string{"sh", "-c"},
		"Cmd":        []string{"sleep 1000 # " + b.Canary("command")},
		"Env":        []string{"TOKEN=" + b.Canary("env")},
		"StopSignal": "SIGKILL",
		"Labels": Object{
			"traefik.http.middlewares.auth.basicauth.users": b.Canary("label"),
			"com.docker.compose.project":                    "shop",
			"com.docker.compose.service":                    "web",
			"com.docker.compose.container-number":           "1",
			"com.docker.compose.oneoff":                     "False",
			"com.docker.compose.depends_on":                 "",
			"com.docker.compose.config-hash":                b.Canary("compose hash"),
			"com.docker.compose.project.config_files":       "/" + b.Canary("compose files"),
		},
		"Healthcheck": Object{
			"Test":     []string{"CMD-SHELL", "printf '%s\\n' " + b.Canary("health output") + " # " + b.Canary("health command")},
			"Interval": 1e9,
		},
		"HostConfig": Object{
			"NetworkMode": "front",
			"Binds":       []string{t.TempDir() + "/" + b.Canary("bind source") + ":/bound"},
			"LogConfig":   Object{"Type": "json-file", "Config": Object{"tag": b.Canary("log option")}},
			"ExtraHosts":  []string{b.Canary("extra host") + ":127.0.0.1"},
			"DnsSearch":   []string{b.Canary("dns search") + ".invalid"},
			"DnsOptions":  []string{b.Canary("dns option")},
			"Annotations": Object{"com.example.auth": b.Canary("annotation")}, // Docker 24
			"Mounts": []Object{{
				"Type": "volume", "Source": "scratch", "Target": "/scratch",
				"VolumeOptions": Object{
					"Labels":       Object{"auth": b.Canary("mount label")},
					"DriverConfig": Object{"Name": "local", "Options": Object{"type": "tmpfs", "device": b.Canary("mount device"), "o": "size=1m"}},
				},
			}},
		},
		"NetworkingConfig": Object{"EndpointsConfig": Object{
			"front": Object{"DriverOpts": Object{"com.example.option": b.Canary("endpoint option")}},
		}},
	}
}
