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
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/remotecommand"
	"github.com/dockercontrol/dockercontrol/internal/proxy/wsock"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// terminal is a connection to a session as the remote-command subprotocol wants it.
type terminal struct {
	client *stream.ExecClient
	exec   stream.ExecOptions
	// news are told to clients that can come back.
	news   bool
	told   bool
	waits  stream.ExecOutput // what comes after the news
	behind bool              // there is such
}

// news is what channel 5 says before output that begins at Offset of all there was.
type news struct {
	Session string `json:"session"`
	Offset  int64  `json:"offset"`
	// Skipped is how many bytes before Offset are no longer kept.
	Skipped int64 `json:"skipped"`
}

// Write implements remotecommand.Session.
func (t *terminal) Write(ctx context.Context, p []byte) error { return t.client.Write(ctx, p) }

// CloseStdin implements remotecommand.Session.
func (t *terminal) CloseStdin() error {
	t.client.CloseStdin()
	return nil
}

// Resize implements remotecommand.Session.
func (t *terminal) Resize(size engine.TTYSize) error { return t.client.Resize(size) }

// Output implements remotecommand.Session.
func (t *terminal) Output(ctx context.Context) (channel byte, data []byte, err error) {
	if t.news && !t.told {
		t.told = true
		return t.tell(t.client.Offset(), 0)
	}
	out := t.waits
	if t.behind {
		t.behind, t.waits = false, stream.ExecOutput{}
	} else {
		if out, err = t.client.Read(ctx); err != nil {
			return 0, nil, t.end(err)
		}
		if t.news && out.Skipped > 0 {
			t.behind, t.waits = true, out
			return t.tell(out.Offset-int64(len(out.Data)), out.Skipped)
		}
	}
	if out.Stream == stream.Stderr {
		return remotecommand.Stderr, out.Data, nil
	}
	return remotecommand.Stdout, out.Data, nil
}

func (t *terminal) tell(offset, skipped int64) (channel byte, data []byte, err error) {
	data, err = json.Marshal(news{Session: t.client.Session().Info().ID, Offset: offset, Skipped: skipped})
	return remotecommand.News, data, err
}

// end is what a client is told of a session that goes on without it, or has ended.
func (t *terminal) end(err error) error {
	if errors.Is(err, stream.ErrReplaced) {
		return errTakenOver
	}
	result, ended := t.client.Session().Result()
	if !errors.Is(err, io.EOF) || !ended {
		return err
	}
	code, text := wsock.Policy, ""
	switch result.Reason {
	case stream.ExecExited, stream.ExecGone:
		return io.EOF // by its process: the exit code says how
	case stream.ExecIdle:
		text = fmt.Sprintf("the session was ended: nothing came or went for %s (--exec-idle-timeout)", t.exec.Idle)
	case stream.ExecTotalLimit:
		text = fmt.Sprintf("the session was ended: it took %s, which is the most (--exec-max-duration)", t.exec.Total)
	case stream.ExecShutdown:
		return errSessionStopped
	case stream.ExecRevoked:
		text = "the session was ended: the right to it was revoked, or the credentials have ended"
	case stream.ExecDetached:
		text = "the engine closed the container's streams; the container runs on"
	case stream.ExecLost:
		code, text = wsock.ServerError, "the connection to the engine broke; the process was ended where that could be done"
	case stream.ExecClosed, stream.ExecVanished, stream.ExecFailed:
		text = "the session was ended, as its client had left"
	}
	return &remotecommand.CloseError{Code: code, Message: text}
}

// ExitCode implements remotecommand.Session.
func (t *terminal) ExitCode() (code int, ok bool) {
	result, _ := t.client.Session().Result()
	if result.ExitCode == nil {
		return 0, false
	}
	return *result.ExitCode, true
}
