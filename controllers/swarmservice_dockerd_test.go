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
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestSwarmServiceDockerd takes services through their lives on a real swarm of one
// node, of Debian's engine.
func TestSwarmServiceDockerd(t *testing.T) { testRealSwarm(t, false) }

// TestSwarmServiceModernDockerd does so with the newest engine.
func TestSwarmServiceModernDockerd(t *testing.T) { testRealSwarm(t, true) }

func testRealSwarm(t *testing.T, modern bool) {
	t.Parallel()
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Swarm: true, Modern: modern, TCP: true, Args: testbed.RegistryArgs()})
	// Images come from a registry: for one that it has under its name alone, an engine asks
	// Docker's registry in vain before each task.
	registry := d.StartRegistry(t)
	registry.Push(t, "busybox:1", map[string]any{"Cmd": []string{"sh"}}, testbed.BusyboxTar(t))
	d.Call(t, http.MethodPost, "/networks/create", map[string]any{"Name": "back", "Driver": "overlay"})
	d.Call(t, http.MethodPost, "/networks/create", map[string]any{"Name": "own", "Driver": "bridge"})
	d.Call(t, http.MethodPost, "/secrets/create", map[string]any{"Name": "key", "Data": "eA=="})
	cluster := testenv.Start(t)
	b := &swarmBed{Cluster: cluster, t: t, ns: cluster.Namespace(t), nodes: []*simHost{{socket: d.Socket()}}, image: registry.Address + "/busybox:1"}
	b.mgr = cluster.StartManager(t, testenv.ManagerOptions(b.ns))
	host := testenv.NewHost(b.ns, "m0", d.Endpoint())
	b.Create(t, host)
	b.WaitReady(t, host, "True/Connected", 10*time.Second)

	for _, test := range []struct {
		name string
		run  func(*swarmBed)
	}{
		{"a service's life", (*swarmBed).testRealLife},
		{"networks", (*swarmBed).testRealNetworks},
		{"drift", (*swarmBed).testRealDrift},
		{"rollback", (*swarmBed).testRealRollback},
		{"orphan and adopt", (*swarmBed).testRealOrphan},
		{"refused by the engine", (*swarmBed).testRealRefusals},
		{"a job with braces in a Secret", (*swarmBed).testRealJob},
		{"digests", func(b *swarmBed) { b.testRealDigests(registry) }},
		{"pull secret", func(b *swarmBed) { b.testRealPullSecret(registry) }},
		{"another swarm", (*swarmBed).testRealNewSwarm},
	} {
		ok := t.Run(test.name, func(t *testing.T) {
			in := *b
			in.t = t
			test.run(&in)
		})
		if !ok {
			break
		}
	}
}

// newRealService is a service of busybox, with much that a spec can say.
func (b *swarmBed) newRealService(name string, change func(*dcv1.SwarmServiceSpec)) *dcv1.SwarmService {
	return b.newService(name, func(s *dcv1.SwarmServiceSpec) {
		s.Image, s.Command, s.Args = b.image, []string{"sleep"}, []string{"1000"}
		s.Env = []dcv1.SwarmEnvVar{{Name: "B", Value: ptr.To("1")}, {Name: "A", Value: ptr.To("2")}}
		s.UpdateConfig = &dcv1.SwarmUpdateConfig{
			Monitor: &metav1.Duration{Duration: 500 * time.Millisecond}, FailureAction: dcv1.SwarmFailureRollback,
		}
		s.RollbackConfig = &dcv1.SwarmUpdateConfig{Monitor: &metav1.Duration{Duration: 500 * time.Millisecond}}
		if change != nil {
			change(s)
		}
	})
}

func (b *swarmBed) runReal(name string, change func(*dcv1.SwarmServiceSpec)) *dcv1.SwarmService {
	b.t.Helper()
	svc := b.newRealService(name, change)
	b.Create(b.t, svc)
	b.wait(svc, "True/Converged")
	return svc
}

