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

package actions

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// engineBed is a bed on a real engine that can pull from a registry.
type engineBed struct {
	*bed
	docker   *testbed.Dockerd
	registry *testbed.Registry
	base     []byte
}

// TestDockerd runs against Debian's engine, TestModernDockerd against the newest.
func TestDockerd(t *testing.T) { testReal(t, false) }

func TestModernDockerd(t *testing.T) { testReal(t, true) }

func testReal(t *testing.T, modern bool) {
	t.Parallel()
	d := testbed.StartDockerd(t, testbed.DockerdOptions{TCP: true, Swarm: true, Modern: modern, Args: testbed.RegistryArgs()})
	b := &engineBed{bed: newBed(t, d.Endpoint(), nil), docker: d, registry: d.StartRegistry(t), base: testbed.BusyboxTar(t)}
	for _, test := range []struct {
		name string
		run  func(*engineBed, *testing.T)
	}{
		{"pull", (*engineBed).testPull},
		{"recreate", (*engineBed).testRecreate},
		{"recreate a stopped one", (*engineBed).testRecreateStopped},
		{"recreate with a MAC address", (*engineBed).testRecreateMAC},
		{"roll back", (*engineBed).testRollBack},
		{"refused recreations", (*engineBed).testRefused},
		{"read", (*engineBed).testRead},
		{"resources", (*engineBed).testResources},
		{"prune", (*engineBed).testPrune},
		{"swarm", (*engineBed).testSwarm},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := *b.bed
			in.TB = t
			test.run(&engineBed{bed: &in, docker: d, registry: b.registry, base: b.base}, t)
		})
	}
}

// image pushes an image whose command sleeps, with a layer that says its version.
func (b *engineBed) image(name, version string, config map[string]any) string {
	b.Helper()
	all := map[string]any{"Env": []string{"PATH=/bin", "VERSION=" + version}, "Cmd": []string{"sleep", "1000"}, "StopSignal": "SIGKILL"}
	for k, v := range config {
		all[k] = v
	}
	b.registry.Push(b, name, all, b.base, testbed.FileTar(b, "version", name+" "+version))
	return b.registry.Address + "/" + name
}

func (b *engineBed) pulled(ref string) {
	b.Helper()
	if v := b.job("images/pull", map[string]string{"ref": ref}); v.State != jobs.Succeeded {
		b.Fatalf("the pull of %s is %s: %+v", ref, v.State, v.Error)
	}
}

func (b *engineBed) testPull(t *testing.T) {
	ref := b.image("team/app:1", "1", nil)
	b.registry.Protect("robot", "canary-password")
	defer b.registry.Protect("", "")
	v := b.job("images/pull", map[string]string{"ref": ref})
	if v.State != jobs.Failed || v.Error.Code != 403 || !strings.Contains(v.Error.Message, "pullSecret") {
		t.Errorf("a pull without credentials is %s, %+v", v.State, v.Error)
	}
	auth := base64.StdEncoding.EncodeToString([]byte("robot:canary-password"))
	b.cluster.secrets["regcred"] = &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{
		corev1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths": {"https://%s/v1/": {"auth": %q}}}`, b.registry.Address, auth),
	}}
	body := map[string]string{"ref": ref, "pullSecret": "regcred"}
	b.as("Operator", 403, "POST", "images/pull", body) // it may pull, and may not read Secrets
	v = b.job("images/pull", body)
	if v.State != jobs.Succeeded {
		t.Fatalf("the pull is %s: %+v", v.State, v.Error)
	}
	var result PullResult
	b.decode(v.Result, &result)
	var progress PullProgress
	b.decode(v.Progress, &progress)
	if !strings.HasPrefix(result.Image, "sha256:") || len(result.Digests) != 1 || len(progress.Layers) != 2 || result.Ref != ref {
		t.Errorf("the pull has the result %+v and the progress %+v", result, progress)
	}
	for _, l := range progress.Layers {
		if l.Status != "Pull complete" || l.Current != l.Total {
			t.Errorf("at the end a layer is %+v", l)
		}
	}
	everything, _ := json.Marshal([]any{v, b.recorder.Records()})
	if strings.Contains(string(everything), "canary") || strings.Contains(string(everything), auth) {
		t.Error("the password is told")
	}
	v = b.job("images/pull", map[string]string{"ref": b.registry.Address + "/team/app:none", "pullSecret": "regcred"})
	if v.State != jobs.Failed || v.Error.Code != 404 {
		t.Errorf("a pull of a tag that is not there is %s, %+v", v.State, v.Error)
	}
	a := b.as("Admin", 200, "POST", "images/pull?wait=true", body)
	lines := strings.Split(strings.TrimSpace(string(a.body)), "\n")
	b.decode([]byte(lines[len(lines)-1]), &v)
	if v.State != jobs.Succeeded {
		t.Errorf("a pull that is waited for ends with %s", lines[len(lines)-1])
	}
	b.must(200, "POST", "images/"+strings.ReplaceAll(ref, "/", "%2F")+"/tag", map[string]string{"ref": "local/app:tagged"})
	b.must(200, "DELETE", "images/local%2Fapp:tagged", nil)
}
