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
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// dockerCLI is the stock docker CLI, pointed at an engine.
type dockerCLI struct {
	env []string
	dir string
}

// result is what a command printed and how it ended.
type result struct {
	Stdout, Stderr string
	Code           int
}

// direct talks to the engine's own socket.
func (b *bed) direct(t *testing.T) *dockerCLI {
	return newCLI(t, "DOCKER_HOST="+b.engine.Endpoint())
}

// proxied talks to the proxy as the CLI's documentation has it: a path in DOCKER_HOST, the
// CA in DOCKER_CERT_PATH, and the token in a config.json of its own.
func (b *bed) proxied(t *testing.T, token string) *dockerCLI {
	t.Helper()
	certs := t.TempDir()
	writeFile(t, filepath.Join(certs, "ca.pem"), b.ca.Cert)
	c := newCLI(t, "DOCKER_HOST=tcp://"+b.address+b.path(), "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+certs)
	config, err := json.Marshal(map[string]any{"HttpHeaders": map[string]string{"Authorization": "Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(c.dir, "config.json"), config)
	return c
}

// withCertificate talks to the proxy with a client certificate of the cluster.
func (b *bed) withCertificate(t *testing.T, cert, key []byte) *dockerCLI {
	t.Helper()
	certs := t.TempDir()
	for name, data := range map[string][]byte{"ca.pem": b.ca.Cert, "cert.pem": cert, "key.pem": key} {
		writeFile(t, filepath.Join(certs, name), data)
	}
	return newCLI(t, "DOCKER_HOST=tcp://"+b.address+b.path(), "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+certs)
}

func newCLI(t *testing.T, env ...string) *dockerCLI {
	t.Helper()
	dir := t.TempDir()
	// No buildx: BuildKit needs a builder that Debian does not have.
	env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+dir, "DOCKER_CONFIG="+dir, "DOCKER_BUILDKIT=0", "DOCKER_CLI_HINTS=false", "COMPOSE_PROJECT_NAME=demo")
	return &dockerCLI{env: env, dir: dir}
}

// command prepares a command of the CLI; it is killed after a minute.
func (c *dockerCLI) command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = c.env, c.dir
	return cmd
}

func runCommand(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return result{Stdout: out.String(), Stderr: errs.String(), Code: cmd.ProcessState.ExitCode()}
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\nstdout: %s\nstderr: %s", r.Code, r.Stdout, r.Stderr)
}
