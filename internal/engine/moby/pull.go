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
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// authHeader carries the credentials for a registry.
const authHeader = "X-Registry-Auth"

// ImagePull begins a pull. It has no deadline but ctx's, the first answer included: an
// engine asks the registry before it gives one.
func (c *client) ImagePull(ctx context.Context, opts engine.PullOptions) (engine.PullStream, error) {
	if opts.Name == "" || opts.Tag == "" {
		return nil, engine.Errorf(engine.ClassInvalid, "", "a pull names a repository and a tag or digest")
	}
	query := url.Values{"fromImage": {opts.Name}, "tag": {opts.Tag}}
	if opts.Platform != "" {
		query.Set("platform", opts.Platform)
	}
	ctx, cancel := c.streamContext(ctx)
	req, err := c.newRequest(ctx, http.MethodPost, "/images/create", query, nil)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	if opts.RegistryAuth != "" {
		req.Header.Set(authHeader, opts.RegistryAuth)
	}
	resp, err := c.streamCalls().RoundTrip(req) //nolint:bodyclose // the stream's Close does it
	if err != nil {
		cancel(nil)
		return nil, registryError(err)
	}
	s := &stream{Reader: resp.Body, header: resp.Header, body: resp.Body, cancel: cancel}
	return pullStream{newJSONStream(c.name, s)}, nil
}

type pullStream struct{ jsonStream }

// Next implements engine.PullStream.
func (s pullStream) Next() (engine.PullProgress, error) {
	raw, err := s.next()
	if err != nil {
		return engine.PullProgress{}, err
	}
	p, failure, err := engine.ParsePullProgress(raw)
	if err != nil {
		return engine.PullProgress{}, notDocker(s.name, s.header, err)
	}
	if failure != "" {
		return engine.PullProgress{}, registryError(fail(engine.ClassServer, engine.CauseEngineError, nil, "the engine says: %s", stable(failure)))
	}
	return p, nil
}

// Parts of the messages by which engines repeat what a registry answered: dockerd's
// own store, containerd's, Podman's.
var (
	registryRefuses = []string{"unauthorized", "authentication required", "denied", "no basic auth credentials", "403 forbidden"}
	registryLacks   = []string{"manifest unknown", "not found", "name unknown", "no matching manifest"}
)

// registryError gives a failure the class of what the registry said. An engine's own
// refusal keeps its class.
func registryError(err error) error {
	var e *engine.Error
	if !errors.As(err, &e) || errors.Is(err, io.EOF) {
		return err
	}
	switch e.Class {
	case engine.ClassServer, engine.ClassNotFound, engine.ClassAuth:
	default:
		return err
	}
	message := strings.ToLower(e.Message)
	switch {
	case containsAny(message, registryRefuses):
		return fail(engine.ClassAuth, engine.CauseRegistryDenied, e.Err, "%s", e.Message)
	case containsAny(message, registryLacks):
		return fail(engine.ClassNotFound, "", e.Err, "%s", e.Message)
	}
	return err
}
