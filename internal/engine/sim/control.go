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

	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Control serves a small HTTP API that changes a fleet while it runs. A host is
// four digits; {hosts} is one, or a range of them like 0000-0099.
//
//	GET    /hosts                                 how many there are
//	GET    /hosts/{host}                          its name, engine ID, socket and fault
//	GET    /hosts/{hosts}/calls                   how often each part of their API was asked for
//	PUT    /hosts/{hosts}/fault                   set a Fault, as JSON
//	DELETE /hosts/{hosts}/fault                   nothing is wrong any more
//	POST   /hosts/{hosts}/cut                     close every connection
//	POST   /hosts/{hosts}/restart                 {"off": "1s", "seed": ""}: stop, and start again
//	POST   /hosts/{host}/containers               {"name": "", "image": "", "cmd": []}: create
//	POST   /hosts/{host}/containers/{id}/{action} start, stop, restart, kill, pause, unpause, remove
//
// What is done to a container is answered with {"id", "action", "time",
// "timeNano"}: when the engine says that it happened.
func (f *Fleet) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hosts", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]int{"hosts": f.Hosts()})
	})
	mux.HandleFunc("GET /hosts/{hosts}", f.controlHost)
	mux.HandleFunc("GET /hosts/{hosts}/calls", f.controlCalls)
	mux.HandleFunc("PUT /hosts/{hosts}/fault", f.controlFault)
	mux.HandleFunc("DELETE /hosts/{hosts}/fault", f.each(func(e *Engine, _ *http.Request) error { return e.SetFault(Fault{}) }))
	mux.HandleFunc("POST /hosts/{hosts}/cut", f.each(func(e *Engine, _ *http.Request) error {
		e.Cut()
		return nil
	}))
	mux.HandleFunc("POST /hosts/{hosts}/restart", f.controlRestart)
	mux.HandleFunc("POST /hosts/{hosts}/containers", f.controlCreate)
	mux.HandleFunc("POST /hosts/{hosts}/containers/{id}/{action}", f.controlAction)
	return mux
}

// controlLimit bounds the bodies of the control API.
const controlLimit = 64 << 10

func controlBody(r *http.Request, v any) error {
	err := json.NewDecoder(io.LimitReader(r.Body, controlLimit)).Decode(v)
	if err != nil && err != io.EOF {
		return errorf(http.StatusBadRequest, "body: %v", err)
	}
	return nil
}

// hosts are the engines that a path names.
func (f *Fleet) hosts(r *http.Request) ([]*Engine, error) {
	from, to, ranged := strings.Cut(r.PathValue("hosts"), "-")
	if !ranged {
		to = from
	}
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	if errA != nil || errB != nil || a < 0 || b < a || b >= len(f.engines) {
		return nil, errorf(http.StatusNotFound, "hosts %q are not among 0000 to %s", r.PathValue("hosts"), hostName(len(f.engines)-1))
	}
	return f.engines[a : b+1], nil
}

func (f *Fleet) host(r *http.Request) (*Engine, error) {
	all, err := f.hosts(r)
	if err == nil && len(all) != 1 {
		err = errorf(http.StatusBadRequest, "this takes one host, not a range")
	}
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// each makes a handler of what is done to every host of the path.
func (f *Fleet) each(do func(*Engine, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		all, err := f.hosts(r)
		for i := 0; err == nil && i < len(all); i++ {
			if err = do(all[i], r); err != nil {
				err = errorf(http.StatusBadRequest, "%v", err)
			}
		}
		if err != nil {
			writeError(w, "", err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (f *Fleet) controlHost(w http.ResponseWriter, r *http.Request) {
	e, err := f.host(r)
	if err != nil {
		writeError(w, "", err)
		return
	}
	n, _ := strconv.Atoi(r.PathValue("hosts"))
	writeJSON(w, http.StatusOK, struct {
		Name   string `json:"name"`
		ID     string `json:"id"`
		Socket string `json:"socket"`
		Fault  Fault  `json:"fault"`
	}{e.opts.Name, e.ID(), f.Path(n), e.Fault()})
}

func (f *Fleet) controlCalls(w http.ResponseWriter, r *http.Request) {
	all, err := f.hosts(r)
	if err != nil {
		writeError(w, "", err)
		return
	}
	sum := map[string]int64{}
	for _, e := range all {
		for pattern, n := range e.Calls() {
			sum[pattern] += n
		}
	}
	writeJSON(w, http.StatusOK, sum)
}

func (f *Fleet) controlFault(w http.ResponseWriter, r *http.Request) {
	var fault Fault
	if err := controlBody(r, &fault); err != nil {
		writeError(w, "", err)
		return
	}
	f.each(func(e *Engine, _ *http.Request) error { return e.SetFault(fault) })(w, r)
}

func (f *Fleet) controlRestart(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Off  Duration `json:"off"`
		Seed string   `json:"seed"`
	}
	if err := controlBody(r, &body); err != nil {
		writeError(w, "", err)
		return
	}
	all, err := f.hosts(r)
	if err != nil {
		writeError(w, "", err)
		return
	}
	failed := make(chan error, len(all))
	for _, e := range all {
		go func() { failed <- e.Restart(r.Context(), time.Duration(body.Off), body.Seed) }()
	}
	for range all {
		if e := <-failed; e != nil && err == nil {
			err = e
		}
	}
	if err != nil {
		writeError(w, "", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (f *Fleet) controlCreate(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name  string   `json:"name"`
		Image string   `json:"image"`
		Cmd   []string `json:"cmd"`
	}
	if err := controlBody(r, &body); err != nil {
		writeError(w, "", err)
		return
	}
	f.act(w, r, "create", body.Name, body.Image, body.Cmd)
}

func (f *Fleet) controlAction(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("action") == "create" {
		writeError(w, "", errorf(http.StatusNotFound, "a container is created by POST /hosts/{host}/containers"))
		return
	}
	f.act(w, r, r.PathValue("action"), r.PathValue("id"), "", nil)
}

func (f *Fleet) act(w http.ResponseWriter, r *http.Request, action, ref, image string, cmd []string) {
	e, err := f.host(r)
	if err != nil {
		writeError(w, "", err)
		return
	}
	id, at, err := e.Do(action, ref, image, cmd)
	if statusOf(err) == http.StatusNotModified {
		err = errorf(http.StatusConflict, "container %s is running already", ref)
	}
	if err != nil {
		writeError(w, "", err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		ID       string    `json:"id"`
		Action   string    `json:"action"`
		Time     time.Time `json:"time"`
		TimeNano int64     `json:"timeNano"`
	}{id, action, at, at.UnixNano()})
}
