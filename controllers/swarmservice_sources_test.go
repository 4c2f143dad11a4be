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

package controllers_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// secretValue may be in the API server's Secret and on the engine, and nowhere else.
const secretValue = "canary-51d0"

func (b *swarmBed) secret(name string, data map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name}, StringData: data}
}

// swarmFiles are the ids of the swarm's secrets or configs.
func (b *swarmBed) swarmFiles(kind string) []string {
	b.t.Helper()
	var list []struct{ ID string }
	if err := json.Unmarshal([]byte(unixCall(b.t, b.nodes[0].socket, http.MethodGet, "/"+kind, "")), &list); err != nil {
		b.t.Fatal(err)
	}
	ids := []string{}
	for _, o := range list {
		ids = append(ids, o.ID)
	}
	return ids
}

// waitFiles waits until the swarm has the secrets that the service names, and no others.
func (b *swarmBed) waitFiles(svc string) []string {
	b.t.Helper()
	var used []string
	testenv.Eventually(b.t, soonEnough, func(context.Context) error {
		used = nil
		if v := b.onEngine(svc); v != nil {
			for _, ref := range v.Spec.TaskTemplate.ContainerSpec.Secrets {
				used = append(used, ref.SecretID)
			}
		}
		have := b.swarmFiles("secrets")
		slices.Sort(have)
		slices.Sort(used)
		if !slices.Equal(have, used) {
			return fmt.Errorf("the swarm has the secrets %v, the service %v", have, used)
		}
		return nil
	})
	return used
}

func TestSwarmServiceSources(t *testing.T) {
	b := startSwarm(t, 1, 0)
	svc := b.newService("web", func(s *dcv1.SwarmServiceSpec) {
		s.Secrets = []dcv1.SwarmSecretFile{{Target: "key", SecretKeyRef: &dcv1.LocalKeyReference{Name: "web", Key: "key"}}}
		s.Configs = []dcv1.SwarmConfigFile{{Target: "/conf", ConfigMapKeyRef: &dcv1.LocalKeyReference{Name: "web", Key: "conf"}}}
		s.Env = []dcv1.SwarmEnvVar{{Name: "TOKEN", ValueFrom: &dcv1.SwarmEnvSource{SecretKeyRef: &dcv1.LocalKeyReference{Name: "web", Key: "token"}}}}
	})
	b.Create(t, svc)
	b.wait(svc, "False/SecretNotFound")
	b.wantCondition(svc, dcv1.ConditionReady, "False", "spec.env[TOKEN].valueFrom.secretKeyRef", `no Secret "web"`)
	secret := b.secret("web", map[string]string{"key": secretValue + "-1"})
	b.Create(t, secret)
	b.until(svc, func(s *dcv1.SwarmService) error {
		if got := condition(s, dcv1.ConditionReady); !strings.Contains(got, `has no key "token"`) {
			return fmt.Errorf("Ready is %q", got)
		}
		return nil
	})
	testenv.Update(t, b.Cluster, secret, func(s *corev1.Secret) { s.Data["token"] = []byte(secretValue + "-t") })
	b.wait(svc, "False/ConfigNotFound")
	if left := append(b.swarmFiles("secrets"), b.swarmFiles("configs")...); len(left) > 0 {
		t.Errorf("made for a service that could not be: %v", left)
	}
	conf := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "web"}, Data: map[string]string{"conf": "a=1"}}
	b.Create(t, conf)
	b.wait(svc, "True/Converged")
	first := b.waitFiles("web")

	testenv.Update(t, b.Cluster, secret, func(s *corev1.Secret) { s.Data["key"] = []byte(secretValue + "-2") })
	b.waitEngine("web", func(v *engineswarm.Service) error {
		if ref := v.Spec.TaskTemplate.ContainerSpec.Secrets[0]; ref.SecretID == first[0] {
			return fmt.Errorf("the service has the old secret %s", ref.SecretName)
		}
		return nil
	})
	b.wait(svc, "True/Converged")
	b.waitFiles("web")
	testenv.Update(t, b.Cluster, secret, func(s *corev1.Secret) { s.Data["token"] = []byte(secretValue + "-u") })
	b.waitEngine("web", func(v *engineswarm.Service) error {
		if env := v.Spec.TaskTemplate.ContainerSpec.Env; !slices.Contains(env, "TOKEN="+secretValue+"-u") {
			return fmt.Errorf("the environment is the old one")
		}
		return nil
	})
	b.wait(svc, "True/Converged")

	// The Secret goes first, as with its namespace; the service runs on until it is told.
	b.Delete(t, secret)
	b.wait(svc, "False/SecretNotFound")
	if b.onEngine("web") == nil {
		t.Error("the service went with its Secret")
	}
	b.Delete(t, svc)
	b.waitGone(svc)
	if left := append(b.swarmFiles("secrets"), b.swarmFiles("configs")...); len(left) > 0 {
		t.Errorf("left on the swarm: %v", left)
	}
}