func (b *swarmBed) remove(svc *dcv1.SwarmService) {
	b.t.Helper()
	b.Delete(b.t, svc)
	b.waitGone(svc)
}

// testRealJob: the job ends well only where the value arrives to the letter, and is not run
// again when its object leaves it.
func (b *swarmBed) testRealJob() {
	t, name := b.t, "job"
	const value = "a{{b}} {{{ {{\"{{\"}} }}"
	b.Create(t, b.secret(name, map[string]string{"value": value}))
	svc := b.newRealService(name, func(s *dcv1.SwarmServiceSpec) {
		s.Mode, s.Replicas, s.UpdateConfig, s.RollbackConfig = dcv1.SwarmReplicatedJob, ptr.To[int32](1), nil, nil
		s.RestartPolicy, s.DeletionPolicy = &dcv1.SwarmRestartPolicy{Condition: dcv1.SwarmRestartNone}, dcv1.SwarmDeletionOrphan
		s.Command, s.Args = []string{"sh", "-c", `[ "$VALUE" = "$1" ]`, "sh"}, []string{value}
		s.Env = []dcv1.SwarmEnvVar{{Name: "VALUE", ValueFrom: &dcv1.SwarmEnvSource{SecretKeyRef: &dcv1.LocalKeyReference{Name: name, Key: "value"}}}}
	})
	b.Create(t, svc)
	b.wait(svc, "True/JobComplete")
	before := b.onEngine(name)
	b.remove(svc)
	after := b.onEngine(name)
	if after == nil || after.Version.Index != before.Version.Index || after.JobStatus.JobIteration != before.JobStatus.JobIteration {
		t.Errorf("the job went from %+v to %+v", before, after)
	}
	b.removeByHand(before.ID)
}

func (b *swarmBed) testRealLife() {
	t := b.t
	svc := b.runReal("web", func(s *dcv1.SwarmServiceSpec) {
		s.Ports = []dcv1.SwarmPort{{TargetPort: 80, PublishedPort: ptr.To[int32](8080)}}
		s.Networks = []dcv1.SwarmNetwork{{Name: "back", Aliases: []string{"www"}}}
		s.Secrets = []dcv1.SwarmSecretFile{{Target: "key", SecretName: "key"}}
		s.Mounts = []dcv1.SwarmMount{{Type: dcv1.SwarmMountVolume, Source: "data", Target: "/data"}}
	})
	scale := autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 3}}
	if err := b.Client.SubResource("scale").Update(t.Context(), svc, client.WithSubResourceBody(&scale)); err != nil {
		t.Fatal(err)
	}
	b.until(svc, func(s *dcv1.SwarmService) error {
		if s.Status.ReplicaSummary != "3/3" {
			return fmt.Errorf("replicas are %s", s.Status.ReplicaSummary)
		}
		return nil
	})
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Env[0].Value = ptr.To("other") })
	b.wait(svc, "True/Converged")
	if u := svc.Status.UpdateStatus; u == nil || u.State != dcv1.SwarmUpdateCompleted {
		t.Errorf("update status = %+v", u)
	}
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Labels = map[string]string{"tier": "front"} })
	b.wait(svc, "True/Converged")
	version := b.onEngine("web").Version.Index
	job := b.newRealService("job", func(s *dcv1.SwarmServiceSpec) {
		s.Mode, s.UpdateConfig, s.RollbackConfig = dcv1.SwarmReplicatedJob, nil, nil
		s.Command, s.Args, s.RestartPolicy = []string{"true"}, nil, &dcv1.SwarmRestartPolicy{Condition: dcv1.SwarmRestartOnFailure}
	})
	b.Create(t, job)
	b.wait(job, "True/JobComplete")
	everywhere := b.runReal("everywhere", func(s *dcv1.SwarmServiceSpec) { s.Mode, s.Replicas = dcv1.SwarmGlobal, nil })
	if everywhere.Status.ReplicaSummary != "1/1" {
		t.Errorf("replicas are %s", everywhere.Status.ReplicaSummary)
	}
	if v := b.onEngine("web").Version.Index; v != version {
		t.Errorf("the service went from version %d to %d with nothing to change", version, v)
	}
	for _, s := range []*dcv1.SwarmService{svc, job, everywhere} {
		b.remove(s)
	}
	if list := b.engineServices(); len(list) > 0 {
		t.Errorf("the swarm has %+v", list)
	}
}

