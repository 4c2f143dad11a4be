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

package hostcachetest

import (
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Connector is a fake engine.Connector.
type Connector struct {
	mu               sync.Mutex
	engines          map[string]*Engine
	check            func(engine.Config, time.Time) (engine.CredentialInfo, error)
	checks, prepares int
}

var _ engine.Connector = &Connector{}

// NewConnector makes a Connector that knows no engine: what is not added refuses
// connections.
func NewConnector() *Connector { return &Connector{engines: map[string]*Engine{}} }

// Add makes an engine at an endpoint, which must be valid.
func (c *Connector) Add(endpoint string) *Engine {
	ep := MustParse(endpoint)
	c.mu.Lock()
	defer c.mu.Unlock()
	e := newEngine(ep.String())
	c.engines[ep.String()] = e
	return e
}

// OnCheck replaces the judgement of credentials, which otherwise finds all good.
func (c *Connector) OnCheck(check func(engine.Config, time.Time) (engine.CredentialInfo, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.check = check
}

// Checks returns how often credentials were judged.
func (c *Connector) Checks() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.checks
}

// Prepares returns how often credentials were read.
func (c *Connector) Prepares() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.prepares
}

// Prepare implements engine.Connector.
func (c *Connector) Prepare(cfg engine.Config) (engine.Prepared, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.prepares++
	return prepared{c: c, cfg: cfg}, nil
}

type prepared struct {
	c   *Connector
	cfg engine.Config
}

// CheckCredentials implements engine.Prepared.
func (p prepared) CheckCredentials(now time.Time) (engine.CredentialInfo, error) {
	p.c.mu.Lock()
	check := p.c.check
	p.c.checks++
	p.c.mu.Unlock()
	if check == nil {
		return engine.CredentialInfo{}, nil
	}
	return check(p.cfg, now)
}

// Open implements engine.Prepared.
func (p prepared) Open() engine.Engine {
	p.c.mu.Lock()
	e := p.c.engines[p.cfg.Endpoint.String()]
	p.c.mu.Unlock()
	if e == nil {
		e = newEngine(p.cfg.Endpoint.String())
		e.Fail(All, Refused())
	}
	return e.open(p.cfg)
}

// MustParse parses an endpoint or panics.
func MustParse(endpoint string) engine.Endpoint {
	ep, err := engine.ParseEndpoint(endpoint)
	if err != nil {
		panic(err)
	}
	return ep
}

// Refused is the error of an engine that is not there.
func Refused() *engine.Error {
	return engine.Errorf(engine.ClassUnreachable, engine.CauseDialFailed, "connection refused")
}