// TestSwarmServiceSecretsStaySecret looks for a value in status, Events, audit records, the
// manager's log and what the swarm shows.
func TestSwarmServiceSecretsStaySecret(t *testing.T) {
	lines := logged.read()
	cluster := testenv.Start(t)
	b := &swarmBed{Cluster: cluster, t: t, ns: cluster.Namespace(t)}
	options := testenv.ManagerOptions(b.ns)
	options.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	b.mgr = cluster.StartManager(t, options)
	b.join("m", 1, 0)
	// Braces are a template's to swarm, which tells all of one that it cannot read.
	secret := b.secret("web", map[string]string{"key": secretValue + "-1", "token": secretValue + "-{{t"})
	b.Create(t, secret)
	svc := b.run("web", func(s *dcv1.SwarmServiceSpec) {
		s.Secrets = []dcv1.SwarmSecretFile{{Target: "key", SecretKeyRef: &dcv1.LocalKeyReference{Name: "web", Key: "key"}}}
		s.Env = []dcv1.SwarmEnvVar{{Name: "TOKEN", ValueFrom: &dcv1.SwarmEnvSource{SecretKeyRef: &dcv1.LocalKeyReference{Name: "web", Key: "token"}}}}
	})
	testenv.Update(t, cluster, secret, func(s *corev1.Secret) {
		s.Data["key"], s.Data["token"] = []byte(secretValue+"-2"), []byte(secretValue+"-u")
	})
	b.waitEngine("web", func(v *engineswarm.Service) error {
		if !slices.Contains(v.Spec.TaskTemplate.ContainerSpec.Env, "TOKEN="+secretValue+"-u") {
			return fmt.Errorf("the environment is the old one")
		}
		return nil
	})
	b.wait(svc, "True/Converged")
	b.byHand("web", func(s *engineswarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Env = []string{"TOKEN=" + secretValue + "-by-hand"}
	})
	b.waitEngine("web", func(v *engineswarm.Service) error {
		if slices.Contains(v.Spec.TaskTemplate.ContainerSpec.Env, "TOKEN="+secretValue+"-by-hand") {
			return fmt.Errorf("the drift is not corrected")
		}
		return nil
	})
	b.wait(svc, "True/Converged")
	// What fails is logged: an engine that is away, and one that does not take the spec.
	if err := b.nodes[0].SetFault(sim.Fault{Mode: sim.Refuse}); err != nil {
		t.Fatal(err)
	}
	b.wait(svc, "False/HostNotReady")
	if err := b.nodes[0].SetFault(sim.Fault{}); err != nil {
		t.Fatal(err)
	}
	b.wait(svc, "True/Converged")
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](1_000_000) })
	b.wait(svc, "False/SpecRejected")
	var read []string
	testenv.Eventually(t, soonEnough, func(ctx context.Context) error {
		events, err := b.events(ctx, svc)
		if err == nil && len(events) < 3 {
			err = fmt.Errorf("%d Events", len(events))
		}
		read = nil
		for _, e := range events {
			read = append(read, e.Note)
		}
		return err
	})
	trail, err := os.ReadFile(options.AuditFile)
	if err != nil || !strings.Contains(string(trail), `"Secret"`) {
		t.Errorf("the audit trail tells of no secret (%v)", err)
	}
	status, err := json.Marshal(svc)
	if err != nil {
		t.Fatal(err)
	}
	labels, err := json.Marshal(b.onEngine("web").Spec.Labels)
	if err != nil {
		t.Fatal(err)
	}
	log := lines()
	if !strings.Contains(log, "swarmservice") {
		t.Errorf("the log tells of no SwarmService: %.1000s", log)
	}
	read = append(read, log, string(trail), string(status), string(labels), unixCall(t, b.nodes[0].socket, http.MethodGet, "/secrets", ""))
	for _, text := range read {
		if strings.Contains(text, secretValue) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(secretValue))[:14]) {
			t.Errorf("shows a secret value: %.300s", text)
		}
	}
}