// testRealNetworks: the swarm's host is not the engine's, and a network of the engine's own
// is none of the swarm.
func (b *swarmBed) testRealNetworks() {
	t := b.t
	for _, name := range []string{"host", "bridge"} {
		svc := b.runReal("on-"+name, func(s *dcv1.SwarmServiceSpec) { s.Networks = []dcv1.SwarmNetwork{{Name: name}} })
		b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Labels = map[string]string{"tier": "front"} })
		b.wait(svc, "True/Converged")
		if note := b.eventNote(svc, dcv1.ReasonUpdated); strings.Contains(note, "spec.networks") {
			t.Errorf("a service on %s that gets a label is updated: %q", name, note)
		}
		b.remove(svc)
	}
	for _, create := range []*dcv1.SwarmNetworkTemplate{nil, {}} {
		svc := b.newRealService("on-own", func(s *dcv1.SwarmServiceSpec) {
			s.Networks = []dcv1.SwarmNetwork{{Name: "own", CreateIfMissing: create}}
		})
		b.Create(t, svc)
		b.wait(svc, "False/NetworkNotFound")
		b.waitSays(svc, dcv1.ConditionStalled, "DockerHost m0 has one of its own")
		b.remove(svc)
	}
}

func (b *swarmBed) testRealDrift() {
	svc := b.runReal("drifting", nil)
	b.byHand("drifting", func(s *engineswarm.ServiceSpec) { s.Mode.Replicated.Replicas = ptr.To[uint64](4) })
	b.waitEngine("drifting", wantReplicas(2))
	b.wait(svc, "True/Converged")
	b.WaitEvent(b.t, svc, "Warning DriftCorrected")
	old := b.onEngine("drifting").ID
	b.removeByHand(old)
	b.waitEngine("drifting", wantReplicas(2))
	b.until(svc, func(s *dcv1.SwarmService) error {
		if s.Status.ServiceID == old {
			return fmt.Errorf("status has the removed service %s", old)
		}
		return nil
	})
	b.wait(svc, "True/Converged")

	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.DriftPolicy = dcv1.SwarmDriftReport })
	b.wait(svc, "True/Converged")
	b.byHand("drifting", func(s *engineswarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Env = append(s.TaskTemplate.ContainerSpec.Env, "C=3")
	})
	b.wait(svc, "False/DriftFound")
	b.wantCondition(svc, dcv1.ConditionDrifted, "True/DriftFound", "spec.env[C] is not in the spec")
	b.remove(svc)
}

func (b *swarmBed) testRealRollback() {
	svc := b.runReal("rolling", nil)
	b.change(svc, func(s *dcv1.SwarmServiceSpec) {
		s.Command, s.Args = []string{"false"}, nil
		// On a busy machine a task's end is seen late, and must be within it to count.
		s.UpdateConfig.Monitor.Duration = 20 * time.Second
		s.RollbackConfig.FailureAction = dcv1.SwarmFailureContinue
	})
	b.wait(svc, "False/RolledBack")
	b.waitSays(svc, dcv1.ConditionStalled, "non-zero exit (1)")
	version := b.onEngine("rolling").Version.Index
	b.change(svc, func(s *dcv1.SwarmServiceSpec) {
		s.DeletionPolicy = dcv1.SwarmDeletionDelete
		s.AdoptionPolicy = dcv1.SwarmAdoptionIfUnmanaged
	})
	// The spec changed, so that it is tried again.
	b.waitEngine("rolling", func(v *engineswarm.Service) error {
		if v.Version.Index == version {
			return fmt.Errorf("still version %d", version)
		}
		return nil
	})
	b.wait(svc, "False/RolledBack")
	b.change(svc, func(s *dcv1.SwarmServiceSpec) {
		s.Command, s.Args = []string{"sleep"}, []string{"2000"}
		s.UpdateConfig.Monitor.Duration = 500 * time.Millisecond
	})
	b.wait(svc, "True/Converged")
	b.remove(svc)
}

