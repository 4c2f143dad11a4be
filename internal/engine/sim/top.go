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
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

// serveTop lists the container's processes as `ps -ef` does, or `ps aux` where
// the arguments say so.
func (e *Engine) serveTop(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	c, err := e.containers.get(r.name)
	if err == nil && !c.running() {
		err = e.notRunning(c)
	}
	if err != nil {
		e.mu.Unlock()
		return err
	}
	out := container.TopResponse{Titles: strings.Fields("UID PID PPID C STIME TTY TIME CMD")}
	aux := strings.Contains(r.query.Get("ps_args"), "aux")
	if aux {
		out.Titles = strings.Fields("USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND")
	}
	add := func(pid int, started int64, argv []string) {
		id, since, command := strconv.Itoa(pid), time.Unix(0, started).UTC().Format("15:04"), strings.Join(argv, " ")
		if aux {
			out.Processes = append(out.Processes, []string{"root", id, "0.0", "0.0", "2268", "1380", "?", "Ss", since, "0:00", command})
		} else {
			out.Processes = append(out.Processes, []string{"root", id, strconv.Itoa(c.state.pid - 1), "0", since, "?", "00:00:00", command})
		}
	}
	add(c.state.pid, c.state.startedAt, c.command())
	for _, x := range c.execs {
		if x.running {
			add(x.pid, c.state.startedAt, x.req.Cmd)
		}
	}
	e.emitContainer(c, events.ActionTop)
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
	return nil
}
