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

package controllers

import (
	"errors"
	"strings"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

func aService() *dcv1.SwarmService {
	return &dcv1.SwarmService{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "web", UID: "u1", Generation: 2}}
}

// aView is a service of two tasks that run.
func aView(change func(*serviceView)) *serviceView {
	v := &serviceView{
		clusterID: "c1", servedBy: "m1", service: replicated(2), known: true, checked: true, current: true, failures: true, nodes: map[string]string{"n1": "one"},
		tasks: []engineswarm.Task{
			task(1, 1, "app:2", engineswarm.TaskStateRunning, "", time.Minute), task(2, 2, "app:2", engineswarm.TaskStateRunning, "", time.Minute),
		},
	}
	if change != nil {
		change(v)
	}
	return v
}

func someDiff(t *testing.T) swarm.Differences {
	t.Helper()
	spec := dcv1.SwarmServiceSpec{Replicas: ptr.To[int32](3)}
	spec.Image = "app:3"
	d, err := swarm.Build(&spec, swarm.Inputs{ServiceName: "web"})
	if err != nil {
		t.Fatal(err)
	}
	return d.Diff(replicated(2).Spec)
}

// TestServiceConditions: what each state of a service comes to.
func TestServiceConditions(t *testing.T) {
	update := func(state engineswarm.UpdateState) func(*serviceView) {
		return func(v *serviceView) {
			v.service.UpdateStatus = &engineswarm.UpdateStatus{State: state}
			image := "app:1"
			if state == engineswarm.UpdateStatePaused {
				image = "app:2"
			}
			v.tasks = append(v.tasks, task(0, 1, image, engineswarm.TaskStateFailed, "it broke", time.Hour))
			if state == engineswarm.UpdateStateRollbackCompleted {
				v.diff = someDiff(t)
			}
		}
	}
	failing := func(state engineswarm.TaskState, text string) func(*serviceView) {
		return func(v *serviceView) { v.tasks[1] = task(2, 2, "app:2", state, text, time.Second) }
	}
	for name, test := range map[string]struct {
		change                         func(*serviceView)
		ready, also, progress, drifted string
		says                           string
	}{
		"converged":      {nil, "True/Converged", "", "False/RolloutComplete", "False/InSync", "2 of 2 tasks run"},
		"tasks unlisted": {func(v *serviceView) { v.current = false }, "False/Scaling", "Reconciling", "True/Scaling", "False/InSync", ""},
		"scaling":        {func(v *serviceView) { v.tasks = v.tasks[:1] }, "False/Scaling", "Reconciling", "True/Scaling", "False/InSync", "1 of 2 tasks run"},
		"updating":       {update(engineswarm.UpdateStateUpdating), "False/Updating", "Reconciling", "True/Updating", "False/InSync", ""},
		"completed":      {update(engineswarm.UpdateStateCompleted), "True/Converged", "", "False/RolloutComplete", "False/InSync", ""},
		"paused":         {update(engineswarm.UpdateStatePaused), "False/UpdatePaused", "Stalled", "False/UpdatePaused", "False/InSync", "it broke"},
		"rolling back":   {update(engineswarm.UpdateStateRollbackStarted), "False/RollingBack", "Reconciling", "True/RollingBack", "False/InSync", "it broke"},
		"rolled back":    {update(engineswarm.UpdateStateRollbackCompleted), "False/RolledBack", "Stalled", "False/RolledBack", "True/RolledBack", "on node one is failed: it broke."},
		"rollback stuck": {update(engineswarm.UpdateStateRollbackPaused), "False/RollbackPaused", "Stalled", "False/RollbackPaused", "False/InSync", "it broke"},
		"no node": {
			failing(engineswarm.TaskStatePending, "no suitable node"), "False/NoSuitableNode", "Stalled", "False/NoSuitableNode", "False/InSync", "no suitable node",
		},
		"task fails": {
			failing(engineswarm.TaskStateFailed, "task: non-zero exit (3)"), "False/TaskFailed", "Stalled", "False/TaskFailed", "False/InSync", "non-zero exit (3)",
		},
		"task failed before": {
			func(v *serviceView) {
				failing(engineswarm.TaskStateRejected, "No such image: app:2")(v)
				v.failures = false
			}, "False/Updating", "Reconciling", "True/Updating", "False/InSync", "No such image",
		},
		"paused, tasks not listed since": {
			func(v *serviceView) {
				v.service.UpdateStatus = &engineswarm.UpdateStatus{State: engineswarm.UpdateStatePaused}
				v.failures = false
			}, "False/Updating", "Reconciling", "True/Updating", "False/InSync", "The engine paused the update",
		},
		"drift reported": {func(v *serviceView) { v.diff = someDiff(t) }, "False/DriftFound", "Stalled", "False/RolloutComplete", "True/DriftFound", "spec.replicas is 2, want 3"},
		"removed": {
			func(v *serviceView) { v.service, v.missing = nil, true }, "False/DriftFound", "Stalled", "False/RolloutComplete", "True/DriftFound", "removes the service again and again",
		},
		"created": {func(v *serviceView) { v.service, v.written, v.created = nil, true, true }, "False/Scaling", "Reconciling", "True/Scaling", "False/InSync", ""},
		"written": {func(v *serviceView) { v.written = true }, "False/Updating", "Reconciling", "True/Updating", "False/InSync", ""},
		"global, no task yet": {
			func(v *serviceView) {
				nowhere(v, engineswarm.ServiceMode{Global: &engineswarm.GlobalService{}})
				v.early = true
			},
			"False/Scaling", "Reconciling", "True/Scaling", "False/InSync", "has yet to make",
		},
		"global, nowhere": {
			func(v *serviceView) { nowhere(v, engineswarm.ServiceMode{Global: &engineswarm.GlobalService{}}) },
			"True/Converged", "", "False/RolloutComplete", "False/InSync", "0 of 0 tasks run: no active node fits spec.placement",
		},
		"global job, no task yet": {
			func(v *serviceView) {
				nowhere(v, engineswarm.ServiceMode{GlobalJob: &engineswarm.GlobalJob{}})
				v.early = true
			},
			"False/Scaling", "Reconciling", "True/Scaling", "False/InSync", "has yet to make",
		},
		"global job, nowhere": {
			func(v *serviceView) { nowhere(v, engineswarm.ServiceMode{GlobalJob: &engineswarm.GlobalJob{}}) },
			"False/NoSuitableNode", "Stalled", "False/NoSuitableNode", "False/InSync", "no active node fits spec.placement",
		},
		"fault": {
			func(v *serviceView) { v.fault, v.checked = &SpecFault{dcv1.ReasonPortConflict, "taken"}, false },
			"False/PortConflict", "Stalled", "False/RolloutComplete", "", "taken",
		},
		"away": {
			func(v *serviceView) {
				*v = serviceView{fault: &SpecFault{dcv1.ReasonHostNotReady, "away"}, passes: true}
			},
			"False/HostNotReady", "Reconciling", "", "", "away",
		},
	} {
		t.Run(name, func(t *testing.T) {
			svc := aService()
			setServiceStatus(svc, aView(test.change), testNow)
			is := func(conditionType string) string {
				c := meta.FindStatusCondition(svc.Status.Conditions, conditionType)
				if c == nil {
					return ""
				}
				return string(c.Status) + "/" + c.Reason
			}
			if is(dcv1.ConditionReady) != test.ready || is(dcv1.ConditionProgressing) != test.progress || is(dcv1.ConditionDrifted) != test.drifted {
				t.Errorf("conditions are %+v", svc.Status.Conditions)
			}
			for _, other := range []string{dcv1.ConditionReconciling, dcv1.ConditionStalled} {
				if (is(other) != "") != (other == test.also) {
					t.Errorf("%s is %q", other, is(other))
				}
			}
			if message := meta.FindStatusCondition(svc.Status.Conditions, dcv1.ConditionReady).Message; !strings.Contains(message, test.says) {
				t.Errorf("Ready says %q, want %q", message, test.says)
			}
			before := svc.DeepCopy()
			setServiceStatus(svc, aView(test.change), testNow)
			if !equalStatus(before, svc) {
				t.Errorf("the same once more changes the status from %+v to %+v", before.Status, svc.Status)
			}
		})
	}
}

