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
	"context"
	"net/http"
	"strconv"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// Types of jobs.
const (
	jobPull     = "ImagePull"
	jobRecreate = "ContainerRecreate"
	jobPrune    = "Prune"
)

// submit begins a job. It answers when the intention is on record: 202 and the job, or
// with ?wait=true the job's states until its end.
func (c *call) submit(typ, object string, run func(ctx context.Context, p *jobs.Progress) (any, error)) error {
	record := c.record(object)
	begun := make(chan struct{})
	a := c.a
	job, err := a.opts.Jobs.Submit(jobs.Spec{
		Type: typ, Host: c.route.Key(), Object: object, User: c.who.User.GetName(), UID: c.who.User.GetUID(), Rights: c.rights,
		Run: func(ctx context.Context, p *jobs.Progress) (result any, err error) {
			err = audit.Do(ctx, a.opts.Recorder, record, func(ctx context.Context) (err error) {
				close(begun)
				result, err = run(ctx, p)
				return err
			})
			// Where the job's context has ended, the job knows why an engine's call failed.
			return result, explained(err)
		},
	})
	if err != nil {
		return err
	}
	select {
	case <-begun:
	case <-job.Done():
		select {
		case <-begun:
		default:
			return job.Err() // the intention could not be recorded
		}
	}
	c.w.Header().Set("Location", c.jobPath(job.ID()))
	if wait, _ := strconv.ParseBool(c.r.URL.Query().Get("wait")); wait {
		a.jobs.Watch(c.w, c.r, c.who, job)
		return nil
	}
	v, _ := job.View()
	apistatus.WriteJSON(c.w, http.StatusAccepted, v)
	return nil
}

// live gives a job the host's engine anew for each call: a connection that was lost and
// found again is another one.
type live struct {
	hosts Hosts
	key   hostcache.Key
}

func (l live) engine() (engine.Engine, error) { return l.hosts.Engine(l.key) }

func (c *call) live() live { return live{c.a.opts.Hosts, c.route.Key()} }

func (c *call) jobPath(id string) string {
	return route.Prefix + "/namespaces/" + c.route.Namespace + "/" + access.Resource + "/" + c.route.Host + "/" + jobs.Segment + "/" + id
}
