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
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// ImageImport makes an image out of a tar. The upload has no deadline but ctx's.
func (c *client) ImageImport(ctx context.Context, ref string, tar io.Reader) error {
	ctx, cancel := c.streamContext(ctx)
	defer cancel(nil)
	// The tag stays in repo: Podman does not look at the parameter for it.
	query := url.Values{"fromSrc": {"-"}, "repo": {ref}}
	req, err := c.newRequest(ctx, http.MethodPost, "/images/create", query, nil)
	if err != nil {
		return err
	}
	req.Body = io.NopCloser(tar)
	req.ContentLength = -1
	req.Header.Set("Content-Type", "application/x-tar")
	resp, err := apiTransport{c: c, base: c.streams, limit: maxBodyBytes}.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return c.progressError(newJSONStream(c.name, &stream{Reader: resp.Body, header: resp.Header}))
}

// progressError reads progress to its end: an engine reports a failure in it,
// after a status of 200.
func (c *client) progressError(s jsonStream) error {
	for {
		raw, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var line struct{ Error string }
		if err := json.Unmarshal(raw, &line); err == nil && line.Error != "" {
			return fail(engine.ClassServer, engine.CauseEngineError, nil, "the engine says: %s", stable(line.Error))
		}
	}
}
