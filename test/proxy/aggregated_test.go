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
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestAggregated goes to the kube-apiserver, which hands the paths on to the proxy.
func TestAggregated(t *testing.T) {
	c := testenv.StartAggregating(t)
	policies, err := testenv.Policies()
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range policies {
		c.Create(t, policy)
	}
	b := newBedIn(t, c, testenv.HostAddress(t), testbed.DockerdOptions{})
	viewer, admin := b.user(t, dcv1.HostViewer), b.user(t, dcv1.HostAdmin)
	b.engine.RunContainer(t, "talker", "busybox:test", "sh", "-c", "while echo talk; do sleep 0.1; done")
	version := schema.GroupVersion{Group: access.EngineGroup, Version: "v1alpha1"}
	c.Aggregate(t, b.namespace, version, b.address, b.ca.Cert)

	t.Run("kubectl", func(t *testing.T) { b.testKubectl(t, viewer) })
	t.Run("client-go", func(t *testing.T) { b.testFollow(t, viewer) })
	t.Run("exec", func(t *testing.T) { b.testAggregatedExec(t, admin) })
	t.Run("what is no right", func(t *testing.T) { b.testDoors(t, viewer, admin) })
}

// testKubectl reads as the documentation has it.
func (b *bed) testKubectl(t *testing.T, token string) {
	kubectl, err := exec.CommandContext(t.Context(), "../../hack/tool.sh", "kubectl").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.crt")
	writeFile(t, ca, b.Config.CAData)
	raw := func(path string) result {
		cmd := exec.CommandContext(t.Context(), strings.TrimSpace(string(kubectl)), "--server="+b.Config.Host,
			"--certificate-authority="+ca, "--token="+token, "get", "--raw", path)
		cmd.Env = []string{"HOME=" + dir, "KUBECONFIG=" + filepath.Join(dir, "none")}
		return runCommand(t, cmd)
	}
	containers := raw(b.typed("containers"))
	if l := decode[list](t, []byte(containers.Stdout)); containers.Code != 0 || l.Kind != "ContainerList" || len(l.Items) != 1 || l.Items[0].Metadata.Name != "talker" {
		t.Errorf("the containers are %s", containers)
	}
	version := raw(b.path() + "/version")
	if v := decode[struct{ APIVersion string }](t, []byte(version.Stdout)); version.Code != 0 || v.APIVersion == "" {
		t.Errorf("the engine's version is %s", version)
	}
	if r := raw(engineAPI + "/namespaces/" + b.namespace + "/dockerhosts/other/containers"); r.Code == 0 || !strings.Contains(r.Stderr, "orbidden") {
		t.Errorf("a host without a grant is answered with %s", r)
	}
}

// kube is a client of the kube-apiserver as a token's owner.
func (b *bed) kube(t *testing.T, token string) *rest.RESTClient {
	t.Helper()
	config := rest.AnonymousClientConfig(b.Config)
	config.BearerToken = token
	config.ContentConfig = rest.ContentConfig{
		GroupVersion: &schema.GroupVersion{Group: access.EngineGroup, Version: "v1alpha1"}, NegotiatedSerializer: scheme.Codecs.WithoutConversion(),
	}
	config.APIPath = "/apis"
	client, err := rest.RESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// testFollow follows a log, whose lines come as they are written.
func (b *bed) testFollow(t *testing.T, token string) {
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	stream, err := b.kube(t, token).Get().AbsPath(b.path()+"/containers/talker/logs").
		Param("follow", "1").Param("stdout", "1").Param("tail", "0").Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	lines := bufio.NewScanner(stream)
	for range 5 {
		if !lines.Scan() || !strings.HasSuffix(lines.Text(), "talk") {
			t.Fatalf("the log goes on with %q, %v", lines.Text(), lines.Err())
		}
	}
}

// testAggregatedExec drives the executor of kubectl through the kube-apiserver.
func (b *bed) testAggregatedExec(t *testing.T, token string) {
	config := rest.AnonymousClientConfig(b.Config)
	config.BearerToken = token
	query := url.Values{"command": {"sh", "-c", "cat; exit 3"}, "stdin": {"true"}}
	executor, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, strings.TrimSuffix(config.Host, "/")+b.typed("exec/talker?"+query.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	var out bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: strings.NewReader("a\x00\xff"), Stdout: &out})
	var exit utilexec.CodeExitError
	if !errors.As(err, &exit) || exit.Code != 3 || out.String() != "a\x00\xff" {
		t.Errorf("it said %q and ended with %v; want the exit code 3", out.String(), err)
	}
}

// testDoors: the kube-apiserver asks about segments of paths that are no rights.
func (b *bed) testDoors(t *testing.T, viewer, admin string) {
	var code int
	ask := func(token, method, path, body string) []byte {
		request := b.kube(t, token).Verb(method).AbsPath(b.typed(path)).SetHeader("Content-Type", "application/json")
		if body != "" {
			request = request.Body([]byte(body))
		}
		code = 0
		got, _ := request.Do(t.Context()).StatusCode(&code).Raw() // the code says it
		return got
	}
	for path, want := range map[string]int{"system/df": 200, "info": 200, "jobs": 403} {
		if got := ask(viewer, "GET", path, ""); code != want {
			t.Errorf("a Viewer's %s is answered with %d: %.300s", path, code, got)
		}
	}
	const networks = `{"kinds":["networks"]}`
	if got := ask(viewer, "POST", "prune", networks); code != 403 {
		t.Errorf("a Viewer's prune is answered with %d: %.300s", code, got)
	}
	job := decode[jobs.View](t, ask(admin, "POST", "prune", networks))
	if code != 202 {
		t.Fatalf("an Admin's prune is answered with %d", code)
	}
	testenv.Eventually(t, patient, func(context.Context) error {
		return succeeded(answer{body: ask(admin, "GET", "jobs/"+job.Metadata.Name, "")})
	})
	if got := ask(admin, "POST", "containers/talker/kill", ""); code != 200 || decode[metav1.Status](t, got).Status != metav1.StatusSuccess {
		t.Errorf("an Admin's kill is answered with %d: %s", code, got)
	}
}
