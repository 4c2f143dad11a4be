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

// CheckCredentials judges cfg's credentials at time now without dialling.
func (Connector) CheckCredentials(cfg engine.Config, now time.Time) (engine.CredentialInfo, error) {
	switch {
	case cfg.Endpoint.Scheme == engine.SchemeTCP && cfg.TLS != nil:
		creds, err := parseTLS(cfg.TLS)
		if err != nil {
			return engine.CredentialInfo{}, err
		}
		return creds.info(), creds.check(now)
	case cfg.Endpoint.Scheme == engine.SchemeSSH:
		creds, err := parseSSH(cfg.SSH)
		if err != nil {
			return engine.CredentialInfo{}, err
		}
		return creds.info(), nil
	}
	return engine.CredentialInfo{}, nil
}

// Open makes an Engine for cfg without dialling. It fails where the credentials
// cannot be parsed or the endpoint has no known scheme.
func (Connector) Open(cfg engine.Config) (engine.Engine, error) {
	if cfg.MaxConnections <= 0 {
		cfg.MaxConnections = defaultMaxConnections
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = defaultIdleTimeout
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithCancel(context.Background())
	d, err := newDialer(ctx, cfg)
	if err != nil {
		cancel()
		return nil, err
	}
	return &client{
		name:    cfg.Endpoint.String(),
		timeout: cfg.Timeout,
		dialer:  d,
		unary:   unaryTransport(cfg, d),
		streams: streamTransport(d),
		ctx:     ctx,
		cancel:  cancel,
	}, nil
}

func unaryTransport(cfg engine.Config, d *dialer) *http.Transport {
	t := baseTransport(d)
	t.MaxConnsPerHost = cfg.MaxConnections
	t.MaxIdleConnsPerHost = cfg.MaxConnections
	t.IdleConnTimeout = cfg.IdleTimeout
	return t
}

func streamTransport(d *dialer) *http.Transport {
	t := baseTransport(d)
	t.DisableKeepAlives = true
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
