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

package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/controllers"
)

const (
	// component names this program in Events and as a user agent.
	component = "dockercontrol-manager"
	// leaseName is the leader's Lease.
	leaseName = "dockercontrol-manager"
	// renewDeadline is controller-runtime's default; a request for the Lease may take
	// half of it.
	renewDeadline = 10 * time.Second
)

// Run runs the manager against the cluster of cfg until ctx ends, and returns
// when everything it started has stopped. Logs go to controller-runtime's logger.
func Run(ctx context.Context, cfg *rest.Config, o Options) (err error) {
	if err := o.Validate(); err != nil {
		return err
	}
	mgr, err := newManager(cfg, o)
	if err != nil {
		return fmt.Errorf("setting up the manager: %w", err)
	}
	closeAll, err := addAll(ctx, mgr, o)
	defer func() { err = errors.Join(err, closeAll()) }()
	if err != nil && ctx.Err() != nil {
		return nil // stopped while it was starting
	}
	if err != nil {
		return fmt.Errorf("setting up the manager: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the manager: %w", err)
	}
	return nil
}

func newManager(cfg *rest.Config, o Options) (ctrl.Manager, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = component + "/" + Version
	// The API server's own fairness paces us; the client's default of 20 requests a
	// second would make the start of a fleet take a minute.
	cfg.QPS = -1
	options := ctrl.Options{
		Scheme:                        Scheme(),
		Logger:                        calmLogger(ctrl.Log),
		Cache:                         cacheOptions(o.Namespaces),
		Metrics:                       metricsOptions(o),
		HealthProbeBindAddress:        o.HealthAddress,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       ptr.To(o.ShutdownTimeout),
	}
	if o.LeaderElect && o.LeaderIdentity != "" {
		lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, o.Namespace, leaseName,
			resourcelock.ResourceLockConfig{Identity: o.LeaderIdentity}, cfg, renewDeadline)
		if err != nil {
			return nil, err
		}
		options.LeaderElectionResourceLockInterface = lock
	}
	// Several managers may run in one process (tests do): names of controllers
	// need not be unique there.
	options.Controller.SkipNameValidation = ptr.To(true)
	return ctrl.NewManager(cfg, options)
}

func cacheOptions(namespaces []string) cache.Options {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	configMap := &metav1.PartialObjectMetadata{}
	configMap.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	ours := labels.NewSelector().Add(*labelExists(dcv1.HostPermissionLabel))
	policy := fields.OneTermEqualSelector("metadata.name", controllers.PermissionPolicyName)
	o := cache.Options{
		// A read of a kind that nobody watches must fail, not start a watch of all
		// of it: one careless Get of a Secret would load every Secret.
		ReaderFailOnMissingInformer: true,
		ByObject: map[client.Object]cache.ByObject{
			secret:    {Transform: controllers.StripSecretMetadata},
			configMap: {Transform: controllers.StripSecretMetadata},
			// Of RBAC our own only, of the admission policies the one that is asked for.
			&rbacv1.Role{}:        {Label: ours},
			&rbacv1.RoleBinding{}: {Label: ours},
			&admissionregistrationv1.ValidatingAdmissionPolicy{}:        {Field: policy},
			&admissionregistrationv1.ValidatingAdmissionPolicyBinding{}: {Field: policy},
		},
	}
	if len(namespaces) > 0 {
		o.DefaultNamespaces = map[string]cache.Config{}
		for _, ns := range namespaces {
			o.DefaultNamespaces[ns] = cache.Config{}
		}
	}
	return o
}

func labelExists(key string) *labels.Requirement {
	requirement, err := labels.NewRequirement(key, selection.Exists, nil)
	utilruntime.Must(err) // the key is a constant
	return requirement
}

func metricsOptions(o Options) metricsserver.Options {
	m := metricsserver.Options{BindAddress: o.MetricsAddress, SecureServing: o.MetricsSecure}
	if o.MetricsSecure {
		m.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	return m
}
