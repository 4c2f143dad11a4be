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
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/standalone/internal/pki"
)

// stopGrace bounds how long Stop waits for each part: the API server's own drain is shorter, so only a part that
// hangs comes to it.
const stopGrace = 10 * time.Second

// Options say where a control plane lives.
type Options struct {
	// EtcdDir is etcd's directory; this process has it alone.
	EtcdDir string
	// Listener is the API server's. Start owns it.
	Listener net.Listener
	// Store has the certificates, ensured.
	Store *pki.Store
	// EtcdLog is etcd's. What it says at level Panic or Fatal are etcd's last words.
	EtcdLog *zap.Logger
	// AutoscalerPeriod is how often a HorizontalPodAutoscaler looks at its metrics.
	AutoscalerPeriod time.Duration
}

// ControlPlane is a running one.
type ControlPlane struct {
	opts        Options
	etcd        *etcd
	api         *apiServer
	controllers *controllers // nil before StartControllers
}

// Start starts etcd and the API server and returns when the API server is ready. ctx bounds the start only: the
// control plane runs until Stop. What Start has started is stopped when it fails.
func Start(ctx context.Context, opts Options) (*ControlPlane, error) {
	etcd, err := startEtcd(ctx, opts.EtcdDir, opts.EtcdLog)
	if err != nil {
		return nil, errors.Join(err, opts.Listener.Close())
	}
	api, err := startAPIServer(ctx, opts.Listener, opts.Store, etcd.endpoint)
	if err != nil {
		opts.Listener.Close() // the API server may have done so
		return nil, errors.Join(err, etcd.stop())
	}
	return &ControlPlane{opts: opts, etcd: etcd, api: api}, nil
}

// LoopbackConfig is a client configuration of unlimited rights inside this process. The caller must not change it.
func (c *ControlPlane) LoopbackConfig() *rest.Config { return c.api.loopback }

// StartControllers starts the controller-manager's loops. Call it once, and after the CRDs are there: garbage
// collection looks for new ones every ten seconds only.
func (c *ControlPlane) StartControllers() error {
	started, err := startControllers(c.api.loopback, c.opts.Store, c.opts.AutoscalerPeriod)
	if err != nil {
		return fmt.Errorf("start the controllers: %w", err)
	}
	c.controllers = started
	return nil
}

// Wait returns nil when ctx is done, or an error when a part of the control plane ends before that.
func (c *ControlPlane) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-c.api.done:
		return errors.Join(errors.New("kube-apiserver ended"), c.api.err)
	case err := <-c.etcd.server.Err():
		return fmt.Errorf("etcd failed: %w", err)
	case <-c.etcd.server.Server.StopNotify():
		return errors.New("etcd ended")
	}
}

// Stop ends the loops, then the API server, then etcd.
func (c *ControlPlane) Stop() error {
	var errs []error
	if c.controllers != nil {
		errs = append(errs, within(stopGrace, c.controllers.stop))
	}
	errs = append(errs, within(stopGrace, c.api.stop), c.etcd.stop())
	return errors.Join(errs...)
}

func within(limit time.Duration, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return stop(ctx)
}
