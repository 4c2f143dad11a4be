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
	"encoding/json"
	"net/http"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (r *realEngine) testAttach(b *execBed, _ string) {
	var created struct{ ID string }
	answer := r.Call(b, http.MethodPost, "/containers/create", map[string]any{
		"Image": busybox, "Cmd": []string{"sh"}, "Tty": true, "OpenStdin": true, "StopSignal": "SIGKILL",
	})
	if err := json.Unmarshal(answer, &created); err != nil {
		b.Fatal(err)
	}
	req := AttachRequest{
		Host: hostOne, Container: created.ID, Owner: "alice", Stdin: true, Stdout: true, Size: engine.TTYSize{Height: 30, Width: 90},
		Hooks: ExecHooks{Ended: func(_ ExecInfo, res ExecResult) { b.ended <- res }},
	}
	if _, err := b.Attach(b.Context(), req); !engine.IsConflict(err) {
		b.Errorf("attaching to what is not started gives %v", err)
	}
	r.Call(b, http.MethodPost, "/containers/"+created.ID+"/start", nil)
	c, err := b.Attach(b.Context(), req)
	if err != nil {
		b.Fatal(err)
	}
	b.sizeBecomes(c, "30 90")
	c.Close()
	if res := b.result(); res.Reason != ExecVanished || res.Leftover != nil {
		b.Errorf("it ended as %+v", res)
	}
	c, err = b.Attach(b.Context(), req) // the container runs on
	if err != nil {
		b.Fatal(err)
	}
	b.write(c, "exit 5\n")
	_, _, _ = b.output(c)
	if res := b.result(); res.ExitCode == nil || *res.ExitCode != 5 || res.Reason != ExecExited {
		b.Errorf("it ended as %+v", res)
	}
	id := r.RunContainer(b, "closed", busybox, "sleep", "100000")
	defer r.RemoveContainer(b, id)
	req.Container = id
	if _, err := b.Attach(b.Context(), req); !engine.IsConflict(err) {
		b.Errorf("attaching to a stdin that is not open gives %v", err)
	}
}
