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

package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// childVariable makes this test binary the standalone program: see doc.go for why it has to be a child.
	childVariable = "STANDALONE_TEST_CHILD"
	// brokenVariable makes the child's manager end with an error at once.
	brokenVariable = "STANDALONE_TEST_BROKEN_MANAGER"

	// startLimit and stopLimit are generous: what is asserted is that it happens. How long it takes is measured elsewhere.
	startLimit = 2 * time.Minute
	stopLimit  = 2 * time.Minute
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	opts := DefaultOptions()
	flags := pflag.NewFlagSet("child", pflag.ContinueOnError)
	opts.BindFlags(flags)
	err := flags.Parse(os.Args[1:])
	if err == nil {
		err = Run(UntilSignal(), opts, Manager{Run: testManager, StopTimeout: 5 * time.Second}, []fs.FS{testManifests}, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// testManifests are what testManager may do.
var testManifests = fstest.MapFS{
	"kustomization.yaml": {Data: []byte("resources: [role.yaml]")},
	"rbac/role.yaml": {Data: []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: test-manager, namespace: default}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: test-manager, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: test-manager}
subjects:
- {kind: ServiceAccount, name: dockercontrol-manager, namespace: dockercontrol-system}
`)},
}

// testManager stands for the manager: it is ready, and counts in a ConfigMap every half second that its credential works.
func testManager(ctx context.Context, config *rest.Config, at Place) error {
	if os.Getenv(brokenVariable) != "" {
		return errors.New("this manager is broken")
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: at.HealthAddress, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	for {
		select {
		case <-ctx.Done():
			return server.Close()
		case err := <-served:
			return err
		case <-time.After(500 * time.Millisecond):
		}
		beat := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "beat-", Namespace: "default", Labels: map[string]string{"beat": ""}}}
		_, err := client.CoreV1().ConfigMaps("default").Create(ctx, beat, metav1.CreateOptions{})
		// A client closes its connections when its certificate is renewed, a request under way
		// or not, and an API server on a busy machine has requests that take too long for it.
		// What it answers of the credential is what counts.
		if (apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err)) && ctx.Err() == nil {
			return fmt.Errorf("beat: %w", err)
		}
	}
}

// child is a running standalone.
type child struct {
	dir            string
	command        *exec.Cmd
	stdout, stderr *output
	ended          chan struct{}
}

// launch starts the program on dir with free ports, and leaves it to the caller what comes of it.
func launch(t *testing.T, dir string, environment []string, args ...string) *child {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{dir: dir, stdout: &output{}, stderr: &output{}, ended: make(chan struct{})}
	c.command = exec.Command(executable, append([]string{"--data-dir", dir, "--api-address=127.0.0.1:0", "--proxy-address=127.0.0.1:0"}, args...)...)
	// Nothing else: no HOME, no PATH, no TMPDIR.
	c.command.Env = append([]string{childVariable + "=1"}, environment...)
	c.command.Stdout, c.command.Stderr = c.stdout, c.stderr
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		c.command.Wait() //nolint:errcheck // the exit status is in ProcessState
	}()
	t.Cleanup(func() {
		c.command.Process.Kill() //nolint:errcheck // it may have ended
		<-c.ended
		if t.Failed() {
			t.Logf("standalone on %s\nstdout:\n%s\nstderr:\n%s", dir, c.stdout, c.stderr)
		}
	})
	return c
}

// run starts the program on dir and waits until it says that it is ready.
func run(t *testing.T, dir string, args ...string) *child {
	t.Helper()
	c := launch(t, dir, nil, args...)
	eventually(t, startLimit, func() error {
		select {
		case <-c.ended:
			t.Fatalf("standalone ended before it was ready: %s", c.stderr)
		default:
		}
		if !strings.HasSuffix(c.stdout.String(), "\nstandalone ready\n") {
			return errors.New("standalone is not ready")
		}
		return nil
	})
	return c
}

// wait waits for the program's end and returns its exit status, -1 after a signal.
func (c *child) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-c.ended:
	case <-time.After(stopLimit):
		t.Fatalf("standalone has not ended within %s", stopLimit)
	}
	return c.command.ProcessState.ExitCode()
}

// stop asks the program to stop and expects it to do so in good order.
func (c *child) stop(t *testing.T) {
	t.Helper()
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := c.wait(t); code != 0 {
		t.Fatalf("exit status %d after SIGTERM, want 0", code)
	}
}

// config is what admin.kubeconfig says now.
func (c *child) config(t *testing.T) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(c.dir, "admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

func (c *child) client(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	return clientOf(t, c.config(t))
}

func clientOf(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (c *child) dynamic(t *testing.T) *dynamic.DynamicClient {
	t.Helper()
	client, err := dynamic.NewForConfig(c.config(t))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// as is a config for another caller at the same server.
func (c *child) as(t *testing.T, caller func(*rest.Config)) *rest.Config {
	t.Helper()
	config := rest.AnonymousClientConfig(c.config(t))
	caller(config)
	return config
}

// serving is the certificate that a fresh connection to the API server gets.
func (c *child) serving(t *testing.T) (serial string, notAfter time.Time) {
	t.Helper()
	config := c.config(t)
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := tls.Dial("tcp", strings.TrimPrefix(config.Host, "https://"), tlsConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	leaf := connection.ConnectionState().PeerCertificates[0]
	return leaf.SerialNumber.String(), leaf.NotAfter
}

// eventually calls f until it returns nil.
func eventually(t *testing.T, limit time.Duration, f func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// output collects what a process writes while the test reads it.
type output struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.buffer.String()
}
