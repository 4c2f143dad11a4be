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
	"context"
	"errors"

	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/internal/manager"
	"github.com/dockercontrol/dockercontrol/standalone/internal/app"
)

// leaderIdentity is this manager's name in the leader's Lease, the same after each start. The data directory is locked,
// so that a Lease of this name is of a process that is gone, killed before it could give it back: the next one leads at
// once instead of waiting until the Lease has run out. Managers that run elsewhere against this control plane have names
// of their own, and wait as ever.
const leaderIdentity = "standalone"

// defaultManagerOptions are the manager's defaults here: the machine's own sockets and loopback may be dialled, since
// that is where the Docker engines of those who have no cluster are, and only the addresses that are asked for are
// served, so that several of these run side by side.
func defaultManagerOptions() manager.Options {
	o := manager.DefaultOptions()
	o.UnixEndpointNamespaces = []string{"default"}
	o.AllowLoopbackEndpoints = true
	o.MetricsAddress = app.NoAddress
	o.HealthAddress = app.NoAddress
	o.LeaderIdentity = leaderIdentity
	return o
}

// newManager makes o the manager that runs beside a control plane of opts.
func newManager(opts *app.Options, o manager.Options) (app.Manager, error) {
	var errs []error
	for flag, address := range map[string]string{
		"--metrics-bind-address":      o.MetricsAddress,
		"--health-probe-bind-address": o.HealthAddress,
	} {
		if address != app.NoAddress {
			errs = append(errs, opts.CheckAddress(flag, address))
		}
	}
	o.ProxyAddress = opts.ProxyAddress
	errs = append(errs, o.Validate())
	return app.Manager{
		HealthAddress: o.HealthAddress,
		StopTimeout:   o.ShutdownTimeout,
		Run: func(ctx context.Context, config *rest.Config, at app.Place) error {
			o := o
			o.ProxyAddress = at.ProxyAddress
			if o.ProxyCertFile == "" {
				o.ProxyCertFile, o.ProxyKeyFile = at.ProxyCertFile, at.ProxyKeyFile
			}
			o.HealthAddress = at.HealthAddress
			return manager.Run(ctx, config, o)
		},
	}, errors.Join(errs...)
}
