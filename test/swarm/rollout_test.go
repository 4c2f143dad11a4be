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

package swarm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// testRollingUpdate: one task after another is replaced, the status says so meanwhile,
// and says Ready when the last one runs, not before.
func testRollingUpdate(t *testing.T, b *bed) {
	svc := b.run(t, "rolling", func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](3) })
	for _, change := range []func(*dcv1.SwarmServiceSpec){
		func(s *dcv1.SwarmServiceSpec) { s.Env = []dcv1.SwarmEnvVar{{Name: "COLOR", Value: ptr.To("blue")}} },
		func(s *dcv1.SwarmServiceSpec) { s.Image = newImage },
	} {
		old := b.taskIDs(t, svc)
		w := b.watch(t, svc)
		b.change(t, svc, change)
		seen := w.until(t, "True/Converged", svc.Generation)
		end := seen[len(seen)-1]
		for _, s := range seen[:len(seen)-1] {
			if ready, progressing := reasonOf(s, dcv1.ConditionReady), reasonOf(s, dcv1.ConditionProgressing); !strings.HasPrefix(ready, "False/") ||
				!strings.HasPrefix(progressing, "True/") || reasonOf(s, dcv1.ConditionReconciling) == "" || s.Status.RunningReplicas < 2 {
				t.Errorf("during the update Ready is %s, Progressing %s, Reconciling %q, %d tasks run",
					ready, progressing, reasonOf(s, dcv1.ConditionReconciling), s.Status.RunningReplicas)
			}
		}
		if len(seen) < 2 || reasonOf(seen[0], dcv1.ConditionReady) != "False/Updating" {
			t.Errorf("%d statuses told of the update, the first with Ready %s", len(seen), reasonOf(seen[0], dcv1.ConditionReady))
		}
		if p := reasonOf(end, dcv1.ConditionProgressing); p != "False/RolloutComplete" || end.Status.UpdateStatus == nil || end.Status.UpdateStatus.State != dcv1.SwarmUpdateCompleted {
			t.Errorf("at its end Progressing is %s, the update status %+v", p, end.Status.UpdateStatus)
		}
		wantReplicas(t, end, 3)
		for _, task := range b.tasks(t, svc) {
			c := task.Spec.ContainerSpec
			if slices.Contains(old, task.ID) || !slices.Equal(c.Env, []string{"COLOR=blue"}) || !strings.HasPrefix(c.Image, end.Spec.Image) {
				t.Errorf("task %s runs %s with %v", task.ID, c.Image, c.Env)
			}
		}
		svc = end
	}
	b.wantEvents(t, svc, "Normal Created", "Normal Updated", "Normal Updated")
}

// testRollback: what the engine rolled back is told, and not written again until the spec
// changes.
func testRollback(t *testing.T, b *bed) {
	second := &metav1.Duration{Duration: time.Second}
	svc := b.run(t, "rollback", func(s *dcv1.SwarmServiceSpec) {
		s.UpdateConfig = &dcv1.SwarmUpdateConfig{Monitor: second, FailureAction: dcv1.SwarmFailureRollback}
		s.RollbackConfig = &dcv1.SwarmUpdateConfig{Monitor: second, FailureAction: dcv1.SwarmFailureContinue}
	})
	b.change(t, svc, func(s *dcv1.SwarmServiceSpec) {
		s.Command = []string{"false"}
		// On a busy machine a task's end is seen late, and must be within it to count.
		s.UpdateConfig.Monitor.Duration = 20 * time.Second
	})
	b.wantStalled(t, svc, dcv1.ReasonRolledBack, "non-zero exit (1)", "spec changes")
	if u := svc.Status.UpdateStatus; u == nil || u.State != dcv1.SwarmRollbackCompleted {
		t.Errorf("update status is %+v", u)
	}
	if d := reasonOf(svc, dcv1.ConditionDrifted); d != "True/RolledBack" {
		t.Errorf("Drifted is %s", d)
	}
	version := b.service(t, "rollback").Version.Index
	testenv.Update(t, b.Cluster, svc, func(s *dcv1.SwarmService) { s.Annotations = map[string]string{"look": "again"} })
	b.until(t, svc, soon, func(s *dcv1.SwarmService) error {
		if s.Status.RunningReplicas != 2 {
			return fmt.Errorf("%d tasks run", s.Status.RunningReplicas)
		}
		return readyIs(s, "False/RolledBack")
	})
	b.WaitEvent(t, svc, "Warning RolledBack")
	b.WaitEvent(t, svc, "Normal Updated")
	if e := b.eventCounts(t, svc); e["Normal Updated"] != 1 || e["Warning DriftCorrected"] != 0 || e["Warning RolledBack"] != 1 {
		t.Errorf("events are %v: what the engine rolled back is not written again", e)
	}
	if v := b.service(t, "rollback"); v.Version.Index != version || !slices.Equal(v.Spec.TaskTemplate.ContainerSpec.Command, []string{"sleep", "1000"}) {
		t.Errorf("what was rolled back at version %d is at %d, and runs %v", version, v.Version.Index, v.Spec.TaskTemplate.ContainerSpec.Command)
	}
	b.change(t, svc, func(s *dcv1.SwarmServiceSpec) {
		s.Command = []string{"sleep", "2000"}
		s.UpdateConfig.Monitor.Duration = time.Second
	})
	b.wait(t, svc, "True/Converged")
	wantReplicas(t, svc, 2)
}

