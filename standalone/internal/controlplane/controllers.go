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
	"crypto"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsscheme "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/scheme"
	"k8s.io/apimachinery/pkg/api/meta"
	validatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/certificates/cleaner"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/certificates/signer"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/resourcequota"
	serviceaccountcontroller "k8s.io/kubernetes/pkg/controller/serviceaccount"
	"k8s.io/kubernetes/pkg/controller/validatingadmissionpolicystatus"
	"k8s.io/kubernetes/pkg/generated/openapi"
	quotainstall "k8s.io/kubernetes/pkg/quota/v1/install"
	"k8s.io/kubernetes/pkg/serviceaccount"

	"github.com/dockercontrol/dockercontrol/standalone/internal/pki"
)

const (
	// discoveryPeriod is how soon garbage collection and quotas learn of a new CRD. The controller-manager takes 30 s;
	// here one cached discovery request is all it costs.
	discoveryPeriod = 10 * time.Second
	// resyncPeriod, namespaceResync and quotaResync are the controller-manager's defaults.
	resyncPeriod    = 12 * time.Hour
	namespaceResync = 5 * time.Minute
	quotaResync     = 5 * time.Minute
	// workers a loop: the installation is small and the API server in the same process.
	workers = 5
	// clientCertificateTTL of an approved CertificateSigningRequest that asks for nothing shorter, as upstream.
	clientCertificateTTL = 365 * 24 * time.Hour
)

// loop runs until its context is done.
type loop func(context.Context)

// controllers are the running loops.
type controllers struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// startControllers starts the loops against the API server that config leads to.
func startControllers(config *rest.Config, store *pki.Store, autoscalerPeriod time.Duration) (*controllers, error) {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), klog.Background()))
	c := &controllers{cancel: cancel}
	env, err := newLoopEnvironment(config, store)
	if err != nil {
		cancel()
		return nil, err
	}
	env.autoscalerPeriod = autoscalerPeriod
	all, err := env.loops(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	env.typed.Start(ctx.Done())
	env.factory.Start(ctx.Done())
	close(env.started)
	for _, run := range all {
		c.running.Go(func() { run(ctx) })
	}
	c.running.Go(func() {
		<-ctx.Done()
		env.typed.Shutdown()
		env.metadata.Shutdown()
	})
	return c, nil
}

// stop ends the loops and waits for them, at most until ctx is done.
func (c *controllers) stop(ctx context.Context) error {
	c.cancel()
	ended := make(chan struct{})
	go func() {
		c.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the controllers: %w", ctx.Err())
	}
}

// loopEnvironment is what the loops share.
type loopEnvironment struct {
	store            *pki.Store
	config           *rest.Config // for JSON
	client           kubernetes.Interface
	metadataClient   metadata.Interface
	mapper           meta.ResettableRESTMapper
	typed            informers.SharedInformerFactory
	metadata         metadatainformer.SharedInformerFactory
	factory          informerfactory.InformerFactory
	started          chan struct{} // closed when the informers run
	autoscalerPeriod time.Duration
}

func newLoopEnvironment(config *rest.Config, store *pki.Store) (*loopEnvironment, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // no limit: the loops are few, and priority and fairness exempts the loopback identity anyway
	config.UserAgent = "dockercontrol-standalone/controllers"
	metadataClient, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a metadata client: %w", err)
	}
	asJSON := rest.CopyConfig(config)
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	typed := informers.NewSharedInformerFactoryWithOptions(client, resyncPeriod, informers.WithTransform(dropManagedFields))
	partial := metadatainformer.NewSharedInformerFactoryWithOptions(metadataClient, resyncPeriod, metadatainformer.WithTransform(dropManagedFields))
	return &loopEnvironment{
		store:          store,
		config:         asJSON,
		client:         client,
		metadataClient: metadataClient,
		mapper:         restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery())),
		typed:          typed,
		metadata:       partial,
		factory:        informerfactory.NewInformerFactory(typed, partial),
		started:        make(chan struct{}),
	}, nil
}

// dropManagedFields halves what the informers keep; no loop reads them.
func dropManagedFields(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}

