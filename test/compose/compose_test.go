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

package compose

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/test/testbed"
)

const (
	root    = "../.."
	project = "dockercontrol-test"

	// Limits, generous for two busy cores: what they bound takes seconds.
	startLimit = 3 * time.Minute
	readyLimit = 2 * time.Minute
)

// host is an engine and the way to run commands against it.
type host struct {
	*testbed.Dockerd
	kubeconfig string
}

func TestImagesAndCompose(t *testing.T) {
	h := &host{Dockerd: testbed.StartDockerd(t, testbed.DockerdOptions{})}
	h.buildImages(t)
	t.Run("manager image", h.testManagerImage)
	t.Run("compose", h.testCompose)
}

// buildImages builds both images. There is no registry in the test bed, so a build that pulled anything
// would fail.
func (h *host) buildImages(t *testing.T) {
	for _, program := range []string{"manager", "standalone"} {
		if _, err := os.Stat(filepath.Join(root, "bin", program)); err != nil {
			t.Fatalf("%v: run make build first", err)
		}
	}
	h.docker(t, "build", "--tag", "dockercontrol/manager", ".")
	h.docker(t, "build", "--tag", "dockercontrol/standalone", "--file", "deploy/standalone.Dockerfile", ".")
}

// testManagerImage checks that the program runs in its image as config/manager has it run: as a user
// without rights, on a read-only file system, with no capability.
func (h *host) testManagerImage(t *testing.T) {
	if user := h.docker(t, "image", "inspect", "--format", "{{.Config.User}}", "dockercontrol/manager"); user != "65532:65532" {
		t.Errorf("the manager's image runs as %q, want 65532:65532", user)
	}
	h.docker(t, "run", "--rm", "--read-only", "--cap-drop=ALL", "--network=none", "dockercontrol/manager", "--help")
}

func (h *host) testCompose(t *testing.T) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of standalone:\n%s", h.compose(t, "logs", "--no-color", "--tail=50"))
		}
		h.compose(t, "down", "--volumes")
	})
	h.up(t)

	h.apply(t, `{
		"apiVersion": "dockercontrol.dev/v1alpha1", "kind": "DockerHost",
		"metadata": {"name": "local", "namespace": "default"},
		"spec": {"endpoint": "unix:///var/run/docker.sock"}
	}`)
	h.kubectl(t, "wait", "--for=condition=Ready", "--timeout="+readyLimit.String(), "dockerhost/local")
	h.waitForCounts(t)

	// The numbers follow the engine.
	h.ImportBusybox(t, "busybox:test")
	id := h.docker(t, "run", "--detach", "busybox:test", "sleep", "1000")
	h.waitForCounts(t)
	h.docker(t, "rm", "--force", id)
	h.waitForCounts(t)

	// "down" takes the container away, not the data.
	uid := h.kubectl(t, "get", "dockerhost", "local", "--output=jsonpath={.metadata.uid}")
	h.compose(t, "down")
	h.up(t)
	if again := h.kubectl(t, "get", "dockerhost", "local", "--output=jsonpath={.metadata.uid}"); again != uid {
		t.Errorf("after down and up the DockerHost has the uid %s, want %s: the volume was not used again", again, uid)
	}
	h.waitForCounts(t)
}

// up brings the compose file up, waits for standalone, and takes its kubeconfig.
func (h *host) up(t *testing.T) {
	t.Helper()
	h.compose(t, "up", "--detach", "--no-build")
	container := h.compose(t, "ps", "--quiet", "standalone")
	testbed.Eventually(t, startLimit, "standalone ready in the log of its container", func() bool {
		return strings.Contains(h.docker(t, "logs", container), "\nstandalone ready")
	})
	h.kubeconfig = filepath.Join(t.TempDir(), "admin.kubeconfig")
	h.docker(t, "cp", container+":/data/admin.kubeconfig", h.kubeconfig)
}

// waitForCounts waits until the DockerHost's status has the numbers that the engine itself gives.
func (h *host) waitForCounts(t *testing.T) {
	t.Helper()
	type counts struct{ Total, Running, Paused, Stopped, Images int }
	var want, got counts
	testbed.Eventually(t, readyLimit, "the numbers of docker info in the DockerHost's status", func() bool {
		var info struct{ Containers, ContainersRunning, ContainersPaused, ContainersStopped, Images int }
		decode(t, h.docker(t, "info", "--format", "{{json .}}"), &info)
		want = counts{info.Containers, info.ContainersRunning, info.ContainersPaused, info.ContainersStopped, info.Images}
		var object struct {
			Status struct {
				Images     int
				Containers counts
			}
		}
		decode(t, h.kubectl(t, "get", "dockerhost", "local", "--output=json"), &object)
		got = object.Status.Containers
		got.Images = object.Status.Images
		return got == want
	})
	if want.Total == 0 {
		t.Errorf("docker info counts no container, though standalone runs in one: %+v", want)
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("decode %.200q: %v", text, err)
	}
}

func (h *host) docker(t *testing.T, args ...string) string {
	t.Helper()
	return h.run(t, "", "docker", args...)
}

// compose runs docker compose, or docker-compose where the CLI has no such plugin.
func (h *host) compose(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"--file", "deploy/compose.yaml", "--project-name", project}, args...)
	if exec.Command("docker", "compose", "version").Run() == nil {
		return h.run(t, "", "docker", append([]string{"compose"}, args...)...)
	}
	return h.run(t, "", "docker-compose", args...)
}

func (h *host) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return h.inside(t, "", append(args, "--namespace=default")...)
}

func (h *host) apply(t *testing.T, object string) {
	t.Helper()
	h.inside(t, object, "apply", "--server-side", "--filename=-")
}

// inside runs kubectl in the engine's network namespace, where the published ports are.
func (h *host) inside(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	program := h.run(t, "", "hack/tool.sh", "kubectl")
	enter := []string{"--target", strconv.Itoa(h.PID()), "--net", "--", program, "--kubeconfig=" + h.kubeconfig}
	return h.run(t, stdin, "nsenter", append(enter, args...)...)
}

// run runs a command in the repository's root against the engine, and returns what it printed.
func (h *host) run(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	if t.Context().Err() != nil { // in a cleanup
		cmd = exec.Command(name, args...)
	}
	cmd.Dir = root
	cmd.Env = append(os.Environ(),
		"DOCKER_HOST=unix://"+h.Socket(), "DOCKER_SOCKET="+h.Socket(),
		"DOCKER_BUILDKIT=0", // the classic builder is the engine's own; the other may not be installed
		"COMPOSE_DOCKER_CLI_BUILD=0")
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return strings.TrimSpace(stdout.String())
}
