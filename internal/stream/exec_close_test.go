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

package stream

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestExecClose(t *testing.T) { synctest.Test(t, execClose) }

func execClose(t *testing.T) {
	f := newFakeExec(t)
	f.answerKeys(3, 1)
	b := newExecBed(t, hostsOf{f}, ExecOptions{})
	b.start(ExecRequest{TTY: true, Stdin: true})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b.ExecSessions.Close(ctx)
	if res := b.result(); res.Reason != ExecShutdown || res.ExitCode == nil {
		t.Errorf("it ended as %+v", res)
	}
	stuck := newFakeExec(t)
	stuck.kill = func() error { return nil } // has no effect
	b = newExecBed(t, hostsOf{stuck}, ExecOptions{})
	b.start(ExecRequest{TTY: true, Stdin: true})
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	b.ExecSessions.Close(ctx)
	if res := b.result(); res.Reason != ExecShutdown || res.Leftover == nil {
		t.Errorf("a process that does not end ended as %+v", res)
	}
}

// TestExecCloseWhileStarting: what has begun to start is ended too, before Close returns.
func TestExecCloseWhileStarting(t *testing.T) {
	for name, patient := range map[string]bool{"in time": true, "too late": false} {
		t.Run(name, func(t *testing.T) {
			f := newFakeExec(t)
			f.answerKeys(3, 1)
			b := newExecBed(t, hostsOf{f}, ExecOptions{})
			starting, proceed := make(chan struct{}), make(chan struct{})
			var ended atomic.Int32
			req := ExecRequest{Host: hostOne, Container: "c", Owner: "alice", Command: []string{"sh"}, TTY: true, Stdin: true, Stdout: true, Hooks: ExecHooks{
				Start: func(ctx context.Context, _ ExecInfo) error {
					close(starting)
					if !patient {
						<-ctx.Done() // nothing else would end it
						return ctx.Err()
					}
					<-proceed
					return nil
				},
				Ended: func(ExecInfo, ExecResult) { ended.Add(1) },
			}}
			started := make(chan error, 1)
			go func() {
				_, err := b.Start(context.Background(), req)
				started <- err
			}()
			<-starting
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				b.ExecSessions.Close(ctx)
			}()
			if !patient {
				cancel()
				<-closed
				if err := <-started; !errors.Is(err, context.Canceled) {
					t.Errorf("the start gives %v", err)
				}
				return
			}
			select {
			case <-closed:
				t.Error("the close did not wait")
			case <-time.After(200 * time.Millisecond): // nothing happens
			}
			close(proceed)
			<-closed
			if err := <-started; err != nil || ended.Load() != 1 {
				t.Errorf("the start gives %v, and %d ends", err, ended.Load())
			}
		})
	}
}
