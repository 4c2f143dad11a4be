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
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/version"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/dockercontrol/dockercontrol/internal/proxy"
	"github.com/dockercontrol/dockercontrol/web"
)

// addServers adds what answers requests: health and the proxy. ready are checks
// that both serve.
func addServers(mgr ctrl.Manager, o Options, ready map[string]healthz.Checker) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the health check: %w", err)
	}
	if o.ProxyAddress != "0" {
		trusted, err := o.trustedProxies()
		if err != nil {
			return err
		}
		server, err := proxy.NewServer(proxy.Options{
			Address: o.ProxyAddress, CertFile: o.ProxyCertFile, KeyFile: o.ProxyKeyFile,
			RESTConfig: mgr.GetConfig(), Console: web.Files(), Version: version.Info{GitVersion: Version},
			TrustedProxies: trusted, SessionIdle: o.SessionIdle, SessionMax: o.SessionMax, Limits: o.ProxyLimits,
			Ready: maps.Clone(ready), ShutdownTimeout: o.ShutdownTimeout / 2, Log: ctrl.Log.WithName("proxy"),
		})
		if err != nil {
			return fmt.Errorf("making the proxy: %w", err)
		}
		if err := mgr.Add(server); err != nil {
			return fmt.Errorf("adding the proxy: %w", err)
		}
		ready["proxy"] = server.ReadyCheck
	}
	for _, name := range slices.Sorted(maps.Keys(ready)) {
		if err := mgr.AddReadyzCheck(name, ready[name]); err != nil {
			return fmt.Errorf("adding the readiness check %q: %w", name, err)
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