// secretValue is the beginning of every secret value here; no object may show it.
const secretValue = "canary-93b1"

func withSecret(s *dcv1.SwarmServiceSpec) {
	s.Command = []string{"sh", "-c", "cat /run/secrets/key; echo; exec sleep 1000"}
	s.Secrets = []dcv1.SwarmSecretFile{{Target: "key", SecretKeyRef: &dcv1.LocalKeyReference{Name: "key", Key: "value"}}}
}

func newSecret(namespace, value string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "key"}, StringData: map[string]string{"value": value}}
}

// secretsOf are the names of the swarm's secrets that an object owns.
func (b *bed) secretsOf(t *testing.T, svc *dcv1.SwarmService) (names []string) {
	t.Helper()
	for _, s := range get[[]engineswarm.Secret](t, b, "/secrets"+filter("label", dcv1.LabelOwnerUID+"="+string(svc.UID))) {
		names = append(names, s.Spec.Name)
	}
	return names
}

// waitOutputs waits until every container of a service has printed a line last.
func (b *bed) waitOutputs(t *testing.T, svc *dcv1.SwarmService, says string) {
	t.Helper()
	testenv.Eventually(t, soon, func(context.Context) error {
		outputs := b.outputs(t, svc)
		for _, out := range outputs {
			if !strings.HasSuffix(out, says+"\n") {
				return fmt.Errorf("a container printed %q, want %q", out, says)
			}
		}
		if len(outputs) != 2 {
			return fmt.Errorf("%d containers run", len(outputs))
		}
		return nil
	})
}

// testSecretRotation: another content of a Secret is another secret of the swarm, and the
// old one goes.
func testSecretRotation(t *testing.T, b *bed) {
	secret := newSecret(b.ns, secretValue+"-1")
	b.Create(t, secret)
	svc := b.run(t, "secret", withSecret)
	b.waitOutputs(t, svc, secretValue+"-1")
	first := b.secretsOf(t, svc)

	testenv.Update(t, b.Cluster, secret, func(s *corev1.Secret) { s.Data["value"] = []byte(secretValue + "-2") })
	b.waitOutputs(t, svc, secretValue+"-2")
	b.wait(t, svc, "True/Converged")
	testenv.Eventually(t, soon, func(context.Context) error {
		if now := b.secretsOf(t, svc); len(first) != 1 || len(now) != 1 || now[0] == first[0] {
			return fmt.Errorf("the swarm had the secrets %v, and has %v", first, now)
		}
		return nil
	})
	b.wantEvents(t, svc, "Normal Created", "Normal Updated")
	if text := fmt.Sprintf("%+v", svc); strings.Contains(text, secretValue) {
		t.Errorf("the object shows the secret: %s", text)
	}
	if text := fmt.Sprintf("%+v", b.service(t, "secret").Spec); strings.Contains(text, secretValue) {
		t.Errorf("the service shows the secret: %s", text)
	}
	b.Delete(t, svc)
	b.waitGone(t, svc)
	if left := b.secretsOf(t, svc); len(left) > 0 {
		t.Errorf("the swarm still has the secrets %v", left)
	}
}
