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
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/swarm"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
)

// owners has the SwarmService team/web, for whoever has the token "good".
type owners struct {
	svc      dcv1.SwarmService
	replicas int32
	force    int64
}

func (o *owners) denied(token string) error {
	if token != "good" {
		return apierrors.NewForbidden(schema.GroupResource{Group: "dockercontrol.dev", Resource: "swarmservices"}, "web", nil)
	}
	return nil
}

func (o *owners) Get(_ context.Context, token string, key types.NamespacedName) (*dcv1.SwarmService, error) {
	if err := o.denied(token); err != nil {
		return nil, err
	}
	if key.Namespace != o.svc.Namespace || key.Name != o.svc.Name {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "swarmservices"}, key.Name)
	}
	return &o.svc, nil
}

func (o *owners) Scale(_ context.Context, token string, _ *dcv1.SwarmService, replicas int32) error {
	o.replicas = replicas
	return o.denied(token)
}

func (o *owners) Force(_ context.Context, token string, _ *dcv1.SwarmService, counter int64) error {
	o.force = counter
	return o.denied(token)
}

// TestActionsOnOwnedServices: the object is changed, and the service is not.
func TestActionsOnOwnedServices(t *testing.T) {
	s := sim.NewSwarm(sim.SwarmOptions{})
	t.Cleanup(s.Close)
	kube := &owners{}
	kube.svc.ObjectMeta = metav1.ObjectMeta{Namespace: "team", Name: "web", UID: "uid-1"}
	kube.svc.Spec.ForceUpdate = ptr.To[int64](3)
	b, _ := simBed(t, sim.Options{Images: 2, Swarm: s}, func(o *Options) { o.Owners = kube })
	eng, err := b.actions.opts.Hosts.Engine(prod)
	if err != nil {
		t.Fatal(err)
	}
	create := func(name string, labels map[string]string) string {
		t.Helper()
		id, err := eng.ServiceCreate(t.Context(), swarm.ServiceSpec{
			Annotations:  swarm.Annotations{Name: name, Labels: labels},
			TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "app-0:1"}, ForceUpdate: 7},
			Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: ptr.To[uint64](0)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	owned := func(uid, namespace, name string) map[string]string {
		return map[string]string{dcv1.LabelOwnerUID: uid, dcv1.LabelOwnerNamespace: namespace, dcv1.LabelOwnerName: name}
	}
	version := func(id string) uint64 {
		t.Helper()
		raw, err := eng.Inspect(t.Context(), engine.Services, id)
		if err != nil {
			t.Fatal(err)
		}
		var v swarm.Service
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		return v.Version.Index
	}
	web := create("web", owned("uid-1", "team", "web"))
	kube.svc.Status.ServiceID = web
	before := version(web)
	scale := map[string]int{"replicas": 4}
	says := func(a answer, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(a.status.Message, p) {
				t.Errorf("%q does not say %q", a.status.Message, p)
			}
		}
	}
	says(b.must(http.StatusForbidden, "POST", "services/web/scale", scale), "kubectl -n team scale swarmservice web", "bearer token")
	says(b.must(http.StatusForbidden, "POST", "services/web/force", nil), "kubectl -n team patch swarmservice web")
	b.token = "bad"
	b.must(http.StatusForbidden, "POST", "services/web/scale", scale)
	b.token = "good"
	b.as("Viewer", http.StatusForbidden, "POST", "services/web/scale", scale)
	b.as("Operator", http.StatusOK, "POST", "services/web/scale", scale)
	b.as("Operator", http.StatusOK, "POST", "services/"+web+"/force", nil)
	if kube.replicas != 4 || kube.force != 8 {
		t.Errorf("scaled to %d, forced to %d", kube.replicas, kube.force)
	}
	says(b.must(http.StatusConflict, "POST", "services/web/rollback", nil), "SwarmService team/web", "kubectl -n team edit swarmservice web")
	says(b.must(http.StatusBadRequest, "POST", "services/web/scale", map[string]int64{"replicas": 1 << 40}), "replicas is at most")
	kube.svc.Status.ServiceID = "" // created, and not told of yet
	b.must(http.StatusOK, "POST", "services/web/scale", map[string]int{"replicas": 5})
	if after := version(web); after != before || kube.replicas != 5 {
		t.Errorf("the service went from version %d to %d, the object to %d replicas", before, after, kube.replicas)
	}

	// The object has another service: this one is an old swarm's, or somebody wrote its labels.
	kube.svc.Status.ServiceID, kube.replicas, kube.force = "of-another-swarm", 0, 0
	for _, action := range []struct {
		verb string
		body any
	}{{"scale", scale}, {"force", nil}, {"rollback", nil}} {
		before := version(web)
		if b.must(http.StatusOK, "POST", "services/web/"+action.verb, action.body); version(web) == before {
			t.Errorf("%s does not change the service", action.verb)
		}
	}
	if kube.replicas != 0 || kube.force != 0 {
		t.Errorf("the object of another service was scaled to %d, forced to %d", kube.replicas, kube.force)
	}

	// Whose owner is gone, or is no owner of it, and what labels could do to a path.
	for name, labels := range map[string]map[string]string{
		"gone": owned("uid-2", "team", "gone"), "renewed": owned("uid-2", "team", "web"), "other": owned("uid-1", "team", "web"), "free": nil,
	} {
		before := version(create(name, labels))
		if b.must(http.StatusOK, "POST", "services/"+name+"/scale", scale); version(name) == before {
			t.Errorf("the service %s is not changed", name)
		}
	}
	create("odd", owned("uid-1", "team/../x", "web"))
	says(b.must(http.StatusConflict, "POST", "services/odd/scale", scale), dcv1.LabelOwnerUID)
}
