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

package actions

import (
	"encoding/json"
	"net/http"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// inspects serves the engine's own JSON of one object. The operation is the pass-through's,
// which says how to mask it.
func inspects(operation string) func(*Actions, *call) error {
	return func(_ *Actions, c *call) error {
		if err := c.read(&none{}); err != nil {
			return err
		}
		raw, err := c.eng.Inspect(c.ctx, engine.Kind(c.route.Segment), c.route.Object)
		if err != nil {
			return err
		}
		return c.answer(operation, raw)
	}
}

func (a *Actions) history(c *call) error {
	if err := c.read(&none{}); err != nil {
		return err
	}
	raw, err := c.eng.ImageHistory(c.ctx, c.route.Object)
	if err != nil {
		return err
	}
	return c.answer("GET /images/{name}/history", raw)
}

func (a *Actions) top(c *call) error {
	var o struct {
		// PsArgs are those of ps on the host.
		PsArgs string `json:"psArgs"`
	}
	if err := c.read(&o); err != nil {
		return err
	}
	raw, err := c.eng.Top(c.ctx, c.route.Object, o.PsArgs)
	if err != nil {
		return err
	}
	c.write(raw)
	return nil
}

func (a *Actions) changes(c *call) error {
	if err := c.read(&none{}); err != nil {
		return err
	}
	raw, err := c.eng.Changes(c.ctx, c.route.Object)
	if err != nil {
		return err
	}
	if string(raw) == "null" {
		raw = json.RawMessage("[]")
	}
	c.write(raw)
	return nil
}

// answer writes the engine's JSON, masked for callers without inspect.
func (c *call) answer(operation string, raw json.RawMessage) error {
	full, err := c.a.opts.Authorizer.Allowed(c.ctx, c.who.User, c.route.Key(), access.Right{Subresource: access.Inspect, Verb: access.Get})
	if err != nil {
		return err
	}
	if !full {
		if c.a.opts.Masker == nil {
			return apistatus.Forbidden(c.who.User.GetName(), c.route.Key(), access.Right{Subresource: access.Inspect, Verb: access.Get})
		}
		if raw, err = c.a.opts.Masker.Mask(operation, raw); err != nil {
			return err
		}
	}
	c.write(raw)
	return nil
}

// write sends bytes that came from an engine: no browser may take them for a page.
func (c *call) write(raw []byte) {
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache, private")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(raw) // errors are the client's leaving
}
