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

package proxy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// project is two services that share a network and a volume.
const project = `
version: "3"
services:
  writer:
    image: busybox:test
    command: ["sh", "-c", "echo written > /data/file; echo writer is up; exec sleep 600"]
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    networks: ["back"]
  reader:
    image: busybox:test
    command: ["sh", "-c", "until cat /data/file 2>/dev/null; do sleep 0.1; done; exec sleep 600"]
    stop_signal: SIGKILL
    depends_on: ["writer"]
    volumes: ["data:/data:ro"]
    networks: ["back"]
volumes:
  data: {}
networks:
  back: {}
`

// composeCommand is the plugin's, or of docker-compose where the CLI has none.
func composeCommand(t *testing.T) []string {
	t.Helper()
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}
	}
	return []string{"docker-compose"}
}

// TestCompose takes a project up and down as the engine's own clients do.
func TestCompose(t *testing.T) {
	b := newBed(t, testbed.DockerdOptions{})
	token := b.user(t, dcv1.HostAdmin)
	cert, key := b.certificate(t, "ada", dcv1.HostAdmin)
	command := composeCommand(t)
	want := b.compose(t, b.direct(t), command, func() {})
	b.modes(t, token, func(t *testing.T, midway func()) {
		if b.address == b.addresses[0] {
			compare(t, "certificate", composeScript, want, b.compose(t, b.withCertificate(t, cert, key), command, midway))
			return
		}
		// With a token; docker-compose insists on certificates unless it is told so in flags.
		cli, command := b.proxied(t, token), command
		if command[0] == "docker-compose" {
			ca := filepath.Join(t.TempDir(), "ca.pem")
			writeFile(t, ca, b.ca.Cert)
			command = append(command, "--host", "tcp://"+b.address+b.path(), "--tlsverify", "--tlscacert", ca)
			cli.env = slices.DeleteFunc(cli.env, func(v string) bool {
				return strings.HasPrefix(v, "DOCKER_HOST=") || strings.HasPrefix(v, "DOCKER_TLS_VERIFY=") || strings.HasPrefix(v, "DOCKER_CERT_PATH=")
			})
		}
		compare(t, "token", composeScript, want, b.compose(t, cli, command, midway))
	})
}

// composeScript is what is done, with what has to be so before it where that takes time.
var composeScript = []step{
	d("up --detach"), d("ps"), d("logs --no-color"), d("exec -T reader sh -c 'cat /data/file; exit 3'"), d("top"),
	d("restart --timeout 0 writer"), d("run --rm -T writer echo one-off"), d("down --volumes --timeout 0"), d("ps"),
}

// compose plays the script; midway is called when the project is up.
func (b *bed) compose(t *testing.T, c *dockerCLI, command []string, midway func()) []result {
	t.Helper()
	dir := filepath.Join(c.dir, "demo")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c.dir = dir
	writeFile(t, filepath.Join(dir, "docker-compose.yml"), []byte(project))
	results := make([]result, len(composeScript))
	for i, s := range composeScript {
		switch i {
		case 2:
			b.waitLogged(t)
		case len(composeScript) / 2:
			midway()
		}
		got := runCommand(t, c.command(t, command[0], slices.Concat(command[1:], s.args)...))
		got.Stdout, got.Stderr = composed(got.Stdout), composed(got.Stderr)
		results[i] = got
	}
	return results
}

// waitLogged waits until both services have said what they have to say.
func (b *bed) waitLogged(t *testing.T) {
	t.Helper()
	testbed.Eventually(t, patient, "the services' output", func() bool {
		var all []struct{ ID string }
		if err := json.Unmarshal(b.engine.Call(t, "GET", "/v1.41/containers/json", nil), &all); err != nil {
			t.Fatal(err)
		}
		said := 0
		for _, c := range all {
			logs := string(b.engine.Call(t, "GET", "/v1.41/containers/"+c.ID+"/logs?stdout=1", nil))
			said += strings.Count(logs, "written\n") + strings.Count(logs, "writer is up\n")
		}
		return said == 2
	})
}

var digits = regexp.MustCompile(`\b\d+\b|-{2,}`)

// composed is output whose lines come in the order in which services are ready, and with
// process ids and times.
func composed(text string) string {
	var lines []string
	for line := range strings.Lines(steady(strings.ReplaceAll(text, "\r", "\n"))) {
		if line = strings.TrimSpace(digits.ReplaceAllString(line, "<n>")); line != "" {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
