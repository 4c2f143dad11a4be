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

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"runtime/debug"
	"slices"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/klog/v2"

	"github.com/dockercontrol/dockercontrol/standalone/internal/bootstrap"
	"github.com/dockercontrol/dockercontrol/standalone/internal/controlplane"
	"github.com/dockercontrol/dockercontrol/standalone/internal/pki"
)

// startTimeout bounds a start: a warm one takes seconds, a big etcd on a slow disk minutes.
const startTimeout = 5 * time.Minute

// adminUser has the group that RBAC never refuses, as kubeadm's super-admin.conf.
const adminUser = "admin"

// Run runs control plane and manager until ctx is done, and returns when everything has stopped: nil after an orderly
// stop, also one in the midst of the start. manifests are applied before the manager starts. What the user needs to know
// goes to out, "standalone ready" last.
func Run(ctx context.Context, opts Options, manager Manager, manifests []fs.FS, out io.Writer) (err error) {
	if err := opts.Validate(); err != nil {
		return err
	}
	dir, err := openDataDir(opts.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	log, err := openLog(dir, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.close()) }()

	// ctx ends by a signal or by the first part that fails.
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := &standalone{opts: opts, dir: dir, log: log, fail: fail}
	defer func() {
		log.quiet()
		err = errors.Join(err, s.stop())
	}()
	if err := s.start(ctx, manager, manifests); err != nil {
		return interrupted(ctx, err)
	}
	if err := s.announce(out); err != nil {
		return err
	}
	// A start leaves garbage (schemas, mostly) that a quiet process would keep for hours.
	debug.FreeOSMemory()
	<-ctx.Done()
	return interrupted(ctx, context.Cause(ctx))
}

// interrupted turns an error into nil where the user asked for the end.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// standalone is the running program.
type standalone struct {
	opts Options
	dir  *dataDir
	log  *processLog
	fail func(error)

	store *pki.Store
	api   string // host:port that clients on this machine use
	place Place

	stops []func() error // of what runs, in the order of the start
}

func (s *standalone) start(ctx context.Context, manager Manager, manifests []fs.FS) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not started within %s", startTimeout))
	defer cancel()
	began := time.Now()
	listener, err := listen(ctx, "--api-address", s.opts.APIAddress)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx, listener.Addr(), manager); err != nil {
		return errors.Join(err, listener.Close())
	}
	plane, err := controlplane.Start(ctx, controlplane.Options{
		EtcdDir: s.dir.file("etcd"), Listener: listener, Store: s.store, EtcdLog: s.log.etcd(),
		AutoscalerPeriod: s.opts.AutoscalerPeriod,
	})
	if err != nil {
		return err
	}
	s.stops = append(s.stops, plane.Stop)
	klog.InfoS("The API server is ready", "after", time.Since(began))
	s.background(func(ctx context.Context) {
		if err := plane.Wait(ctx); err != nil {
			s.fail(err)
		}
	})
	s.background(func(ctx context.Context) { s.store.Run(ctx, s.renewed) })
	if err := bootstrap.Apply(ctx, plane.LoopbackConfig(), manifests...); err != nil {
		return err
	}
	klog.InfoS("The manifests are applied", "after", time.Since(began))
	if err := plane.StartControllers(); err != nil {
		return err
	}
	if !s.opts.WithManager {
		return nil
	}
	running, err := manager.start(ctx, s.managerConfig(), s.place, s.fail)
	if err != nil {
		return err
	}
	s.stops = append(s.stops, running.stop)
	klog.InfoS("The manager is ready", "after", time.Since(began))
	return nil
}

// prepare makes the certificates and what is written for the user of them.
func (s *standalone) prepare(ctx context.Context, listening net.Addr, manager Manager) error {
	// The names that a Kubernetes API server has in a cluster, for clients that verify by those, and the first address
	// of the Service range.
	apiNames, err := servingNames(s.opts.APIAddress, append(slices.Clone(s.opts.ExtraNames), "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local", controlplane.ServiceAddress)...)
	if err != nil {
		return err
	}
	proxyNames := pki.Names{}
	if s.opts.ProxyAddress != NoAddress {
		if proxyNames, err = servingNames(s.opts.ProxyAddress, s.opts.ExtraNames...); err != nil {
			return err
		}
	}
	s.store, err = pki.New(pki.Config{
		Dir:       s.dir.file("pki"),
		APIServer: apiNames,
		Proxy:     proxyNames,
		Admin:     pki.Identity{User: adminUser, Groups: []string{"system:masters"}},
		Manager:   pki.Identity{User: managerUser, Groups: managerGroups},
		Validity:  s.opts.CertificateValidity,
	})
	if err != nil {
		return err
	}
	if _, err := s.store.Ensure(); err != nil {
		return err
	}
	if s.opts.WithManager {
		proxy := s.store.Proxy()
		if s.place, err = manager.place(ctx, s.opts, proxy.Cert, proxy.Key); err != nil {
			return err
		}
	}
	// client-go looks at a client certificate's file this often. Five minutes are its own, fine unless certificates live
	// for less than an hour.
	transport.CertCallbackRefreshDuration = min(transport.CertCallbackRefreshDuration, s.opts.CertificateValidity/10)
	s.api = reachable(listening.String())
	return writeAccess(s.dir, s.store, "https://"+s.api)
}

// renewed is told of every round of certificates while the program runs.
func (s *standalone) renewed(made []string, err error) {
	if err == nil && (slices.Contains(made, "ca") || slices.Contains(made, "admin")) {
		err = writeAccess(s.dir, s.store, "https://"+s.api)
	}
	if err != nil {
		klog.ErrorS(err, "Renewing certificates failed and will be tried again", "made", made)
		return
	}
	klog.InfoS("Renewed certificates", "made", made)
}

// managerConfig is the manager's way to the API server. Its files are read again when they change.
func (s *standalone) managerConfig() *rest.Config {
	pair := s.store.Manager()
	return &rest.Config{
		Host:            "https://" + s.api,
		TLSClientConfig: rest.TLSClientConfig{CAFile: s.store.CA().Cert, CertFile: pair.Cert, KeyFile: pair.Key},
	}
}

// background runs f until the program stops.
func (s *standalone) background(f func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	s.stops = append(s.stops, func() error {
		cancel()
		<-done
		return nil
	})
}

// stop ends what runs, the last one first.
func (s *standalone) stop() error {
	var errs []error
	for _, stop := range slices.Backward(s.stops) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// announce tells the user how to go on.
func (s *standalone) announce(out io.Writer) error {
	kubeconfig := s.dir.file("admin.kubeconfig")
	lines := fmt.Sprintf("API server   https://%s\n", s.api)
	if s.opts.WithManager && s.place.ProxyAddress != NoAddress {
		lines += fmt.Sprintf("proxy        https://%s\n", reachable(s.place.ProxyAddress))
	}
	lines += fmt.Sprintf("CA of both   %s\n", s.dir.file("ca.crt"))
	lines += fmt.Sprintf("login token  kubectl --kubeconfig %s -n %s create token %s\n", kubeconfig, bootstrap.Namespace, bootstrap.LoginAccount)
	lines += fmt.Sprintf("export KUBECONFIG=%s\n", kubeconfig)
	_, err := fmt.Fprint(out, lines, "standalone ready\n")
	return err
}
