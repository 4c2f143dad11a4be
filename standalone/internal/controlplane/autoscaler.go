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

package controlplane

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/scale"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	podmetrics "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
	resourcemetrics "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
	"k8s.io/metrics/pkg/client/custom_metrics"
	"k8s.io/metrics/pkg/client/external_metrics"
)

const (
	// DefaultAutoscalerPeriod is the controller-manager's.
	DefaultAutoscalerPeriod = 15 * time.Second
	// autoscalerUser is who scales in a cluster too, and has the rights that a cluster gives it: see doc.go.
	autoscalerUser = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
	// The rest are the controller-manager's defaults; the last two are about Pods' CPU, and never looked at here.
	downscaleWindow      = 5 * time.Minute
	scalingTolerance     = 0.1
	cpuInitialization    = 5 * time.Minute
	initialReadinessWait = 30 * time.Second
)

// autoscalerGroups are those of autoscalerUser.
var autoscalerGroups = []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"}

// autoscaling scales what HorizontalPodAutoscalers name, by metrics of whatever serves the metrics APIs.
func (e *loopEnvironment) autoscaling(ctx context.Context) ([]loop, error) {
	config := rest.CopyConfig(e.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: autoscalerUser, Groups: autoscalerGroups}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make the autoscaler's client: %w", err)
	}
	// Discovery is not cached: the resolver keeps what it finds.
	scales, err := scale.NewForConfig(config, e.mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(client.Discovery()))
	if err != nil {
		return nil, fmt.Errorf("make the autoscaler's client of scales: %w", err)
	}
	resources, err := resourcemetrics.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make the autoscaler's client of resource metrics: %w", err)
	}
	external, err := external_metrics.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make the autoscaler's client of external metrics: %w", err)
	}
	versions := custom_metrics.NewAvailableAPIsGetter(client.Discovery())
	controller := podautoscaler.NewHorizontalController(ctx, client.CoreV1(), scales, client.AutoscalingV2(), e.mapper,
		podmetrics.NewRESTMetricsClient(resources, custom_metrics.NewForConfig(config, e.mapper, versions), external),
		e.typed.Autoscaling().V2().HorizontalPodAutoscalers(), e.typed.Core().V1().Pods(),
		e.autoscalerPeriod, downscaleWindow, scalingTolerance, cpuInitialization, initialReadinessWait)
	return []loop{
		func(ctx context.Context) { controller.Run(ctx, workers) },
		func(ctx context.Context) {
			custom_metrics.PeriodicallyInvalidate(versions, e.autoscalerPeriod, ctx.Done())
		},
	}, nil
}
