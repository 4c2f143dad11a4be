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
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// childVariable makes this test binary the program.
const childVariable = "STANDALONE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		return
	}
	log.SetLogger(klog.NewKlogr()) // else the clients of the tests complain that there is none
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
		{"an autoscaler's period", []string{"--data-dir=d", "--horizontal-pod-autoscaler-sync-period=5s"}, ""},
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

var leases = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}

// program is a running standalone.
type program struct {
	command *exec.Cmd
	stderr  strings.Builder
	client  dynamic.Interface
}

// start starts the program on dir and returns when it says that it is ready.
func start(ctx context.Context, t *testing.T, dir string, args ...string) *program {
	t.Helper()
	args = append([]string{"--data-dir", dir, "--api-address=127.0.0.1:0", "--proxy-address=127.0.0.1:0"}, args...)
	p := &program{command: exec.CommandContext(ctx, os.Args[0], args...)}
	p.command.Env = []string{childVariable + "=1"}
	p.command.Cancel = func() error { return p.command.Process.Signal(syscall.SIGTERM) }
	p.command.Stderr = &p.stderr
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	for lines := bufio.NewScanner(stdout); !ready && lines.Scan(); {
		ready = lines.Text() == "standalone ready"
	}
	if !ready {
		t.Fatalf("it ended before it was ready (%v):\n%s", p.command.Wait(), p.stderr.String())
	}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	if p.client, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *program) stop(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil || p.stderr.Len() > 0 {
		t.Errorf("after SIGTERM: %v, standard error:\n%s", err, p.stderr.String())
	}
}

// host creates a DockerHost that leads nowhere.
func (p *program) host(ctx context.Context, t *testing.T, namespace, name string) {
	t.Helper()
	host := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "dockercontrol.dev/v1alpha1", "kind": "DockerHost",
		"metadata": map[string]any{"name": name},
		"spec":     map[string]any{"endpoint": "unix:///nonexistent/docker.sock"},
	}}
	if _, err := p.client.Resource(dockerHosts).Namespace(namespace).Create(ctx, host, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create a DockerHost in %s: %v", namespace, err)
	}
}

// waitReason waits until a DockerHost has a condition of that reason.
func (p *program) waitReason(ctx context.Context, t *testing.T, namespace, name, reason string) {
	t.Helper()
	last := errors.New("not asked yet")
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		current, err := p.client.Resource(dockerHosts).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		conditions, _, err := unstructured.NestedSlice(current.Object, "status", "conditions")
		last = fmt.Errorf("conditions %v", conditions)
		return strings.Contains(fmt.Sprint(conditions), "reason:"+reason), err
	})
	if err != nil {
		t.Errorf("DockerHost %s/%s: %v, want reason %s; %v", namespace, name, err, reason, last)
	}
}

// lease returns what the leader's Lease says of who leads since when.
func (p *program) lease(ctx context.Context, t *testing.T) (holder, acquired string, transitions int64) {
	t.Helper()
	lease, err := p.client.Resource(leases).Namespace("dockercontrol-system").Get(ctx, "dockercontrol-manager", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	holder, _, _ = unstructured.NestedString(lease.Object, "spec", "holderIdentity")
	acquired, _, _ = unstructured.NestedString(lease.Object, "spec", "acquireTime")
	transitions, _, _ = unstructured.NestedInt64(lease.Object, "spec", "leaseTransitions")
	return holder, acquired, transitions
}

// The real manager, with the rights that the manifests give it, in the real control plane: as soon as the program says that
// it is ready, DockerHosts are taken, and a status comes.
func TestManagerServesDockerHosts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	p := start(ctx, t, filepath.Join(t.TempDir(), "data"))
	for namespace, reason := range map[string]string{
		"default":              "DialFailed",
		"dockercontrol-system": "EndpointForbidden", // unix endpoints are for the namespace default
	} {
		p.host(ctx, t, namespace, "nobody")
		p.waitReason(ctx, t, namespace, "nobody", reason)
	}
	p.stop(t)
}

// A program that was killed still holds the Lease. The next one on the same directory knows that it is its own and goes on
// with it: one that waited until it ran out would count as another leader.
func TestKilledProgramLeadsAgain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	dir := filepath.Join(t.TempDir(), "data")
	p := start(ctx, t, dir)
	p.host(ctx, t, "default", "before")
	p.waitReason(ctx, t, "default", "before", "DialFailed")
	holder, acquired, transitions := p.lease(ctx, t)
	if holder != leaderIdentity {
		t.Errorf("the leader is %q, want %q", holder, leaderIdentity)
	}
	if err := p.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err == nil {
		t.Error("a killed program ended well")
	}

	p = start(ctx, t, dir)
	began := time.Now()
	p.host(ctx, t, "default", "after")
	p.waitReason(ctx, t, "default", "after", "DialFailed")
	t.Logf("a status came %s after the start", time.Since(began).Round(time.Millisecond))
	if h, a, n := p.lease(ctx, t); h != holder || a != acquired || n != transitions {
		t.Errorf("the leader is %s since %s, after %d others; want %s since %s, after %d", h, a, n, holder, acquired, transitions)
	}
	p.stop(t)
}
