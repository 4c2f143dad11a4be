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
	"net/http"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
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

// KubeDryRunner creates with the caller's token and for show only.
type KubeDryRunner struct {
	config *rest.Config
	scheme *runtime.Scheme
}

// NewKubeDryRunner makes a KubeDryRunner for the kube-apiserver of config, whose own
// credentials are not used. The scheme knows DockerHosts.
func NewKubeDryRunner(config *rest.Config, scheme *runtime.Scheme) KubeDryRunner {
	anonymous := rest.AnonymousClientConfig(config)
	anonymous.QPS = -1 // priority and fairness of the kube-apiserver bounds the rate
	return KubeDryRunner{config: anonymous, scheme: scheme}
}

// DryRunCreate implements DryRunner: the schema, its rules and the admission policies
// judge the host. The error is a Status, the API server's own where it refused.
func (k KubeDryRunner) DryRunCreate(ctx context.Context, token string, host *dcv1.DockerHost) error {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	config := rest.CopyConfig(k.config)
	config.BearerToken = token
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	// A redirect would carry the caller's token elsewhere.
	httpClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c, err := client.New(config, client.Options{Scheme: k.scheme, HTTPClient: httpClient})
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
