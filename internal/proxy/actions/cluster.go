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
	"errors"
	"fmt"
	"net/http"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// clusterTimeout bounds one call of the kube-apiserver, which takes milliseconds.
const clusterTimeout = 5 * time.Second

// KubeReviewer asks by SubjectAccessReviews, each time anew.
type KubeReviewer struct{ Client kubernetes.Interface }

// Review implements Reviewer. Its error is a Status: 503.
func (k KubeReviewer) Review(ctx context.Context, who user.Info, what authorizationv1.ResourceAttributes) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	extra := map[string]authorizationv1.ExtraValue{}
	for name, values := range who.GetExtra() {
		extra[name] = values
	}
	review, err := k.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: who.GetName(), UID: who.GetUID(), Groups: who.GetGroups(), Extra: extra, ResourceAttributes: &what,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, apistatus.Unavailable("the kube-apiserver cannot be asked what you may do; try again")
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}

// asCaller makes clients that have a caller's token and nothing else.
type asCaller struct {
	config *rest.Config
	scheme *runtime.Scheme
}

func newAsCaller(config *rest.Config, scheme *runtime.Scheme) asCaller {
	anonymous := rest.AnonymousClientConfig(config)
	anonymous.QPS = -1 // priority and fairness of the kube-apiserver bounds the rate
	return asCaller{config: anonymous, scheme: scheme}
}

// client returns a client with a token. A nil mapper asks the API server for the resources
// that it has.
func (a asCaller) client(token string, mapper meta.RESTMapper) (client.Client, error) {
	config := rest.CopyConfig(a.config)
	config.BearerToken = token
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	// A redirect would carry the caller's token elsewhere.
	httpClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client.New(config, client.Options{Scheme: a.scheme, HTTPClient: httpClient, Mapper: mapper})
}

// KubeDryRunner creates with the caller's token and for show only.
type KubeDryRunner struct{ asCaller }

// NewKubeDryRunner makes a KubeDryRunner for the kube-apiserver of config, whose own
// credentials are not used. The scheme knows DockerHosts.
func NewKubeDryRunner(config *rest.Config, scheme *runtime.Scheme) KubeDryRunner {
	return KubeDryRunner{newAsCaller(config, scheme)}
}

// DryRunCreate implements DryRunner: the schema, its rules and the admission policies
// judge the host. The error is a Status, the API server's own where it refused.
func (k KubeDryRunner) DryRunCreate(ctx context.Context, token string, host *dcv1.DockerHost) error {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	c, err := k.client(token, nil)
	if err != nil {
		return apistatus.Unavailable("the kube-apiserver cannot be asked whether the DockerHost is valid; try again")
	}
	err = c.Create(ctx, host, client.DryRunAll)
	var status *apierrors.StatusError
	if err != nil && !errors.As(err, &status) {
		return apistatus.Unavailable("the kube-apiserver cannot be asked whether the DockerHost is valid; try again")
	}
	return err
}

// KubeOwners reads and changes SwarmServices with a caller's token.
type KubeOwners struct {
	asCaller
	mapper meta.RESTMapper
}

// NewKubeOwners makes KubeOwners for the kube-apiserver of config, whose own credentials
// are not used. The scheme knows SwarmServices.
func NewKubeOwners(config *rest.Config, scheme *runtime.Scheme) KubeOwners {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(dcv1.GroupVersion.WithKind("SwarmService"), meta.RESTScopeNamespace)
	return KubeOwners{newAsCaller(config, scheme), mapper}
}

// with calls do with a client of the token's. What is no answer of the API server's is a
// Status, too.
func (k KubeOwners) with(ctx context.Context, token string, do func(context.Context, client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	c, err := k.client(token, k.mapper)
	if err == nil {
		err = do(ctx, c)
	}
	var status *apierrors.StatusError
	if err != nil && !errors.As(err, &status) {
		return apistatus.Unavailable("the kube-apiserver cannot be asked for the SwarmService now; try again")
	}
	return err
}

// Get implements ServiceOwners.
func (k KubeOwners) Get(ctx context.Context, token string, key types.NamespacedName) (*dcv1.SwarmService, error) {
	svc := &dcv1.SwarmService{}
	err := k.with(ctx, token, func(ctx context.Context, c client.Client) error { return c.Get(ctx, key, svc) })
	return svc, err
}

// Scale implements ServiceOwners.
func (k KubeOwners) Scale(ctx context.Context, token string, svc *dcv1.SwarmService, replicas int32) error {
	return k.with(ctx, token, func(ctx context.Context, c client.Client) error {
		patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
		return c.SubResource("scale").Patch(ctx, svc.DeepCopy(), patch, client.WithSubResourceBody(&autoscalingv1.Scale{}))
	})
}

// Force implements ServiceOwners.
func (k KubeOwners) Force(ctx context.Context, token string, svc *dcv1.SwarmService, counter int64) error {
	return k.with(ctx, token, func(ctx context.Context, c client.Client) error {
		patch := fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q},"spec":{"forceUpdate":%d}}`, svc.ResourceVersion, counter)
		return c.Patch(ctx, svc.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
	})
}
