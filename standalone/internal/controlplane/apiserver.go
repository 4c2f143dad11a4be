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
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	kubeapiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"github.com/dockercontrol/dockercontrol/standalone/internal/pki"
)

const (
	// drainGrace is how long the API server waits for watches and requests when it stops. Its own default, a
	// minute, is for clusters whose load balancer takes the clients elsewhere.
	drainGrace = 3 * time.Second
	// abortGrace is some times what a start takes on a loaded machine.
	abortGrace = 30 * time.Second
	// readyPoll is how often readiness is asked for while starting: a local request of a millisecond.
	readyPoll = 50 * time.Millisecond
	// ServiceAccountIssuer is what tokens say they come from; the default audience too.
	ServiceAccountIssuer = "https://kubernetes.default.svc.cluster.local"
	// serviceRange gives Services their addresses, which nothing routes.
	serviceRange = "10.0.0.0/24"
	// ServiceAddress is the first of them, which the API server gives to kubernetes.default.
	ServiceAddress = "10.0.0.1"
)

// apiServer is a kube-apiserver in this process.
type apiServer struct {
	loopback *rest.Config
	cancel   context.CancelFunc
	done     chan struct{}
	err      error // of the run, once done is closed
}

// startAPIServer serves on listener, which it owns from then on, and waits until /readyz answers ok.
func startAPIServer(ctx context.Context, listener net.Listener, store *pki.Store, etcdEndpoint string) (*apiServer, error) {
	opts, err := apiServerOptions(listener, store, etcdEndpoint)
	if err != nil {
		return nil, fmt.Errorf("configure kube-apiserver: %w", err)
	}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return nil, fmt.Errorf("complete kube-apiserver's options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("validate kube-apiserver's options: %w", utilerrors.NewAggregate(errs))
	}
	config, err := kubeapiserver.NewConfig(completed)
	if err != nil {
		return nil, fmt.Errorf("build kube-apiserver's configuration: %w", err)
	}
	completedConfig, err := config.Complete()
	if err != nil {
		return nil, fmt.Errorf("complete kube-apiserver's configuration: %w", err)
	}
	server, err := kubeapiserver.CreateServerChain(completedConfig)
	if err != nil {
		return nil, fmt.Errorf("build kube-apiserver: %w", err)
	}
	server.GenericAPIServer.ShutdownTimeout = drainGrace
	prepared, err := server.PrepareRun()
	if err != nil {
		return nil, fmt.Errorf("prepare kube-apiserver: %w", err)
	}

	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &apiServer{loopback: server.GenericAPIServer.LoopbackClientConfig, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = prepared.Run(runCtx)
	}()
	if err := s.waitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for kube-apiserver on %s: %w", listener.Addr(), err), s.abort())
	}
	return s, nil
}

// abort stops a server that has not become ready in time. Its start hooks take the end of their context for a failure and
// end the process, so they are given some more time first.
func (s *apiServer) abort() error {
	ctx, cancel := context.WithTimeout(context.Background(), abortGrace)
	defer cancel()
	return errors.Join(s.waitReady(ctx), within(stopGrace, s.stop))
}

// apiServerOptions goes through kube-apiserver's own flags: they are its documented interface, its structs are not.
func apiServerOptions(listener net.Listener, store *pki.Store, etcdEndpoint string) (*options.ServerRunOptions, error) {
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("the listener is on %s, want TCP", listener.Addr().Network())
	}
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	err := flags.Parse([]string{
		"--bind-address=" + address.IP.String(),
		"--secure-port=" + strconv.Itoa(address.Port),
		"--tls-cert-file=" + store.APIServer().Cert,
		"--tls-private-key-file=" + store.APIServer().Key,
		"--client-ca-file=" + store.CA().Cert,

		"--authorization-mode=RBAC",
		"--service-account-issuer=" + ServiceAccountIssuer,
		"--service-account-key-file=" + store.ServiceAccountKey(),
		"--service-account-signing-key-file=" + store.ServiceAccountKey(),

		// Aggregation, with a front proxy as kubeadm sets it up. Without kube-proxy a Service's own address leads
		// nowhere, its endpoints do.
		"--enable-aggregator-routing",
		"--proxy-client-cert-file=" + store.FrontProxyClient().Cert,
		"--proxy-client-key-file=" + store.FrontProxyClient().Key,
		"--requestheader-client-ca-file=" + store.FrontProxyCA().Cert,
		"--requestheader-allowed-names=" + pki.FrontProxyUser,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",

		"--service-cluster-ip-range=" + serviceRange,
		// Said, because else it is looked for on the default route, and a machine without one could not start.
		// Nobody is told: the endpoints of kubernetes.default are not kept, and may not be on loopback anyway.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",

		"--profiling=false",
		"--shutdown-watch-termination-grace-period=" + drainGrace.String(),
	})
	if err != nil {
		return nil, err
	}
	// Not by flag, which splits at commas.
	opts.Etcd.StorageConfig.Transport.ServerList = []string{etcdEndpoint}
	opts.SecureServing.Listener = listener
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	// The loopback clients use what the server serves; warnings about that are for its authors.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	return opts, nil
}

// waitReady asks /readyz until it answers ok, the server has ended, or ctx is done.
func (s *apiServer) waitReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(s.loopback)
	if err != nil {
		return err
	}
	last := errors.New("no answer yet")
	err = wait.PollUntilContextCancel(ctx, readyPoll, true, func(ctx context.Context) (bool, error) {
		select {
		case <-s.done:
			return false, errors.Join(errors.New("it ended"), s.err)
		default:
		}
		var status int
		last = client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&status).Error()
		return status == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("%w; /readyz last said: %w", err, last)
	}
	return nil
}

// stop drains the server and waits for it, at most until ctx is done.
func (s *apiServer) stop(ctx context.Context) error {
	s.cancel()
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("stop kube-apiserver: %w", ctx.Err())
	}
}
