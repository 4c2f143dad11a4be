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

// reference has nothing answer at the registry of its name.
const reference = "localhost/masking:1"

// limit is generous: what it bounds takes a second or two.
const limit = 60 * time.Second

// object is a JSON object of the API.
type object = map[string]any

// server is what is asked of any engine of the test bed.
type server interface {
	Call(t testing.TB, method, path string, body any) []byte
	TryCall(method, path string, body any) ([]byte, error)
	ImportBusybox(t testing.TB, ref string)
	RemoveContainer(t testing.TB, id string)
	Socket() string
}

// bed is an engine with canaries, and the ids of what holds them.
type bed struct {
	server
	modern   bool
	canaries map[string]string

	container, service, task, failedTask, config, secret, node string
}

// canary returns the text to plant at a place.
func (b *bed) canary(place string) string {
	text := fmt.Sprintf("canary%x", place)
	b.canaries[place] = text
	return text
}

// found returns the places whose canaries are in the answer, as they are or in base64.
func (b *bed) found(answer []byte) []string {
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

func startBed(t *testing.T, modern bool) *bed {
	t.Helper()
	b := &bed{modern: modern, canaries: map[string]string{}}
	args := []string{"--label", "tier=" + b.canary("engine label"), "--registry-mirror", "https://" + b.canary("mirror") + ".invalid"}
	if modern {
		// The engine itself hides the credentials of a proxy.
		args = append(args, "--http-proxy", "http://"+b.canary("http proxy")+":secret@127.0.0.1:1", "--no-proxy", b.canary("no proxy"))
	}
	b.server = testbed.StartDockerd(t, testbed.DockerdOptions{Modern: modern, Swarm: true, Args: args})
	b.ImportBusybox(t, "localhost/base:1")
	b.buildImage(t)
	b.plantLocal(t)
	b.plantSwarm(t)
	return b
}

// decode calls the engine and reads the answer.
func decode[T any](t *testing.T, b *bed, method, path string, body any) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(b.Call(t, method, path, body), &v); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return v
}

type created struct{ ID string }

