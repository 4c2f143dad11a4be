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
	"context"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestOwnedServices: actions on a service that a SwarmService keeps change that object,
// with the caller's own rights in the cluster.
func TestOwnedServices(t *testing.T) {
	b := newBed(t, testbed.DockerdOptions{Swarm: true})
	svc := &dcv1.SwarmService{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "web"}}
	svc.Spec.HostRef.Name, svc.Spec.Image, svc.Spec.Command = b.host.Name, "busybox:test", []string{"sleep", "600"}
	svc.Spec.StopSignal = "SIGKILL"
	b.Create(t, svc)
	b.waitReplicas(t, svc, 1)

	u := b.as(t, b.user(t, dcv1.HostOperator))
	scale := b.typed("services/web/scale")
	refused := u.eventually(t, 403, "POST", scale, map[string]int{"replicas": 2}, func(a answer) error {
		if !strings.Contains(string(a.body), "swarmservices") {
			return fmt.Errorf("the answer is not the API server's: %s", a.body)
		}
		return nil
	})
	t.Logf("without rights on SwarmServices: %s", refused.body)
	b.allow(t, "operator", rbacv1.PolicyRule{
		APIGroups: []string{"dockercontrol.dev"}, Resources: []string{"swarmservices", "swarmservices/scale"}, Verbs: []string{"get", "patch"},
	})
	u.eventually(t, 200, "POST", scale, map[string]int{"replicas": 2})
	b.waitReplicas(t, svc, 2)
	if ptr.Deref(svc.Spec.Replicas, 0) != 2 {
		t.Errorf("the object has %v replicas", svc.Spec.Replicas)
	}
	u.do(t, 200, "POST", b.typed("services/web/force"), nil)
	b.waitReplicas(t, svc, 2)
	if ptr.Deref(svc.Spec.ForceUpdate, 0) != 1 {
		t.Errorf("the object was forced %v times", svc.Spec.ForceUpdate)
	}
	if a := u.do(t, 409, "POST", b.typed("services/web/rollback"), nil); !strings.Contains(string(a.body), "SwarmService "+b.namespace+"/web") {
		t.Errorf("a rollback is answered with %s", a.body)
	}
	// What an Operator may not do by way of the object either.
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"mounts":[{"type":"Bind","source":"/","target":"/host"}]}}`))
	operator := b.As(t, "system:serviceaccount:"+b.namespace+":operator", "system:authenticated")
	if err := operator.Patch(t.Context(), svc.DeepCopy(), patch); err == nil || !strings.Contains(err.Error(), "may patch dockerhosts/services") {
		t.Errorf("an Operator mounts the node's root: %v", err)
	}
}

// waitReplicas waits until a service is what its spec says.
func (b *bed) waitReplicas(t *testing.T, svc *dcv1.SwarmService, n int) {
	t.Helper()
	testenv.Eventually(t, patient, func(ctx context.Context) error {
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(svc), svc); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(svc.Status.Conditions, dcv1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != svc.Generation || svc.Status.ReplicaSummary != fmt.Sprintf("%d/%d", n, n) {
			return fmt.Errorf("Ready is %+v, replicas %s", ready, svc.Status.ReplicaSummary)
		}
		return nil
	})
}
