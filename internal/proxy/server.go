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

package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/session"
)

const (
	// headerTimeout bounds the TLS handshake, and then the headers of a request.
	headerTimeout = 10 * time.Second
	// bodyTimeout and answerTimeout bound a request that does not stream: enough for
	// a megabyte of console over a slow line.
	bodyTimeout   = time.Minute
	answerTimeout = time.Minute
	// idleTimeout is longer than the 60 s that load balancers commonly keep a
	// connection, so that they close it and not we, while a request is on its way.
	idleTimeout = 90 * time.Second
	// maxHeaderBytes leaves room for a token or a session cookie of many groups
	// (16 KiB) beside the registry credentials of a docker build.
	maxHeaderBytes = 64 << 10
	// maxHTTP2Streams is the least that RFC 9113 recommends; pingInterval and
	// pingTimeout find HTTP/2 clients that vanished within 40 s.
	maxHTTP2Streams = 100
	pingInterval    = 25 * time.Second
	pingTimeout     = 15 * time.Second

	defaultShutdownTimeout = 10 * time.Second
)

// Options say what a Server serves, and where.
type Options struct {
	// Address is host:port or :port; port 0 takes a free one.
	Address string
	// CertFile and KeyFile are in PEM and read again when they change. Both empty: the
	// server signs its own certificate at every start, which no client trusts.
	CertFile, KeyFile string
	// RESTConfig leads to the kube-apiserver that says who asks.
	RESTConfig *rest.Config
	// Console has the console's files, index.html at its root.
	Console fs.FS
	// Version is what /version tells.
	Version version.Info
	// Ready are checks of /readyz beside the server's own, by name.
	Ready map[string]healthz.Checker
	// ShutdownTimeout is how long requests under way may take after Start's context
	// has ended; zero is 10 s.
	ShutdownTimeout time.Duration
	// Engines are what is served below /apis/; nil serves none.
	Engines *Engines
	// TrustedProxies are load balancers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// SessionKeys encrypt browsers' sessions, and are the same for all replicas; nil is a
	// key of this replica's own. SessionIdle and SessionMax are how long a session holds
	// unused and at most; zero is an hour and 12 hours.
	SessionKeys             session.Keys
	SessionIdle, SessionMax time.Duration
	// Limits are what a user or a source may take.
	Limits Limits
	// Unauthenticated hears of each request that is answered with 401; nil: nobody does.
	// It must not block.
	Unauthenticated func(ctx context.Context, source, requestID string)
	Log             logr.Logger

	// headerTimeout is a shorter one for tests.
	headerTimeout time.Duration
}

// Server is the proxy of one replica. It is a controller-runtime Runnable.
type Server struct {
	options Options
	auth    *Authenticator
	handler http.Handler

	sessions    *session.Manager
	crossOrigin *http.CrossOriginProtection
	// requests are counted by user, logins by source; streams and connections are a
	// user's at once.
	requests, logins     *limit.Rates
	streams, connections *limit.Counter

	engines *engines // nil: none are served

	listening chan struct{} // closed when addr is set
	addr      atomic.Value  // string
	draining  atomic.Bool
}

var (
	_ manager.Runnable               = &Server{}
	_ manager.LeaderElectionRunnable = &Server{}
)

