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
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Ping asks /_ping and keeps the negotiated API version in step with the answer.
func (c *client) Ping(ctx context.Context) (engine.Ping, error) {
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	return c.ping(ctx)
}

func (c *client) ping(ctx context.Context) (engine.Ping, error) {
	start := time.Now()
	h, err := c.pingHeader(ctx)
	if err != nil {
		return engine.Ping{}, err
	}
	state, role, _ := strings.Cut(h.Get("Swarm"), "/")
	p := engine.Ping{
		APIVersion:       h.Get("Api-Version"),
		OSType:           printable(h.Get("Ostype"), 100),
		SwarmState:       printable(state, 100),
		ControlAvailable: role == "manager",
		Latency:          time.Since(start),
	}
	return p, c.negotiate(ctx, p.APIVersion)
}

// pingHeader returns the header of a ping. Engines that know no HEAD, and what is
// no engine, are asked again with GET.
func (c *client) pingHeader(ctx context.Context) (http.Header, error) {
	h, _, err := c.pingOnce(ctx, http.MethodHead)
	switch engine.ClassOf(err) {
	case engine.ClassUnreachable, engine.ClassTimeout, engine.ClassCanceled, engine.ClassAuth, engine.ClassForbidden:
		return nil, err
	}
	if err == nil && h.Get("Api-Version") != "" {
		return h, nil
	}
	h, text, err := c.pingOnce(ctx, http.MethodGet)
	switch class := engine.ClassOf(err); {
	case class == engine.ClassNotFound || class == engine.ClassInvalid:
		return nil, notDocker(c.name, h, err)
	case err != nil:
		return nil, err
	case h.Get("Api-Version") != "":
		return h, nil
	case text != "OK":
		return nil, notDocker(c.name, h, nil)
	}
	// An engine, but its header got lost on the way, or it is from before 2016.
	var v engine.Version
	if err := c.rawGet(ctx, "/version", &v); err != nil {
		return nil, err
	}
	h.Set("Api-Version", v.APIVersion)
	return h, nil
}

func (c *client) pingOnce(ctx context.Context, method string) (http.Header, string, error) {
	req, err := c.newRawRequest(ctx, method, "/_ping", nil, nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := c.upkeepCalls(maxErrorBody).RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	defer drain(resp.Body)
	text, err := io.ReadAll(io.LimitReader(resp.Body, 100))
	return resp.Header, strings.TrimSpace(string(text)), err
}

// rawGet is a GET without an API version in the path.
func (c *client) rawGet(ctx context.Context, path string, out any) error {
	req, err := c.newRawRequest(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	return c.roundTrip(c.upkeepCalls(maxBodyBytes), req, out)
}

// upkeepGet is get for what is asked to watch the engine.
func (c *client) upkeepGet(ctx context.Context, path string, out any) error {
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	req, err := c.newRequest(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	return c.roundTrip(c.upkeepCalls(maxBodyBytes), req, out)
}

var versionSyntax = regexp.MustCompile(`^[0-9]{1,4}\.[0-9]{1,4}$`)

// negotiate settles on the newest API version that both sides speak.
func (c *client) negotiate(ctx context.Context, server string) error {
	if !versionSyntax.MatchString(server) {
		return notDocker(c.name, nil, nil)
	}
	if engine.CompareAPIVersions(server, engine.MinAPIVersion) < 0 {
		return engine.Errorf(engine.ClassServer, engine.CauseAPIVersion,
			"the engine at %s speaks API %s at most; at least %s is needed: upgrade it to Docker 19.03 or later", c.name, server, engine.MinAPIVersion)
	}
	version := server
	if engine.CompareAPIVersions(server, engine.MaxAPIVersion) > 0 {
		version = engine.MaxAPIVersion
	}
	if a := c.api.Load(); a != nil && a.version == version {
		return nil
	}
	if version != server {
		if err := c.checkMinimum(ctx); err != nil {
			return err
		}
	}
	c.api.Store(&api{version: version})
	return nil
}

// checkMinimum asks a newer engine whether it still speaks our newest version.
func (c *client) checkMinimum(ctx context.Context) error {
	var v engine.Version
	if err := c.rawGet(ctx, "/version", &v); err != nil {
		return err
	}
	if engine.CompareAPIVersions(v.MinAPIVersion, engine.MaxAPIVersion) > 0 {
		return apiTooNew(c.name)
	}
	return nil
}

// negotiated returns what was negotiated, pinging first where nothing was.
func (c *client) negotiated(ctx context.Context) (*api, error) {
	if a := c.api.Load(); a != nil {
		return a, nil
	}
	if _, err := c.ping(ctx); err != nil {
		return nil, err
	}
	return c.api.Load(), nil
}

// apiVersion is the version that negotiated agreed on.
func (c *client) apiVersion(ctx context.Context) (string, error) {
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	a, err := c.negotiated(ctx)
	if err != nil {
		return "", err
	}
	return a.version, nil
}

// Version returns /version.
func (c *client) Version(ctx context.Context) (engine.Version, error) {
	var v engine.Version
	if err := c.upkeepGet(ctx, "/version", &v); err != nil {
		return engine.Version{}, err
	}
	if v.APIVersion == "" {
		return engine.Version{}, notDocker(c.name, nil, nil)
	}
	return v, nil
}

// Info returns the project's part of /info.
func (c *client) Info(ctx context.Context) (engine.Info, error) {
	var i engine.Info
	if err := c.upkeepGet(ctx, "/info", &i); err != nil {
		return engine.Info{}, err
	}
	return i, nil
}
