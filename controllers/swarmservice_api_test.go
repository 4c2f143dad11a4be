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
	"os"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestSwarmServiceScale goes through the subresource that kubectl scale and the
// HorizontalPodAutoscaler use.
func TestSwarmServiceScale(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	u := swarmServiceYAML(t, ns, "scaled", ``)
	cluster.Create(t, u)

	s := getSwarmService(t, cluster, u)
	s.Status.Replicas, s.Status.Selector = 2, "dockercontrol.dev/owner-uid="+string(s.UID)
	if err := cluster.Client.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	var scale autoscalingv1.Scale
	if err := cluster.Client.SubResource("scale").Get(t.Context(), s, &scale); err != nil {
		t.Fatal(err)
	}
	if scale.Spec.Replicas != 1 || scale.Status.Replicas != 2 || scale.Status.Selector != s.Status.Selector {
		t.Errorf("scale = %+v", scale)
	}
	scale.Spec.Replicas = 5
	if err := cluster.Client.SubResource("scale").Update(t.Context(), s, client.WithSubResourceBody(&scale)); err != nil {
		t.Fatal(err)
	}
	s = getSwarmService(t, cluster, u)
	if *s.Spec.Replicas != 5 {
		t.Errorf("replicas = %d after scaling to 5", *s.Spec.Replicas)
	}

	global := swarmServiceYAML(t, ns, "everywhere", `mode: Global`)
	cluster.Create(t, global)
	everywhere := getSwarmService(t, cluster, global)
	if err := cluster.Client.SubResource("scale").Get(t.Context(), everywhere, &scale); err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = 5
	err := cluster.Client.SubResource("scale").Update(t.Context(), everywhere, client.WithSubResourceBody(&scale))
	wantRefusal(t, err, "the global modes run one task on each node")
}

// TestSwarmServiceApply: several appliers share an object. What one of them does not say
// stays as another one has it: replicas that an autoscaler set, and entries of lists.
func TestSwarmServiceApply(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	apply := func(owner, spec string) {
		t.Helper()
		u := swarmServiceYAML(t, ns, "shared", spec)
		if err := cluster.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(owner)); err != nil {
			t.Fatal(err)
		}
	}
	const git = "env: [{name: A, value: a}]\nports: [{targetPort: 80}]\nmounts: [{type: Tmpfs, target: /a}]"
	apply("argocd", git)
	s := getSwarmService(t, cluster, swarmServiceYAML(t, ns, "shared", ""))
	scale := autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 5}}
	if err := cluster.Client.SubResource("scale").Update(t.Context(), s, client.WithSubResourceBody(&scale)); err != nil {
		t.Fatal(err)
	}
	apply("team", "env: [{name: B, value: b}]\nports: [{targetPort: 81}]\nmounts: [{type: Tmpfs, target: /b}]")
	apply("argocd", git)
	s = getSwarmService(t, cluster, s)
	if *s.Spec.Replicas != 5 || len(s.Spec.Env) != 2 || len(s.Spec.Ports) != 2 || len(s.Spec.Mounts) != 2 {
		t.Errorf("%d replicas, env %v, ports %v, mounts %v", *s.Spec.Replicas, s.Spec.Env, s.Spec.Ports, s.Spec.Mounts)
	}
	apply("argocd", "ports: [{targetPort: 80}]")
	s = getSwarmService(t, cluster, s)
	if len(s.Spec.Env) != 1 || s.Spec.Env[0].Name != "B" || len(s.Spec.Ports) != 2 {
		t.Errorf("env %v, ports %v", s.Spec.Env, s.Spec.Ports)
	}
}

// printed are the columns of kubectl get, and the cells of the first row.
func printed(t *testing.T, cluster *testenv.Cluster, ns string) (columns, cells string) {
	t.Helper()
	hc, err := rest.HTTPClientFor(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer hc.CloseIdleConnections()
	url := "https://" + strings.Trim(strings.TrimPrefix(cluster.Config.Host, "https://"), "/") + "/apis/dockercontrol.dev/v1alpha1/namespaces/" + ns + "/swarmservices"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var table metav1.Table
	if err := json.NewDecoder(resp.Body).Decode(&table); err != nil || len(table.Rows) != 1 {
		t.Fatalf("%s: %d rows, %v", resp.Status, len(table.Rows), err)
	}
	var names, values []string
	for i, c := range table.ColumnDefinitions {
		if c.Priority == 0 {
			names, values = append(names, c.Name), append(values, fmt.Sprint(table.Rows[0].Cells[i]))
		}
	}
	return strings.Join(names, " "), strings.Join(values, " ")
}

func getSwarmService(t *testing.T, cluster *testenv.Cluster, obj client.Object) *dcv1.SwarmService {
	t.Helper()
	s := &dcv1.SwarmService{}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSwarmServiceColumns: what kubectl get shows.
func TestSwarmServiceColumns(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	u := swarmServiceYAML(t, ns, "shown", ``)
	cluster.Create(t, u)
	s := getSwarmService(t, cluster, u)
	s.Status.ReplicaSummary = "3/3"
	s.Status.Conditions = []metav1.Condition{{Type: dcv1.ConditionReady, Status: metav1.ConditionTrue, Reason: dcv1.ReasonConverged, LastTransitionTime: metav1.Now()}}
	if err := cluster.Client.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	columns, cells := printed(t, cluster, ns)
	if columns != "Name Mode Replicas Image Host Ready Age" {
		t.Errorf("columns = %s", columns)
	}
	if want := "shown Replicated 3/3 nginx:1.29 swarm-01 True "; !strings.HasPrefix(cells, want) {
		t.Errorf("row = %q, want it to begin with %q", cells, want)
	}
}

// TestSwarmServiceSamples applies the samples.
func TestSwarmServiceSamples(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	data, err := os.ReadFile("../config/samples/dockercontrol_v1alpha1_swarmservice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	docs := strings.Split(string(data), "\n---\n")
	if len(docs) != 3 {
		t.Fatalf("%d samples", len(docs))
	}
	for _, doc := range docs {
		u := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		u.SetNamespace(ns)
		if gvk := u.GroupVersionKind(); gvk != (schema.GroupVersionKind{Group: "dockercontrol.dev", Version: "v1alpha1", Kind: "SwarmService"}) {
			t.Errorf("sample of kind %v", gvk)
		}
		// A field that the kind does not have would be dropped without a word.
		if err := client.WithFieldValidation(cluster.Client, metav1.FieldValidationStrict).Create(t.Context(), u); err != nil {
			t.Error(err)
		}
	}
}