func (b *swarmBed) testRealOrphan() {
	t := b.t
	svc := b.runReal("orphan", func(s *dcv1.SwarmServiceSpec) { s.DeletionPolicy = dcv1.SwarmDeletionOrphan })
	id, tasks := svc.Status.ServiceID, b.taskIDs(svc.Status.ServiceID)
	b.remove(svc)
	heir := b.runReal("orphan", func(s *dcv1.SwarmServiceSpec) { s.AdoptionPolicy = dcv1.SwarmAdoptionIfUnmanaged })
	if heir.Status.ServiceID != id {
		t.Errorf("service %s, want %s", heir.Status.ServiceID, id)
	}
	if now := b.taskIDs(id); fmt.Sprint(now) != fmt.Sprint(tasks) {
		t.Errorf("tasks were %v, and are %v: being orphaned and adopted restarts nothing", tasks, now)
	}
	b.remove(heir)
}

func (b *swarmBed) taskIDs(service string) []string {
	b.t.Helper()
	var list []engineswarm.Task
	if err := json.Unmarshal([]byte(unixCall(b.t, b.nodes[0].socket, http.MethodGet, `/tasks?filters=%7B%22service%22%3A%5B%22`+service+`%22%5D%7D`, "")), &list); err != nil {
		b.t.Fatal(err)
	}
	var ids []string
	for _, t := range list {
		ids = append(ids, t.ID)
	}
	slices.Sort(ids)
	return ids
}

func (b *swarmBed) testRealRefusals() {
	first := b.runReal("first", func(s *dcv1.SwarmServiceSpec) {
		s.Replicas = ptr.To[int32](1)
		s.Ports = []dcv1.SwarmPort{{TargetPort: 80, PublishedPort: ptr.To[int32](9090)}}
	})
	taken := b.newRealService("taken", func(s *dcv1.SwarmServiceSpec) { s.Ports = first.Spec.Ports })
	b.Create(b.t, taken)
	b.wait(taken, "False/PortConflict")
	b.wantCondition(taken, dcv1.ConditionStalled, "True/PortConflict", "spec.ports")
	place := b.newRealService("place", func(s *dcv1.SwarmServiceSpec) {
		s.Placement = &dcv1.SwarmPlacement{Constraints: []string{"node.labels.disk == ssd"}}
	})
	b.Create(b.t, place)
	b.wait(place, "False/NoSuitableNode")
	sick := b.newRealService("sick", func(s *dcv1.SwarmServiceSpec) {
		s.Replicas = ptr.To[int32](1)
		second := &metav1.Duration{Duration: time.Second}
		s.Healthcheck = &dcv1.SwarmHealthcheck{Test: []string{"CMD", "false"}, Interval: second, Timeout: second, Retries: 1}
	})
	b.Create(b.t, sick)
	b.wait(sick, "False/HealthcheckFailed")
	for _, s := range []*dcv1.SwarmService{taken, place, sick, first} {
		b.remove(s)
	}
}

