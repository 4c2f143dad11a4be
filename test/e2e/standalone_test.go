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

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// standalone is bin/standalone as a child process, used through kubectl.
type standalone struct {
	cmd     *exec.Cmd
	dataDir string
	kubectl string
}

func startStandalone(t *testing.T, dataDir string) *standalone {
	t.Helper()
	binary, err := filepath.Abs("../../bin/standalone")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: run `make standalone` first, or `make test`", err)
	}
	s := &standalone{dataDir: dataDir, kubectl: findKubectl(t)}
	s.cmd = exec.Command(binary, "--data-dir", dataDir, "--api-address", "127.0.0.1:0", "--proxy-address", "127.0.0.1:0")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.cmd.Stderr = os.Stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	ready := make(chan struct{})
	go func() { // ends with the process, whose output it reads
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "standalone ready") {
				close(ready)
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(2 * time.Minute):
		t.Fatal("bin/standalone did not become ready within two minutes")
	}
	return s
}

// stop asks politely and wants a clean end.
func (s *standalone) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("bin/standalone ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("bin/standalone did not stop within a minute")
	}
}

func findKubectl(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("kubectl"); err == nil {
		return path
	}
	out, err := exec.Command("../../hack/tool.sh", "kubectl").Output()
	if err != nil {
		t.Fatalf("no kubectl on the PATH, and hack/tool.sh kubectl: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// try runs kubectl and returns what it printed.
func (s *standalone) try(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.kubectl, append([]string{"--kubeconfig", filepath.Join(s.dataDir, "admin.kubeconfig"), "--cache-dir", filepath.Join(s.dataDir, "kubectl-cache")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func (s *standalone) run(t *testing.T, args ...string) string {
	t.Helper()
	return s.apply(t, "", args...)
}

func (s *standalone) apply(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := s.try(t.Context(), stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantWords(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s lacks %q:\n%s", what, w, text)
		}
	}
}

// TestKubectl does with bin/standalone, a real engine and kubectl what the README
// says one can do.
func TestKubectl(t *testing.T) {
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Name: "edge-7"})
	dataDir := t.TempDir()
	s := startStandalone(t, dataDir)
	manifest := fmt.Sprintf(`
apiVersion: dockercontrol.dev/v1alpha1
kind: DockerHost
metadata: {name: local, namespace: default}
spec: {endpoint: %q, healthCheck: {interval: 1s, timeout: 3s}}
`, d.Endpoint())
	s.apply(t, manifest, "apply", "-f", "-")
	s.run(t, "wait", "--for=condition=Ready", "dockerhost/local", "--timeout=60s")
	wantWords(t, "kubectl get -o wide", s.run(t, "get", "dockerhosts", "-o", "wide"),
		"NAME", "ENDPOINT", "READY", "REASON", "VERSION", "CONTAINERS", "SWARM", "AGE", "local", d.Endpoint(), "True", "Connected", d.Info(t)["ServerVersion"].(string))
	wantWords(t, "kubectl get dh", s.run(t, "get", "dh"), "local", "True")
	wantWords(t, "kubectl get dockercontrol", s.run(t, "get", "dockercontrol"), "local")

	wantWords(t, "kubectl explain --recursive", s.run(t, "explain", "dockerhost.spec", "--recursive"),
		"endpoint", "tls", "secretRef", "serverName", "ssh", "insecure", "healthCheck", "failureThreshold", "maxConnections", "suspend", "default")
	wantWords(t, "kubectl explain", s.run(t, "explain", "dockerhost.spec.endpoint"), "tcp://host:port", "--unix-endpoint-namespaces")
	wantWords(t, "kubectl explain status", s.run(t, "explain", "dockerhost.status", "--recursive"), "observedGeneration", "conditions", "storageDriver", "fingerprint")
	testenv.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		out, err := s.try(ctx, "", "events", "--for", "dockerhost/local")
		if err == nil && !strings.Contains(out, "Connected to Docker Engine") {
			err = fmt.Errorf("kubectl events: %s", out)
		}
		return err
	})

	if out, err := s.try(t.Context(), strings.ReplaceAll(manifest, "unix://", "tcp://"), "apply", "-f", "-"); err == nil || !strings.Contains(out, "spec.endpoint") {
		t.Errorf("a bad endpoint was not refused by its name: %v %s", err, out)
	}

	d.Kill(t)
	s.run(t, "wait", "--for=condition=Ready=false", "dockerhost/local", "--timeout=60s")
	wantWords(t, "kubectl describe", s.run(t, "describe", "dockerhost", "local"), "DialFailed", d.Socket())
	s.run(t, "annotate", "dockerhost", "local", "kept=yes")
	s.stop(t)

	s = startStandalone(t, dataDir)
	wantWords(t, "what a restart kept", s.run(t, "get", "dockerhost", "local", "-o", "yaml"), `kept: "yes"`)
	s.run(t, "delete", "dockerhost", "local", "--timeout=60s")
	s.stop(t)
}
