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

package moby

import (
	"context"
	"net/http"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Connector makes Engines that talk to real Docker engines.
type Connector struct{}

var _ engine.Connector = Connector{}

// Prepare implements engine.Connector. It also fails where the endpoint has no
// known scheme.
func (Connector) Prepare(cfg engine.Config) (engine.Prepared, error) {
	if cfg.MaxConnections <= 0 {
		cfg.MaxConnections = defaultMaxConnections
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = defaultIdleTimeout
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	p := &prepared{cfg: cfg}
	var err error
	switch {
	case cfg.Endpoint.Scheme == engine.SchemeUnix, cfg.Endpoint.Scheme == engine.SchemeTCP && cfg.TLS == nil:
	case cfg.Endpoint.Scheme == engine.SchemeTCP:
		p.tls, err = parseTLS(cfg.TLS)
	case cfg.Endpoint.Scheme == engine.SchemeSSH:
		p.ssh, err = parseSSH(cfg.SSH)
	default:
		err = engine.Errorf(engine.ClassInvalid, engine.CauseEndpointInvalid, "an endpoint begins with unix://, tcp:// or ssh://")
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// prepared is a configuration without gaps and its credentials, parsed.
type prepared struct {
	cfg engine.Config
	tls *tlsCredentials // nil: plain
	ssh *sshCredentials // nil: no ssh
}

// CheckCredentials implements engine.Prepared.
func (p *prepared) CheckCredentials(now time.Time) (engine.CredentialInfo, error) {
	switch {
	case p.tls != nil:
		return p.tls.info(), p.tls.check(now)
	case p.ssh != nil:
		return p.ssh.info(), nil
	}
	return engine.CredentialInfo{}, nil
}

// Open implements engine.Prepared.
func (p *prepared) Open() engine.Engine {
	ctx, cancel := context.WithCancel(context.Background())
	d := newDialer(ctx, p)
	return &client{
		name:    p.cfg.Endpoint.String(),
		timeout: p.cfg.Timeout,
		dialer:  d,
		unary:   unaryTransport(p.cfg, d),
		streams: streamTransport(d),
		carried: carriedTransport(d),
		slots:   make(chan struct{}, p.cfg.MaxConnections),
		ctx:     ctx,
		cancel:  cancel,
	}
}

func unaryTransport(cfg engine.Config, d *dialer) *http.Transport {
	t := baseTransport(d)
	t.MaxIdleConnsPerHost = cfg.MaxConnections
	t.IdleConnTimeout = cfg.IdleTimeout
	return t
}

func streamTransport(d *dialer) *http.Transport {
	t := baseTransport(d)
	t.DisableKeepAlives = true
	return t
}

// carriedTransport is for what is forwarded and may be large. Its connections are few, so
// their buffers may be: an engine's chunks are 32 KiB, and go by twos and not in pieces of
// 4 KiB.
func carriedTransport(d *dialer) *http.Transport {
	t := streamTransport(d)
	t.ReadBufferSize, t.WriteBufferSize = 64<<10, 64<<10
	return t
}

// baseTransport has no Proxy, which means that the environment's is not used.
func baseTransport(d *dialer) *http.Transport {
	return &http.Transport{
		DialContext:            d.DialContext,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
	}
}