// nowhere makes a service of the mode that has no task.
func nowhere(v *serviceView, mode engineswarm.ServiceMode) { v.service.Spec.Mode, v.tasks = mode, nil }

func equalStatus(a, b *dcv1.SwarmService) bool {
	return len(serviceEvents(&a.Status, &b.Status)) == 0 && a.Status.ReplicaSummary == b.Status.ReplicaSummary
}

// TestNotEnoughReplicas: tasks that are lost are no scaling.
func TestNotEnoughReplicas(t *testing.T) {
	svc := aService()
	setServiceStatus(svc, aView(nil), testNow)
	for range 2 {
		setServiceStatus(svc, aView(func(v *serviceView) { v.tasks = v.tasks[:1] }), testNow)
		if !saysReady(svc, dcv1.ReasonNotEnoughReplicas) {
			t.Errorf("conditions are %+v", svc.Status.Conditions)
		}
	}
}

// TestMissingServiceIsExplained: with spec.driftPolicy Report it is not created again.
func TestMissingServiceIsExplained(t *testing.T) {
	svc := aService()
	svc.Spec.DriftPolicy = dcv1.SwarmDriftReport
	setServiceStatus(svc, aView(func(v *serviceView) { v.service, v.missing = nil, true }), testNow)
	if m := meta.FindStatusCondition(svc.Status.Conditions, dcv1.ConditionReady).Message; !strings.Contains(m, "spec.driftPolicy is Report") {
		t.Errorf("Ready says %q", m)
	}
}