// TestSwarmServiceJobRunsOnce: credentials, keys and the end of the object are no reason to
// run a job again.
func TestSwarmServiceJobRunsOnce(t *testing.T) {
	b := startSwarm(t, 1, 0)
	pull := func(password string) []byte {
		return []byte(`{"auths":{"https://index.docker.io/v1/":{"username":"u","password":"` + password + `"}}}`)
	}
	secret := b.secret("pull", nil)
	secret.Type, secret.Data = corev1.SecretTypeDockerConfigJson, map[string][]byte{corev1.DockerConfigJsonKey: pull("one")}
	b.Create(t, secret)
	svc := b.newService("job", func(s *dcv1.SwarmServiceSpec) {
		s.Mode, s.Replicas, s.UpdateConfig = dcv1.SwarmReplicatedJob, ptr.To[int32](1), nil
		s.Command, s.Args, s.RestartPolicy = []string{"true"}, nil, nil
		s.PullSecretRef, s.DeletionPolicy = &dcv1.LocalSecretReference{Name: "pull"}, dcv1.SwarmDeletionOrphan
	})
	b.Create(t, svc)
	b.wait(svc, "True/JobComplete")
	before := b.onEngine("job")
	asked := svc.Status.AppliedHash
	testenv.Update(t, b.Cluster, secret, func(s *corev1.Secret) { s.Data[corev1.DockerConfigJsonKey] = pull("two") })
	b.until(svc, func(s *dcv1.SwarmService) error { // the status tells that it was seen
		if s.Status.AppliedHash == asked || asked == "" {
			return fmt.Errorf("appliedHash is %q, as before", s.Status.AppliedHash)
		}
		return nil
	})
	b.wait(svc, "True/JobComplete")
	b.Delete(t, svc)
	b.waitGone(svc)
	after := b.onEngine("job")
	if after == nil || after.Version.Index != before.Version.Index || after.JobStatus.JobIteration != before.JobStatus.JobIteration {
		t.Errorf("the job went from %+v to %+v", before, after)
	}

	// What the spec changes is another run.
	again := b.newService("again", func(s *dcv1.SwarmServiceSpec) {
		s.ServiceName, s.Mode, s.Replicas, s.UpdateConfig = "job", dcv1.SwarmReplicatedJob, ptr.To[int32](1), nil
		s.Command, s.Args, s.RestartPolicy = []string{"true"}, nil, nil
	})
	again.Annotations = map[string]string{dcv1.AnnotationAdopt: after.ID}
	b.Create(t, again)
	b.waitEngine("job", func(v *engineswarm.Service) error {
		if v.JobStatus.JobIteration == before.JobStatus.JobIteration {
			return fmt.Errorf("the job is in iteration %d, as before", v.JobStatus.JobIteration.Index)
		}
		return nil
	})
	b.wait(again, "True/JobComplete")
}

// TestNoServiceIsWrittenWithoutThePolicies takes one away.
func TestNoServiceIsWrittenWithoutThePolicies(t *testing.T) {
	b := startSwarm(t, 1, 0)
	restore := b.RemovePolicy(t, "dockercontrol-swarmservice-services")
	svc := b.newService("web", nil)
	b.Create(t, svc)
	b.wait(svc, "False/AdmissionPolicyMissing")
	b.wantCondition(svc, dcv1.ConditionReady, "False", "ValidatingAdmissionPolicyBinding dockercontrol-swarmservice-services is missing", "config/admission")
	if b.onEngine("web") != nil {
		t.Error("the service was created")
	}
	restore()
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Hostname = "now" }) // or wait a minute
	b.wait(svc, "True/Converged")
}
