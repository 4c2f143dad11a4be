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
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/dockercontrol/dockercontrol/controllers"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
)

// addAll adds everything that the manager runs. closeAll releases what outlives
// mgr.Start, and is never nil.
func addAll(ctx context.Context, mgr ctrl.Manager, o Options) (closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() error {
		var errs []error
		for _, c := range slices.Backward(closers) {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	}
	keys, direct, err := addKeys(ctx, mgr, o.Namespace)
	if err != nil {
		return closeAll, err
	}
	recorder, closeAudit, err := newAudit(mgr, direct, keys, o)
	if err != nil {
		return closeAll, err
	}
	closers = append(closers, closeAudit)
	hosts := hostcache.New(hostcache.Options{Connector: moby.Connector{}, Log: ctrl.Log.WithName("hostcache")})
	unregister, err := registerMetrics(hosts)
	if err != nil {
		return closeAll, err
	}
	closers = append(closers, unregister)
	if err := mgr.Add(hosts); err != nil {
		return closeAll, fmt.Errorf("adding the host cache: %w", err)
	}
	if err := addControllers(ctx, mgr, hosts, o); err != nil {
		return closeAll, err
	}
	unregisterServices, err := addSwarmServices(ctx, mgr, hosts, recorder, keys)
	if err != nil {
		return closeAll, err
	}
	closers = append(closers, unregisterServices)
	expired, err := addPermissions(ctx, mgr, recorder)
	if err != nil {
		return closeAll, err
	}
	collapser := audit.NewCollapser(recorder, ctrl.Log.WithName("audit"))
	closers = append(closers, collapser.Close)
	served := servers{hosts: hosts, audit: recorder, unauthenticated: collapser, keys: keys, ready: map[string]healthz.Checker{
		"informers": informersSynced(mgr), "expired-bindings": expired.Check,
	}}
	return closeAll, served.add(ctx, mgr, o)
}

// addPermissions adds what keeps HostPermissions, and returns the check that none is
// in force after its end.
func addPermissions(ctx context.Context, mgr ctrl.Manager, recorder audit.Recorder) (*controllers.ExpiredBindings, error) {
	permission := &controllers.HostPermissionReconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder(component), Audit: recorder,
	}
	if err := permission.SetupWithManager(mgr); err != nil {
		return nil, fmt.Errorf("adding the controller of HostPermissions: %w", err)
	}
	expired := &controllers.ExpiredBindings{Reader: mgr.GetCache()}
	if err := expired.SetupWithManager(ctx, mgr); err != nil {
		return nil, fmt.Errorf("adding the check for expired HostPermissions: %w", err)
	}
	return expired, nil
}

func addControllers(ctx context.Context, mgr ctrl.Manager, hosts *hostcache.Cache, o Options) error {
	policy, err := o.endpointPolicy()
	if err != nil {
		return err
	}
	connection := &controllers.DockerHostConnectionReconciler{
		Client: mgr.GetClient(), SecretReader: mgr.GetAPIReader(), Hosts: hosts, Policy: policy,
	}
	if err := connection.SetupWithManager(ctx, mgr); err != nil {
		return fmt.Errorf("adding the controller of DockerHosts' connections: %w", err)
	}
	host := &controllers.DockerHostReconciler{
		Client: mgr.GetClient(), Hosts: hosts, Recorder: mgr.GetEventRecorder(component),
	}
	if err := host.SetupWithManager(mgr, hosts.Source()); err != nil {
		return fmt.Errorf("adding the controller of DockerHosts: %w", err)
	}
	return nil
}

// addSwarmServices adds what keeps SwarmServices.
func addSwarmServices(ctx context.Context, mgr ctrl.Manager, hosts *hostcache.Cache, recorder audit.Recorder, keys *keyring.Keyring) (unregister func() error, err error) {
	inputs := &controllers.SwarmObjects{
		Live: mgr.GetAPIReader(), Keys: keys, Policies: &controllers.SwarmPolicies{Reader: mgr.GetAPIReader()}, Clock: clock.RealClock{},
	}
	service := &controllers.SwarmServiceReconciler{
		Client: mgr.GetClient(), Hosts: hosts, Inputs: inputs, Audit: recorder,
		Recorder: mgr.GetEventRecorder(component), Metrics: controllers.NewSwarmServiceMetrics(),
	}
	if err := service.SetupWithManager(ctx, mgr, hosts); err != nil {
		return nil, fmt.Errorf("adding the controller of SwarmServices: %w", err)
	}
	dependants := &controllers.DockerHostDependantsReconciler{Client: mgr.GetClient(), Recorder: mgr.GetEventRecorder(component)}
	if err := dependants.SetupWithManager(ctx, mgr); err != nil {
		return nil, fmt.Errorf("adding the controller of DockerHosts with SwarmServices: %w", err)
	}
	return registerMetrics(service.Metrics)
}

// registerMetrics adds a collector to controller-runtime's registry, which is the
// process's. A second manager in the same process shares the first one's series.
func registerMetrics(c prometheus.Collector) (unregister func() error, err error) {
	err = metrics.Registry.Register(c)
	if errors.As(err, &prometheus.AlreadyRegisteredError{}) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return func() error {
		metrics.Registry.Unregister(c)
		return nil
	}, nil
}