// testRealDigests: a tag is looked up where the text of spec.image changes, and only then.
func (b *swarmBed) testRealDigests(registry *testbed.Registry) {
	t := b.t
	push := func(tag, content string) {
		t.Helper()
		registry.Push(t, "app:"+tag, map[string]any{"Cmd": []string{"sh"}}, testbed.BusyboxTar(t), testbed.FileTar(t, "content", content))
	}
	push("1", "one")
	push("2", "two")
	name := registry.Address + "/app:"
	image := func() string { return b.onEngine("pinned").Spec.TaskTemplate.ContainerSpec.Image }
	svc := b.runReal("pinned", func(s *dcv1.SwarmServiceSpec) { s.Image, s.Replicas = name+"1", ptr.To[int32](1) })
	one := image()
	if one != name+"1@"+svc.Status.ImageDigest || svc.Status.Image != name+"1" {
		t.Errorf("the service has image %s, status %s and %s", one, svc.Status.Image, svc.Status.ImageDigest)
	}
	push("1", "another")
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](2) })
	b.wait(svc, "True/Converged")
	if image() != one {
		t.Errorf("the image went from %s to %s though its tag did not", one, image())
	}
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Image = name + "2" })
	b.wait(svc, "True/Converged")
	if two := image(); two != name+"2@"+svc.Status.ImageDigest || svc.Status.Image != name+"2" {
		t.Errorf("the service has image %s, status %s and %s", two, svc.Status.Image, svc.Status.ImageDigest)
	}
	b.remove(svc)
}

// testRealPullSecret: credentials come and go with spec.pullSecretRef, and no task is
// replaced for that.
func (b *swarmBed) testRealPullSecret(registry *testbed.Registry) {
	t := b.t
	for _, tag := range []string{"1", "2"} {
		registry.Push(t, "private:"+tag, map[string]any{"Cmd": []string{"sh"}}, testbed.BusyboxTar(t), testbed.FileTar(t, "private", tag))
	}
	registry.Protect("robot", secretValue)
	defer registry.Protect("", "")
	b.Create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "pull"}, Type: corev1.SecretTypeDockerConfigJson,
		StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{"` + registry.Address + `":{"username":"robot","password":"` + secretValue + `"}}}`},
	})
	ref := &dcv1.LocalSecretReference{Name: "pull"}
	svc := b.runReal("private", func(s *dcv1.SwarmServiceSpec) {
		s.Image, s.PullSecretRef, s.Replicas = registry.Address+"/private:1", ref, ptr.To[int32](1)
	})
	tasks := b.taskIDs(svc.Status.ServiceID)
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.PullSecretRef = nil })
	b.wait(svc, "True/Converged")
	if label, has := b.onEngine("private").Spec.Labels[dcv1.LabelPullSecret]; has {
		t.Errorf("the service has the label of its pull secret, %s", label)
	}
	if now := b.taskIDs(svc.Status.ServiceID); fmt.Sprint(now) != fmt.Sprint(tasks) {
		t.Errorf("tasks were %v, and are %v", tasks, now)
	}
	if note := b.eventNote(svc, dcv1.ReasonUpdated); !strings.Contains(note, "spec.pullSecretRef is not in the spec") {
		t.Errorf("the Event says %q", note)
	}
	next := func(s *dcv1.SwarmServiceSpec) {
		s.Image, s.UpdateConfig.FailureAction = registry.Address+"/private:2", dcv1.SwarmFailurePause
	}
	b.change(svc, next)
	b.wait(svc, "False/UpdatePaused") // the engine has no credentials to pull it with
	b.waitSays(svc, dcv1.ConditionStalled, "A task on node engine is rejected: ")
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.PullSecretRef, s.ForceUpdate = ref, ptr.To[int64](1) })
	b.wait(svc, "True/Converged")
	b.remove(svc)
}

// testRealNewSwarm: the host's swarm is made anew, as where its disk was lost. The object
// waits for a word, and is then created there.
func (b *swarmBed) testRealNewSwarm() {
	t := b.t
	svc := b.runReal("moving", func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](1) })
	old := svc.Status.ClusterID
	unixCall(t, b.nodes[0].socket, http.MethodPost, "/swarm/leave?force=1", "")
	unixCall(t, b.nodes[0].socket, http.MethodPost, "/swarm/init", `{"ListenAddr":"127.0.0.1:2377","AdvertiseAddr":"127.0.0.1"}`)
	b.wait(svc, "False/SwarmChanged")
	b.acknowledge(svc)
	b.wait(svc, "True/Converged")
	if svc.Status.ClusterID == old || b.onEngine("moving") == nil {
		t.Errorf("status is %+v", svc.Status)
	}
	b.remove(svc)
}
