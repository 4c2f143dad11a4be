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
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// autoscalerSample has a SwarmService, its HorizontalPodAutoscaler, and the RoleBinding that lets it scale.
// autoscalerDocs shows the second of them.
const (
	autoscalerSample = "../../../config/samples/dockercontrol_v1alpha1_swarmservice_autoscaled.yaml"
	autoscalerDocs   = "../../../docs/swarmservice.md"
)

// testAutoscaler has Kubernetes' own autoscaler scale a service by the sample, just as it is.
func (b *swarmBed) testAutoscaler(t *testing.T) {
	ns := b.Namespace(t)
	host := b.createHost(t, ns)
	metrics := startMetrics(t, b.Cluster)
	sample := readSample(t, ns)
	svc := &dcv1.SwarmService{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "worker"}}
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "worker"}}
	queue := func(length int64) { metrics.set(ns+"/queue_messages_ready?queue=jobs", length) }

	b.apply(t, sample["SwarmService"])
	b.waitConverged(t, svc, 1)

	// Whoever may create an autoscaler may scale nothing by it before somebody with the right has said so.
	queue(100) // of 30 for each task
	b.apply(t, sample["HorizontalPodAutoscaler"])
	b.waitAutoscaler(t, hpa, 1, map[string]string{"AbleToScale": "False/FailedUpdateScale", "ScalingActive": "True/ValidMetricFound"},
		"only who may update dockerhosts/services of the DockerHost of SwarmService worker in namespace "+ns+" may scale it; ask for a HostPermission")
	b.waitConverged(t, svc, 1)

	b.apply(t, sample["RoleBinding"])
	b.waitConverged(t, svc, 4)
	b.waitAutoscaler(t, hpa, 4, map[string]string{"AbleToScale": "True/", "ScalingActive": "True/ValidMetricFound", "ScalingLimited": "False/DesiredWithinRange"}, "")
	queue(60)
	b.waitConverged(t, svc, 2)

	// GitOps applies again and again what does not say replicas.
	for _, kind := range []string{"SwarmService", "HorizontalPodAutoscaler", "RoleBinding"} {
		b.apply(t, sample[kind])
	}
	generation := svc.Generation
	until(t, b, svc, soon, func(s *dcv1.SwarmService) error {
		if s.Generation != generation || *s.Spec.Replicas != 2 {
			t.Fatalf("applied again, the SwarmService has %d replicas at generation %d, want 2 at %d", *s.Spec.Replicas, s.Generation, generation)
		}
		return nil
	})

	queue(10000)
	b.waitConverged(t, svc, 6)
	b.waitAutoscaler(t, hpa, 6, map[string]string{"AbleToScale": "True/", "ScalingLimited": "True/TooManyReplicas"}, "")

	metrics.set(ns+"/swarmservices.dockercontrol.dev/worker/backlog", 30)
	metrics.set(ns+"/dockerhosts.dockercontrol.dev/"+hostName+"/builds", 50)
	for replicas, metric := range map[int32]autoscalingv2.MetricSpec{
		3: metricOfObject("SwarmService", svc.Name, "backlog"),
		5: metricOfObject("DockerHost", host.Name, "builds"),
	} {
		testenv.Update(t, b.Cluster, hpa, func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Spec.Metrics = []autoscalingv2.MetricSpec{metric} })
		b.waitConverged(t, svc, replicas)
		b.waitAutoscaler(t, hpa, replicas, map[string]string{"AbleToScale": "True/", "ScalingActive": "True/ValidMetricFound"}, "")
	}
	metrics.mutex.Lock()
	defer metrics.mutex.Unlock()
	if len(metrics.strangers) > 0 {
		t.Errorf("metrics were asked for by %v, want %s alone", metrics.strangers, autoscalerUser)
	}
}

// metricOfObject wants one task for every 10 of an object's metric.
func metricOfObject(kind, name, metric string) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ObjectMetricSourceType, Object: &autoscalingv2.ObjectMetricSource{
		DescribedObject: autoscalingv2.CrossVersionObjectReference{APIVersion: dcv1.GroupVersion.String(), Kind: kind, Name: name},
		Metric:          autoscalingv2.MetricIdentifier{Name: metric},
		Target:          autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: ptr.To(resource.MustParse("10"))},
	}}
}

// readSample reads the sample by kind.
func readSample(t *testing.T, namespace string) map[string]*unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(autoscalerSample)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile(autoscalerDocs)
	if err != nil {
		t.Fatal(err)
	}
	sample := map[string]*unstructured.Unstructured{}
	for document := range strings.SplitSeq(string(data), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		object.SetNamespace(namespace)
		sample[object.GetKind()] = object
		if object.GetKind() == "HorizontalPodAutoscaler" && !strings.Contains(string(docs), "```yaml\n"+document+"\n```") {
			t.Errorf("%s does not show the HorizontalPodAutoscaler of %s", autoscalerDocs, autoscalerSample)
		}
	}
	if len(sample) != 3 {
		t.Fatalf("the sample has %d kinds, want 3", len(sample))
	}
	return sample
}

// apply applies an object as Argo CD does. The object stays as it is.
func (b *swarmBed) apply(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	err := client.WithFieldValidation(b.Client, metav1.FieldValidationStrict).
		Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner("gitops"), client.ForceOwnership)
	if err != nil {
		t.Fatalf("apply %s %s: %v", object.GetKind(), object.GetName(), err)
	}
}

// waitAutoscaler waits until an autoscaler sees so many replicas, has conditions, as "True/Reason" or "True/" for any,
// and one of them says something.
func (b *swarmBed) waitAutoscaler(t *testing.T, hpa *autoscalingv2.HorizontalPodAutoscaler, replicas int32, conditions map[string]string, says string) {
	t.Helper()
	until(t, b, hpa, 10*time.Second, func(h *autoscalingv2.HorizontalPodAutoscaler) error {
		met, said := 0, says == ""
		for _, c := range h.Status.Conditions {
			want, asked := conditions[string(c.Type)]
			if asked && (string(c.Status)+"/"+c.Reason == want || want == string(corev1.ConditionTrue)+"/" && c.Status == corev1.ConditionTrue) {
				met++
			}
			said = said || strings.Contains(c.Message, says)
		}
		if met != len(conditions) || !said || h.Status.CurrentReplicas != replicas {
			return fmt.Errorf("the autoscaler sees %d replicas and has %+v; want %d, %v, and %q", h.Status.CurrentReplicas, h.Status.Conditions, replicas, conditions, says)
		}
		return nil
	})
}