// TestTooManyReplicas: tasks may be listed before the service that has more of them.
func TestTooManyReplicas(t *testing.T) {
	svc := aService()
	setServiceStatus(svc, aView(nil), testNow)
	setServiceStatus(svc, aView(func(v *serviceView) {
		v.tasks = append(v.tasks, task(9, 9, "app:2", engineswarm.TaskStateStarting, "", 0))
	}), testNow)
	if !saysReady(svc, dcv1.ReasonScaling) {
		t.Errorf("conditions are %+v", svc.Status.Conditions)
	}
}

func TestRefusedBy(t *testing.T) {
	for _, test := range []struct {
		class      engine.Class
		text, want string
	}{
		{engine.ClassInvalid, "the engine says: rpc error: code = InvalidArgument desc = port '8080' is already in use by service 'web' (abc) as an ingress port", dcv1.ReasonPortConflict},
		{engine.ClassInvalid, `the engine says: rpc error: code = InvalidArgument desc = ContainerSpec: "A:b:c" is not a valid repository/tag`, dcv1.ReasonImageInvalid},
		{engine.ClassServer, "the engine says: rpc error: code = Unimplemented desc = service mode change is not allowed", dcv1.ReasonModeInvalid},
		{engine.ClassInvalid, "the engine says: secret not found: abc", dcv1.ReasonSecretNotFound},
		{engine.ClassNotFound, "the engine says: network abc not found", dcv1.ReasonNetworkNotFound},
		{engine.ClassInvalid, `the engine says: rpc error: code = InvalidArgument desc = expanding env "A={{": template: expansion:1: unclosed action`, dcv1.ReasonFieldInvalid},
		{engine.ClassInvalid, "the engine says: something else", dcv1.ReasonSpecRejected},
		{engine.ClassServer, "the engine says: it broke", ""},
		{engine.ClassUnreachable, "nothing answers", ""},
		{engine.ClassConflict, "the engine says: This node is not a swarm manager.", ""},
	} {
		fault := refusedBy(engine.Errorf(test.class, "", "%s", test.text))
		if got := fault; (got == nil) != (test.want == "") || got != nil && got.Reason != test.want {
			t.Errorf("%s is %+v, want %s", test.text, got, test.want)
		}
	}
	if fault := refusedBy(errors.New("another")); fault != nil {
		t.Errorf("got %+v", fault)
	}
	// An engine that is connected says it, not the host's status.
	forbidden := engine.Errorf(engine.ClassAuth, engine.CauseAuthenticationFailed, "refused the request (HTTP 403): denied by plugin")
	if fault := refusedBy(forbidden); fault == nil || fault.Reason != dcv1.ReasonSpecRejected || !strings.Contains(fault.Message, "denied by plugin") {
		t.Errorf("a request that is forbidden: %+v", fault)
	}
	if fault := refusedBy(engine.Errorf(engine.ClassAuth, engine.CauseCertificateExpired, "the certificate has expired")); fault != nil {
		t.Errorf("a connection that is refused: %+v", fault)
	}
}

// TestLimit: an Event's note and a name are bounded in bytes.
func TestLimit(t *testing.T) {
	for _, test := range []struct {
		text string
		n    int
		want string
	}{{"short", 5, "short"}, {"longer", 4, "long"}, {"ab…", 5, "ab…"}, {"ab…", 4, "ab"}, {"ab…", 3, "ab"}} {
		if got := limit(test.text, test.n); got != test.want {
			t.Errorf("%q in %d bytes is %q, want %q", test.text, test.n, got, test.want)
		}
	}
}
