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

package streamapi

import (
	"context"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/wsock"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

var attachRight = access.Right{Subresource: access.Attach, Verb: access.Create}

// serveAttach connects to a container's own streams, or comes back to them.
func (h *Handler) serveAttach(c *call) error {
	q, err := parseAttachQuery(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	if err := wsock.Check(c.r, sessionProtocols); err != nil {
		return err
	}
	s := &session{
		h: h, call: c, kind: metrics.Attach, reattachable: q.reattach,
		rights: []authz.Right{{Host: c.at.Key(), Right: attachRight}},
	}
	if q.session != "" {
		return s.comeBack(q)
	}
	return s.serve(func(ctx context.Context, in container) (*stream.ExecClient, error) {
		return h.sessions.Attach(ctx, stream.AttachRequest{
			Host: c.at.Key(), Container: in.id, Owner: owner(c.who.User),
			Stdin: q.stdin, Stdout: q.stdout, Stderr: q.stderr, Logs: q.logs, Size: q.size,
			Reattachable: q.reattach, Hooks: s.hooks(),
		})
	})
}