// loops builds what runs. What is missing deals in nodes, pods, volumes or load balancers.
func (e *loopEnvironment) loops(ctx context.Context) ([]loop, error) {
	var all []loop
	for _, build := range []func(context.Context) ([]loop, error){
		e.namespaces, e.garbageCollection, e.quotas, e.serviceAccounts, e.serviceAccountTokens,
		e.rootCertificates, e.roleAggregation, e.policyStatus, e.certificateRequests, e.autoscaling,
	} {
		built, err := build(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, built...)
	}
	return all, nil
}

// namespaces empties a namespace that is deleted.
func (e *loopEnvironment) namespaces(ctx context.Context) ([]loop, error) {
	controller := namespace.NewNamespaceController(ctx, e.client, e.metadataClient, e.client.Discovery().ServerPreferredNamespacedResources,
		e.typed.Core().V1().Namespaces(), namespaceResync, corev1.FinalizerKubernetes)
	return []loop{func(ctx context.Context) { controller.Run(ctx, workers) }}, nil
}

// garbageCollection deletes what is owned by something gone.
func (e *loopEnvironment) garbageCollection(ctx context.Context) ([]loop, error) {
	graph := garbagecollector.NewDependencyGraphBuilder(ctx, e.metadataClient, e.mapper,
		garbagecollector.DefaultIgnoredResources(), e.factory, e.started)
	controller, err := garbagecollector.NewComposedGarbageCollector(ctx, e.client, e.metadataClient, e.mapper, graph)
	if err != nil {
		return nil, fmt.Errorf("build the garbage collector: %w", err)
	}
	return []loop{
		func(ctx context.Context) { controller.Run(ctx, workers, discoveryPeriod) },
		func(ctx context.Context) { controller.Sync(ctx, e.client.Discovery(), discoveryPeriod) },
	}, nil
}

// quotas counts what a ResourceQuota limits, such as count/dockerhosts.dockercontrol.dev. Admission refuses everything in
// a namespace whose quota nobody counts.
func (e *loopEnvironment) quotas(ctx context.Context) ([]loop, error) {
	evaluators, err := quotainstall.NewQuotaConfigurationForControllers(generic.ListerFuncForResourceFunc(e.typed.ForResource), e.typed)
	if err != nil {
		return nil, fmt.Errorf("build the quota evaluators: %w", err)
	}
	discover := e.client.Discovery().ServerPreferredNamespacedResources
	controller, err := resourcequota.NewController(ctx, &resourcequota.ControllerOptions{
		QuotaClient:               e.client.CoreV1(),
		ResourceQuotaInformer:     e.typed.Core().V1().ResourceQuotas(),
		ResyncPeriod:              func() time.Duration { return quotaResync },
		Registry:                  generic.NewRegistry(evaluators.Evaluators()),
		DiscoveryFunc:             discover,
		IgnoredResourcesFunc:      evaluators.IgnoredResources,
		InformersStarted:          e.started,
		InformerFactory:           e.factory,
		ReplenishmentResyncPeriod: func() time.Duration { return resyncPeriod },
		UpdateFilter:              quotainstall.DefaultUpdateFilter(),
	})
	if err != nil {
		return nil, fmt.Errorf("build the quota controller: %w", err)
	}
	return []loop{
		func(ctx context.Context) { controller.Run(ctx, workers) },
		func(ctx context.Context) { controller.Sync(ctx, discover, discoveryPeriod) },
	}, nil
}

// serviceAccounts gives every namespace its default ServiceAccount.
func (e *loopEnvironment) serviceAccounts(ctx context.Context) ([]loop, error) {
	controller, err := serviceaccountcontroller.NewServiceAccountsController(klog.FromContext(ctx), e.typed.Core().V1().ServiceAccounts(),
		e.typed.Core().V1().Namespaces(), e.client, serviceaccountcontroller.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return nil, fmt.Errorf("build the ServiceAccount controller: %w", err)
	}
	return []loop{func(ctx context.Context) { controller.Run(ctx, 1) }}, nil
}