// stream sends a body that is no JSON, or reads an answer that goes on.
func (b *bed) stream(t *testing.T, method, path string, body io.Reader) []byte {
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
func (b *bed) buildImage(t *testing.T) {
	t.Helper()
	dockerfile := strings.Join([]string{
		"FROM localhost/base:1",
		"ENV IMAGE_TOKEN=" + b.canary("image env"),
		"LABEL auth=" + b.canary("image label"),
		"RUN echo " + b.canary("image build step") + " > /dev/null",
		"ONBUILD RUN echo " + b.canary("image onbuild"),
		"HEALTHCHECK CMD echo " + b.canary("image healthcheck"),
		`CMD ["sh", "-c", "echo ` + b.canary("image command") + `"]`,
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
	if answer := b.stream(t, http.MethodPost, "/build?"+query.Encode(), &files); bytes.Contains(answer, []byte(`"error"`)) {
		t.Fatalf("build: %s", answer)
	}
	// A commit adds an author and a message.
	c := decode[created](t, b, http.MethodPost, "/containers/create", object{"Image": "localhost/built:1"})
	query = url.Values{"container": {c.ID}, "repo": {"localhost/masking"}, "tag": {"1"}, "author": {b.canary("image author")}, "comment": {b.canary("image comment")}}
	b.Call(t, http.MethodPost, "/commit?"+query.Encode(), nil)
	b.RemoveContainer(t, c.ID)
}

// plantLocal makes a container that runs, one that failed to, a network and volumes.
func (b *bed) plantLocal(t *testing.T) {
	t.Helper()
	b.Call(t, http.MethodPost, "/networks/create", object{
		"Name": "front", "Driver": "bridge",
		"Labels":  object{"auth": b.canary("network label")},
		"Options": object{"com.example.option": b.canary("network option")},
		"IPAM":    object{"Driver": "default", "Options": object{"com.example.option": b.canary("ipam option")}},
	})
	b.Call(t, http.MethodPost, "/volumes/create", object{
		"Name": "share", "Driver": "local",
		"Labels":     object{"auth": b.canary("volume label")},
		"DriverOpts": object{"type": "nfs", "device": ":/" + b.canary("volume device"), "o": "addr=127.0.0.1,password=" + b.canary("volume password")},
	})
	// An engine's disk usage lists only volumes without options.
	b.Call(t, http.MethodPost, "/volumes/create", object{"Name": "plain", "Labels": object{"auth": b.canary("plain volume label")}})
	b.container = decode[created](t, b, http.MethodPost, "/containers/create?name=web", b.containerSpec(t)).ID
	b.Call(t, http.MethodPost, "/containers/"+b.container+"/start", nil)
	exec := decode[created](t, b, http.MethodPost, "/containers/"+b.container+"/exec", object{
		"Cmd": []string{"echo", b.canary("exec command")}, "Env": []string{"TOKEN=" + b.canary("exec env")},
	})
	b.Call(t, http.MethodPost, "/exec/"+exec.ID+"/start", object{"Detach": true})
	failed := decode[created](t, b, http.MethodPost, "/containers/create?name=failed", object{
		"Image": reference, "Entrypoint": []string{b.canary("failed command")},
	}).ID
	if _, err := b.TryCall(http.MethodPost, "/containers/"+failed+"/start", nil); err == nil {
		t.Fatal("a container without a program started")
	}
	testbed.Eventually(t, limit, "the health check to run", func() bool {
		state := b.Call(t, http.MethodGet, "/containers/"+b.container+"/json", nil)
		return bytes.Contains(state, []byte(b.canaries["health output"]+`\n`))
	})
}

func (b *bed) containerSpec(t *testing.T) object {
	t.Helper()
	return object{
		"Image":      reference,
		"Entrypoint": []string{"sh", "-c"},
		"Cmd":        []string{"sleep 1000 # " + b.canary("command")},
		"Env":        []string{"TOKEN=" + b.canary("env")},
		"StopSignal": "SIGKILL",
		"Labels": object{
			"traefik.http.middlewares.auth.basicauth.users": b.canary("label"),
			"com.docker.compose.project":                    "shop",
			"com.docker.compose.service":                    "web",
			"com.docker.compose.container-number":           "1",
			"com.docker.compose.oneoff":                     "False",
			"com.docker.compose.depends_on":                 "",
			"com.docker.compose.config-hash":                b.canary("compose hash"),
			"com.docker.compose.project.config_files":       "/" + b.canary("compose files"),
		},
		"Healthcheck": object{
			"Test":     []string{"CMD-SHELL", "printf '%s\\n' " + b.canary("health output") + " # " + b.canary("health command")},
			"Interval": 1e9,
		},
		"HostConfig": object{
			"NetworkMode": "front",
			"Binds":       []string{t.TempDir() + "/" + b.canary("bind source") + ":/bound"},
			"LogConfig":   object{"Type": "json-file", "Config": object{"tag": b.canary("log option")}},
			"ExtraHosts":  []string{b.canary("extra host") + ":127.0.0.1"},
			"DnsSearch":   []string{b.canary("dns search") + ".invalid"},
			"DnsOptions":  []string{b.canary("dns option")},
			"Annotations": object{"com.example.auth": b.canary("annotation")}, // Docker 24
			"Mounts": []object{{
				"Type": "volume", "Source": "scratch", "Target": "/scratch",
				"VolumeOptions": object{
					"Labels":       object{"auth": b.canary("mount label")},
					"DriverConfig": object{"Name": "local", "Options": object{"type": "tmpfs", "device": b.canary("mount device"), "o": "size=1m"}},
				},
			}},
		},
		"NetworkingConfig": object{"EndpointsConfig": object{
			"front": object{"DriverOpts": object{"com.example.option": b.canary("endpoint option")}},
		}},
	}
}
