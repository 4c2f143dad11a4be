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

package sim

import (
	"encoding/json"
	"net/http"

	"github.com/moby/moby/api/types/container"
)

// waitJSON is a wait's answer as sent; engines before API 1.43 say that there is
// no error.
type waitJSON struct {
	Error      *container.WaitExitError
	StatusCode int64
}

func (e *Engine) serveWait(w http.ResponseWriter, r *request) error {
	condition := container.WaitCondition(r.query.Get("condition"))
	e.mu.Lock()
	c, err := e.containers.get(r.name)
	if err != nil {
		e.mu.Unlock()
		return err
	}
	// Taken now: what ends between the headers and the wait is not missed.
	end, removed, now := c.end(), (chan struct{})(nil), false
	switch condition {
	case container.WaitConditionRemoved:
		if c.removed == nil {
			c.removed = make(chan struct{})
		}
		removed = c.removed
	case container.WaitConditionNextExit:
	default:
		now = !c.running()
	}
	code, ok := c.state.exitCode, true
	e.mu.Unlock()
	out := newStream(w, "application/json")
	if !now {
		code, ok = e.await(r, c, end, removed, condition == container.WaitConditionNextExit)
	}
	if !ok {
		return nil
	}
	body, err := json.Marshal(waitJSON{StatusCode: int64(code)})
	if err == nil {
		_ = out.write(append(body, '\n'))
	}
	return nil
}

// await waits for the end of the run, or of the container where removed is set.
func (e *Engine) await(r *request, c *containerObject, end *runEnd, removed chan struct{}, next bool) (int, bool) {
	done := end.done
	if removed != nil {
		done = removed
	}
	for {
		select {
		case <-done:
		case <-r.Context().Done():
			return 0, false
		case <-e.ctx.Done():
			return 0, false
		}
		e.mu.Lock()
		code := c.state.exitCode
		restarting := c.state.status == container.StateRestarting
		if restarting {
			end = c.end()
		}
		e.mu.Unlock()
		if removed != nil {
			return code, true
		}
		if next || !restarting {
			return end.code, true
		}
		done = end.done
	}
}