// NewServer checks the options, the certificate and the console's files included.
func NewServer(o Options) (*Server, error) {
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return nil, fmt.Errorf("the proxy's address %q is not host:port: %w", o.Address, err)
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("the proxy's certificate and key go together: give both files or neither")
	}
	if o.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile); err != nil {
			return nil, fmt.Errorf("the proxy's certificate: %w", err)
		}
	}
	if o.ShutdownTimeout <= 0 {
		o.ShutdownTimeout = defaultShutdownTimeout
	}
	if o.headerTimeout <= 0 {
		o.headerTimeout = headerTimeout
	}
	o.Limits = o.Limits.withDefaults()
	if o.Engines != nil && o.SessionKeys == nil {
		o.SessionKeys = sessionKeys{o.Engines.Keys}
	}
	auth, err := NewAuthenticator(o.RESTConfig, o.Log)
	if err != nil {
		return nil, err
	}
	pages, err := newConsole(o.Console)
	if err != nil {
		return nil, err
	}
	s := &Server{
		options: o, auth: auth, listening: make(chan struct{}),
		sessions:    session.NewManager(session.Options{Keys: o.SessionKeys, Idle: o.SessionIdle, Max: o.SessionMax}),
		crossOrigin: http.NewCrossOriginProtection(),
	}
	o.Limits.apply(s)
	if o.Engines != nil {
		if s.engines, err = newEngines(o, s.streams, s.connections); err != nil {
			return nil, err
		}
	}
	s.handler = s.routes(pages)
	return s, nil
}

// NeedLeaderElection is false: every replica serves.
func (s *Server) NeedLeaderElection() bool { return false }

// Listening is closed when the server has an address.
func (s *Server) Listening() <-chan struct{} { return s.listening }

// Addr is the address listened on, as host:port; empty before Listening is closed.
func (s *Server) Addr() string {
	addr, _ := s.addr.Load().(string)
	return addr
}

// GrantsChanged tells that a Role or a RoleBinding of the operator's has changed: what was
// decided before is asked again at once. It does not block.
func (s *Server) GrantsChanged() {
	if s.engines != nil {
		s.engines.authz.GrantsChanged()
	}
}

// Start serves until ctx ends, and returns when every request has. It can be called
// once.
func (s *Server) Start(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	listener, err := conn.Listen(ctx, s.options.Address)
	if err != nil {
		return fmt.Errorf("the proxy cannot listen: %w", err)
	}
	config, err := s.tlsConfig()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.addr.Store(listener.Addr().String())
	close(s.listening)
	s.options.Log.Info("Serving the proxy and the console", "address", s.Addr())

	requests, cut := context.WithCancel(context.Background())
	defer cut()
	server := s.httpServer(requests, config)

	group.Go(func() error { return s.auth.Start(ctx) })
	if s.engines != nil {
		group.Go(func() error { return s.engines.authz.Start(ctx) })
		group.Go(func() error { return s.engines.jobs.Start(ctx) })
		defer s.engines.relay.Close()
	}
	group.Go(func() error {
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving the proxy: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		s.draining.Store(true)
		if s.engines != nil {
			close(s.engines.stopping)
		}
		return s.shutdown(server, cut)
	})
	return group.Wait()
}

func (s *Server) httpServer(requests context.Context, config *tls.Config) *http.Server {
	return &http.Server{
		Handler:           s.handler,
		TLSConfig:         config,
		ReadHeaderTimeout: s.options.headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxHTTP2Streams,
			SendPingTimeout:      pingInterval,
			PingTimeout:          pingTimeout,
		},
		ConnContext: conn.Context,
		BaseContext: func(net.Listener) context.Context { return requests },
		ErrorLog:    errorLog(s.options.Log),
	}
}

// shutdown lets the requests under way finish, and cuts those that take too long.
func (s *Server) shutdown(server *http.Server, cut context.CancelFunc) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.ShutdownTimeout)
	defer cancel()
	// Beside Shutdown, which knows nothing of connections that were taken over.
	var taken sync.WaitGroup
	if s.engines != nil {
		taken.Go(func() {
			if n := s.engines.tunnels.Drain(ctx); n > 0 {
				s.options.Log.Info("Cut sessions that did not end in time", "sessions", n, "timeout", s.options.ShutdownTimeout)
			}
		})
		taken.Go(func() { s.engines.live.Close(ctx) })
	}
	err := server.Shutdown(ctx)
	taken.Wait()
	cut()
	if errors.Is(err, context.DeadlineExceeded) {
		s.options.Log.Info("Cut requests that did not end in time", "timeout", s.options.ShutdownTimeout)
		return server.Close()
	}
	return err
}
