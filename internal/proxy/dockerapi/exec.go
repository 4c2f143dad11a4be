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

package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
)

// maxExecAnswer bounds the answer to an exec's creation, which holds an id.
const maxExecAnswer = 64 << 10

// judgeExec looks into what a path does not tell of an exec: whether it is privileged,
// and whose it is.
func (x *exchange) judgeExec(ctx context.Context) error {
	switch {
	case x.req.ExecID:
		if err := x.openExecID(); err != nil {
			return err
		}
		return x.learnExec(ctx)
	case x.req.ExecCreate:
		return x.judgeExecCreate(ctx)
	}
	return nil
}

// openExecID puts the engine's id in place of the signed one. An id of another caller, or
// one that the engine itself told, is as unknown as one that never was.
func (x *exchange) openExecID() error {
	for _, key := range x.h.Keys.All() {
		if id, ok := access.Open(key, x.caller.User.GetName(), string(x.state.UID), x.req.Object); ok {
			x.req = x.req.WithObject(id)
			return nil
		}
	}
	return apistatus.NotFound("No such exec instance: you did not create it here; an exec is its creator's alone")
}

func (x *exchange) judgeExecCreate(ctx context.Context) error {
	x.bodyDeadline()
	body, err := io.ReadAll(limit.Reader(x.w, x.r.Body, access.MaxExecCreateBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return apistatus.New(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the exec's description is longer than %d bytes", access.MaxExecCreateBody)
	case err != nil:
		return apistatus.BadRequest("the body ended before its end")
	}
	privileged, err := access.ExecCreateNeedsAdmin(body)
	if err != nil {
		return apistatus.BadRequest("%s", err.Error())
	}
	x.body = body
	var described struct{ Cmd, Env []string }
	if json.Unmarshal(body, &described) == nil { // else the engine refuses it
		x.detail.Command = described.Cmd
		for _, variable := range described.Env {
			name, _, _ := strings.Cut(variable, "=")
			x.detail.EnvNames = append(x.detail.EnvNames, name)
		}
	}
	if !privileged {
		return nil
	}
	return x.need(ctx, access.PrivilegedExec)
}

// signExec answers an exec's creation with an id that only its creator can use.
func (x *exchange) signExec(resp *http.Response) error {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxExecAnswer+1))
	if err != nil {
		return err
	}
	var answer struct{ ID string }
	if len(raw) > maxExecAnswer || json.Unmarshal(raw, &answer) != nil || answer.ID == "" {
		return apistatus.New(http.StatusBadGateway, "InternalError", "the engine did not answer with the id of an exec")
	}
	answer.ID = access.Sign(x.h.Keys.All()[0], x.caller.User.GetName(), string(x.state.UID), answer.ID)
	x.begin(resp)
	x.w.Header().Del("Content-Length")
	x.begun, x.whole = true, true
	x.w.WriteHeader(resp.StatusCode)
	return json.NewEncoder(x.w).Encode(map[string]string{"Id": answer.ID})
}

const startExec = "POST /exec/{name}/start"

// learnExec asks what an exec that is about to be started is, for the record.
func (x *exchange) learnExec(ctx context.Context) error {
	if x.req.Operation != startExec {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, execPatience)
	defer cancel()
	is, err := x.engine.ExecInspect(ctx, x.req.Object)
	if err != nil {
		return apistatus.FromEngine(err)
	}
	x.execIn = is.ContainerID
	if p := is.ProcessConfig; p != nil {
		x.detail.Command = append([]string{p.Entrypoint}, p.Arguments...)
	}
	return nil
}

const (
	// execPatience bounds what is asked about an exec, and how long its exit code is
	// waited for: an engine knows it some milliseconds after the output has ended.
	execPatience = 2 * time.Second
	execPoll     = 20 * time.Millisecond
)

// finishExec learns the exit code of an exec whose output has ended. A client that left,
// or a process that outlives its output, leaves it unknown.
func (x *exchange) finishExec(ctx context.Context) {
	if x.execIn == "" || !x.hijacked || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, execPatience)
	defer cancel()
	ticker := time.NewTicker(execPoll)
	defer ticker.Stop()
	for {
		is, err := x.engine.ExecInspect(ctx, x.req.Object)
		if err != nil {
			return
		}
		if !is.Running {
			x.detail.ExitCode = is.ExitCode
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