// serviceAccountTokens fills Secrets of type kubernetes.io/service-account-token, for tokens that live as long as they.
func (e *loopEnvironment) serviceAccountTokens(ctx context.Context) ([]loop, error) {
	key, err := keyutil.PrivateKeyFromFile(e.store.ServiceAccountKey())
	if err != nil {
		return nil, fmt.Errorf("read the ServiceAccount signing key: %w", err)
	}
	private, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("read the ServiceAccount signing key: it does not sign")
	}
	tokens, err := serviceaccount.JWTTokenGenerator(serviceaccount.LegacyIssuer, private)
	if err != nil {
		return nil, fmt.Errorf("build the ServiceAccount token generator: %w", err)
	}
	rootCA, err := os.ReadFile(e.store.CA().Cert)
	if err != nil {
		return nil, err
	}
	controller, err := serviceaccountcontroller.NewTokensController(klog.FromContext(ctx), e.typed.Core().V1().ServiceAccounts(),
		e.typed.Core().V1().Secrets(), e.client, serviceaccountcontroller.TokensControllerOptions{TokenGenerator: tokens, RootCA: rootCA})
	if err != nil {
		return nil, fmt.Errorf("build the ServiceAccount token controller: %w", err)
	}
	return []loop{func(ctx context.Context) { controller.Run(ctx, workers) }}, nil
}

// rootCertificates puts the authority's certificate into every namespace as ConfigMap kube-root-ca.crt. It is read once: a
// renewed one (every eight years) follows at the next start.
func (e *loopEnvironment) rootCertificates(context.Context) ([]loop, error) {
	rootCA, err := os.ReadFile(e.store.CA().Cert)
	if err != nil {
		return nil, err
	}
	controller, err := rootcacertpublisher.NewPublisher(e.typed.Core().V1().ConfigMaps(), e.typed.Core().V1().Namespaces(), e.client, rootCA)
	if err != nil {
		return nil, fmt.Errorf("build the root certificate publisher: %w", err)
	}
	return []loop{func(ctx context.Context) { controller.Run(ctx, 1) }}, nil
}

// roleAggregation keeps ClusterRoles such as view and edit the sum of the ones labelled for them.
func (e *loopEnvironment) roleAggregation(context.Context) ([]loop, error) {
	controller := clusterroleaggregation.NewClusterRoleAggregation(e.typed.Rbac().V1().ClusterRoles(), e.client.RbacV1())
	return []loop{func(ctx context.Context) { controller.Run(ctx, workers) }}, nil
}

// policyStatus type-checks ValidatingAdmissionPolicies and says in their status what it found.
func (e *loopEnvironment) policyStatus(context.Context) ([]loop, error) {
	checker := &validatingpolicy.TypeChecker{
		SchemaResolver: resolver.NewDefinitionsSchemaResolver(openapi.GetOpenAPIDefinitions, scheme.Scheme, apiextensionsscheme.Scheme).
			Combine(&resolver.ClientDiscoveryResolver{Discovery: e.client.Discovery()}),
		RestMapper: e.mapper,
	}
	controller, err := validatingadmissionpolicystatus.NewController(e.typed.Admissionregistration().V1().ValidatingAdmissionPolicies(),
		e.client.AdmissionregistrationV1().ValidatingAdmissionPolicies(), checker)
	if err != nil {
		return nil, fmt.Errorf("build the admission policy status controller: %w", err)
	}
	return []loop{func(ctx context.Context) { controller.Run(ctx, workers) }}, nil
}

// certificateRequests signs approved requests for client certificates, which is how a program that knows no bearer
// tokens (a Docker SDK) gets a login, and removes old requests. Nothing approves by itself.
func (e *loopEnvironment) certificateRequests(ctx context.Context) ([]loop, error) {
	requests := e.typed.Certificates().V1().CertificateSigningRequests()
	ca := e.store.CA()
	sign, err := signer.NewKubeAPIServerClientCSRSigningController(ctx, e.client, requests, ca.Cert, ca.Key, clientCertificateTTL)
	if err != nil {
		return nil, fmt.Errorf("build the certificate signer: %w", err)
	}
	clean := cleaner.NewCSRCleanerController(e.client.CertificatesV1().CertificateSigningRequests(), requests)
	return []loop{
		func(ctx context.Context) { sign.Run(ctx, 1) },
		func(ctx context.Context) { clean.Run(ctx, 1) },
	}, nil
}
