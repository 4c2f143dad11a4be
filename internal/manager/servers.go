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
	"maps"
	"net/http"
	"os"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/version"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
	"github.com/dockercontrol/dockercontrol/internal/proxy"
	"github.com/dockercontrol/dockercontrol/web"
)

// servers are what answers requests: health and the proxy.
type servers struct {
	hosts           *hostcache.Cache
	audit           audit.Recorder
	unauthenticated audit.Recorder
	keys            *keyring.Keyring
	// ready are checks that health and proxy both serve.
	ready map[string]healthz.Checker
}

func (s servers) add(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the health check: %w", err)
	}
	if o.ProxyAddress != "0" {
		if err := s.addProxy(ctx, mgr, o); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.ready)) {
		if err := mgr.AddReadyzCheck(name, s.ready[name]); err != nil {
			return fmt.Errorf("adding the readiness check %q: %w", name, err)
		}
	}
	return nil
}

func (s servers) addProxy(ctx context.Context, mgr ctrl.Manager, o Options) error {
	trusted, err := o.trustedProxies()
	if err != nil {
		return err
	}
	policy, err := o.endpointPolicy()
	if err != nil {
		return err
	}
	replica, err := replicaName()
	if err != nil {
		return err
	}
	server, err := proxy.NewServer(proxy.Options{
		Address: o.ProxyAddress, CertFile: o.ProxyCertFile, KeyFile: o.ProxyKeyFile,
		RESTConfig: mgr.GetConfig(), Console: web.Files(), Version: version.Info{GitVersion: Version},
		Engines: &proxy.Engines{
			Hosts: s.hosts, Audit: s.audit, AuditFile: o.AuditFile, Keys: s.keys, Replica: replica,
			Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), Scheme: mgr.GetScheme(), Connector: moby.Connector{}, Policy: policy, Exec: o.execOptions(),
		},
		TrustedProxies: trusted, SessionIdle: o.SessionIdle, SessionMax: o.SessionMax, Limits: o.ProxyLimits,
		Unauthenticated: func(ctx context.Context, source, requestID string) {
			_ = s.unauthenticated.Record(ctx, audit.Record{ // it only counts
				Source: source, RequestID: requestID, Verb: "authenticate", Outcome: audit.Denied, Reason: "Unauthenticated",
			})
		},
		Ready: maps.Clone(s.ready), ShutdownTimeout: o.ShutdownTimeout / 2, Log: ctrl.Log.WithName("proxy"),
	})
	if err != nil {
		return fmt.Errorf("making the proxy: %w", err)
	}
	if err := mgr.Add(server); err != nil {
		return fmt.Errorf("adding the proxy: %w", err)
	}
	s.ready["proxy"] = server.ReadyCheck
	return watchGrants(ctx, mgr, server.GrantsChanged)
}

// replicaName is the host's name, in a cluster the Pod's, and something that tells apart
// two processes there, and this one from the one before a restart.
func replicaName() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("naming this replica: %w", err)
	}
	return host + "-" + utilrand.String(5), nil
}

// watchGrants tells the proxy of each change of a Role or a RoleBinding of ours.
func watchGrants(ctx context.Context, mgr ctrl.Manager, changed func()) error {
	for _, object := range []client.Object{&rbacv1.Role{}, &rbacv1.RoleBinding{}} {
		informer, err := mgr.GetCache().GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watching the operator's Roles and RoleBindings: %w", err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { changed() },
			UpdateFunc: func(before, after any) {
				if before.(client.Object).GetResourceVersion() != after.(client.Object).GetResourceVersion() { // a resync
					changed()
				}
			},
			DeleteFunc: func(any) { changed() },
		})
		if err != nil {
			return fmt.Errorf("watching the operator's Roles and RoleBindings: %w", err)
		}
	}
	return nil
}

// informersSynced is ready once what the manager watches has been read: before
// that a replica would call every host unknown.
func informersSynced(mgr ctrl.Manager) healthz.Checker {
	return func(req *http.Request) error {
		if !mgr.GetCache().WaitForCacheSync(req.Context()) {
			return errors.New("the watched objects have not been read yet")
		}
		return nil
	}
}
