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
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/wsock"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

var execRight = access.Right{Subresource: access.Exec, Verb: access.Create}

// serveExec runs a command in a container, or comes back to one.
func (h *Handler) serveExec(c *call) error {
	q, err := parseExecQuery(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	rights := []authz.Right{{Host: c.at.Key(), Right: execRight}}
	if q.privileged {
		if err := c.authorize(c.r.Context(), c.at.Key(), access.PrivilegedExec); err != nil {
			return err
		}
		rights = append(rights, authz.Right{Host: c.at.Key(), Right: access.PrivilegedExec})
	}
	if err := wsock.Check(c.r, sessionProtocols); err != nil {
		return err
	}
	s := &session{h: h, call: c, kind: metrics.Exec, rights: rights, reattachable: q.reattach}
	if q.session != "" {
		return s.comeBack(q)
	}
	s.detail = &audit.Detail{Command: q.command, EnvNames: envNames(q.env)}
	return s.serve(func(ctx context.Context, in container) (*stream.ExecClient, error) {
		return h.sessions.Start(ctx, stream.ExecRequest{
			Host: c.at.Key(), Container: in.id, Owner: owner(c.who.User), Command: q.command, Env: q.env, WorkingDir: q.workingDir, User: q.user,
			Privileged: q.privileged, TTY: q.tty, Stdin: q.stdin, Stdout: q.stdout, Stderr: q.stderr, Size: q.size,
			Reattachable: q.reattach, Hooks: s.hooks(),
		})
	})
}

func envNames(env []string) []string {
	var names []string
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		names = append(names, name)
	}
	return names
}
