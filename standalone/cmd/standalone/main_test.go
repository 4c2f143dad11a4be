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

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// childVariable makes this test binary the program.
const childVariable = "STANDALONE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string // part of the error, or "" for none
	}{
		{"defaults", []string{"--data-dir=d"}, ""},
		{"a flag of the manager's", []string{"--data-dir=d", "--endpoint-cidrs=10.0.0.0/8"}, ""},
		{"a bad value of the manager's", []string{"--data-dir=d", "--endpoint-cidrs=ten"}, "ten"},
		{"an unknown flag", []string{"--no-such-flag"}, "no-such-flag"},
		{"an argument", []string{"start"}, `unknown argument "start"`},
		{"metrics for other machines", []string{"--metrics-bind-address=:8444"}, "--metrics-bind-address :8444 can be reached from other machines"},
		{"metrics for other machines, allowed", []string{"--data-dir=d", "--metrics-bind-address=:8444", "--allow-remote"}, ""},
		{"health for other machines", []string{"--health-probe-bind-address=0.0.0.0:8081"}, "--health-probe-bind-address 0.0.0.0:8081 can be reached"},
		{"help", []string{"--help"}, pflag.ErrHelp.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := parse(tt.args)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("parse: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("parse: %v, want an error with %q", err, tt.want)
			}
		})
	}
	opts, _, err := parse([]string{"--proxy-address=127.0.0.1:1"})
	if err != nil || opts.ProxyAddress != "127.0.0.1:1" || !opts.WithManager {
		t.Errorf("parse: %+v, %v", opts, err)
	}
	if o := defaultManagerOptions(); !o.AllowLoopbackEndpoints || len(o.UnixEndpointNamespaces) != 1 || o.UnixEndpointNamespaces[0] != "default" {
		t.Errorf("manager's defaults: %+v", o)
	}
}

var dockerHosts = schema.GroupVersionResource{Group: "dockercontrol.dev", Version: "v1alpha1", Resource: "dockerhosts"}

// The real manager, with the rights that the manifests give it, in the real control plane: as soon as the program says that
// it is ready, DockerHosts are taken, and a status comes.
func TestManagerServesDockerHosts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, os.Args[0], "--data-dir", dir, "--api-address=127.0.0.1:0", "--proxy-address=127.0.0.1:0")
	command.Env = []string{childVariable + "=1"}
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	var stderr strings.Builder
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	for lines := bufio.NewScanner(stdout); !ready && lines.Scan(); {
		ready = lines.Text() == "standalone ready"
	}
	if !ready {
		t.Fatalf("it ended before it was ready (%v):\n%s", command.Wait(), stderr.String())
	}

	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for namespace, reason := range map[string]string{
		"default":              "DialFailed",
		"dockercontrol-system": "EndpointForbidden", // unix endpoints are for the namespace default
	} {
		host := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "dockercontrol.dev/v1alpha1", "kind": "DockerHost",
			"metadata": map[string]any{"name": "nobody"},
			"spec":     map[string]any{"endpoint": "unix:///nonexistent/docker.sock"},
		}}
		if _, err := client.Resource(dockerHosts).Namespace(namespace).Create(ctx, host, metav1.CreateOptions{}); err != nil {
			t.Errorf("create a DockerHost in %s: %v", namespace, err)
			continue
		}
		last := errors.New("not asked yet")
		err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			current, err := client.Resource(dockerHosts).Namespace(namespace).Get(ctx, "nobody", metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			conditions, _, err := unstructured.NestedSlice(current.Object, "status", "conditions")
			last = fmt.Errorf("conditions %v", conditions)
			return strings.Contains(fmt.Sprint(conditions), "reason:"+reason), err
		})
		if err != nil {
			t.Errorf("DockerHost in %s: %v, want reason %s; %v", namespace, err, reason, last)
		}
	}

	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("after SIGTERM: %v, standard error:\n%s", err, stderr.String())
	}
}
