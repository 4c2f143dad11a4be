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
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/distribution/reference"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
)

// recreateOptions are the body of POST containers/{id}/recreate.
type recreateOptions struct {
	// Pull asks the registry for the newest image of the tag; true by default. Without it
	// the newest image on the host is taken.
	Pull *bool `json:"pull"`
	// PullSecret is as for images/pull.
	PullSecret string `json:"pullSecret"`
	// Force recreates a container whose image is the newest already.
	Force bool `json:"force"`
	// WatchSeconds is how long the new container must live before the old one goes.
	WatchSeconds *int `json:"watchSeconds"`
}

// RecreateResult is the result of a ContainerRecreate.
type RecreateResult struct {
	// Result is Recreated or Unchanged.
	Result    string `json:"result"`
	Container string `json:"container"`
	Name      string `json:"name"`
	Ref       string `json:"ref"`
	OldImage  string `json:"oldImage"`
	NewImage  string `json:"newImage"`
	// Health is the health check's word where there is one: healthy or starting.
	Health   string   `json:"health,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// RecreateProgress is the progress of a ContainerRecreate.
type RecreateProgress struct {
	// Phase is Pulling, Creating, Switching, Watching, Finishing or RollingBack.
	Phase string        `json:"phase"`
	Pull  *PullProgress `json:"pull,omitempty"`
}

// defaultTimes: 10 s see a program that fails at its start, and most that cannot reach
// what they need; a health check may take longer to begin with, but a job of minutes is
// no job to wait for.
var defaultTimes = times{poll: 250 * time.Millisecond, defaultWatch: 10 * time.Second, maxWatch: 5 * time.Minute, maxStarting: time.Minute}

func (a *Actions) recreate(c *call) error {
	var o recreateOptions
	if err := c.read(&o); err != nil {
		return err
	}
	watch := a.times.defaultWatch
	if o.WatchSeconds != nil {
		watch = time.Duration(*o.WatchSeconds) * time.Second
		if watch < 0 || watch > a.times.maxWatch {
			return apistatus.BadRequest("watchSeconds is a number from 0 to %d", int(a.times.maxWatch.Seconds()))
		}
	}
	x := &recreation{a: a, live: c.live(), record: c.record(""), id: c.route.Object, force: o.Force, watchFor: watch}
	if err := x.load(c.ctx); err != nil {
		return err
	}
	if o.Pull == nil || *o.Pull {
		if err := c.authorize(access.Right{Subresource: access.Images, Verb: access.Create}); err != nil {
			return err
		}
		p, err := c.puller(pullOptions{Ref: x.old.ref(), PullSecret: o.PullSecret})
		if err != nil {
			return err
		}
		x.puller = p
	} else if o.PullSecret != "" {
		return apistatus.BadRequest("pullSecret is for a pull, which pull: false says not to do")
	}
	return c.submit(jobRecreate, x.old.Name, func(ctx context.Context, p *jobs.Progress) (any, error) {
		x.progress = p
		result, err := x.run(ctx)
		if err != nil {
			return nil, err
		}
		return result, nil
	})
}

// recreation is one run.
type recreation struct {
	a        *Actions
	live     live
	record   audit.Record
	progress *jobs.Progress
	puller   *puller // nil without a pull
	force    bool
	watchFor time.Duration

	id     string
	old    *inspected
	began  time.Time // of the creation; zero before it
	newID  string
	result RecreateResult
}

// load reads the container and says why it cannot be recreated.
func (x *recreation) load(ctx context.Context) error {
	old, err := x.inspect(ctx, x.id)
	if err != nil {
		return err
	}
	if err := old.recreatable(); err != nil {
		return err
	}
	// From now on it is this very container, whatever has its name.
	x.old, x.id = old, old.ID
	return x.refuseDependents(ctx)
}

func (x *recreation) inspect(ctx context.Context, id string) (*inspected, error) {
	eng, err := x.live.engine()
	if err != nil {
		return nil, err
	}
	raw, err := eng.Inspect(ctx, engine.Containers, id)
	if err != nil {
		return nil, err
	}
	return parseContainer(raw)
}

// refuseDependents: containers that live in this one's network namespace would be cut off.
func (x *recreation) refuseDependents(ctx context.Context) error {
	eng, err := x.live.engine()
	if err != nil {
		return err
	}
	all, err := eng.List(ctx, engine.Containers, engine.ListOptions{})
	if err != nil {
		return err
	}
	var dependents []string
	for _, o := range all {
		var v struct{ HostConfig struct{ NetworkMode string } }
		_ = json.Unmarshal(o.Raw, &v) // what cannot be read has no such mode
		if to, ok := strings.CutPrefix(v.HostConfig.NetworkMode, "container:"); ok && (to == x.old.ID || to == x.old.Name) {
			dependents = append(dependents, o.Name)
		}
	}
	if len(dependents) > 0 {
		return conflict("other containers use this one's network and would lose it: %s; remove them first", strings.Join(dependents[:min(len(dependents), 10)], ", "))
	}
	return nil
}

// run is the job.
func (x *recreation) run(ctx context.Context) (*RecreateResult, error) {
	release, err := x.claim()
	if err != nil {
		return nil, err
	}
	defer release()
	if x.puller != nil {
		if err := x.pull(ctx); err != nil {
			return nil, err
		}
		// A pull takes long enough for the container to be another one.
		if err := x.load(ctx); err != nil {
			return nil, err
		}
	}
	x.tell("Creating")
	ref := x.old.ref()
	newImage, _, err := x.image(ctx, ref)
	if engine.IsNotFound(err) {
		return nil, apistatus.NotFound("the image %q is not on the host: pull it first, or recreate with pull", ref)
	}
	if err != nil {
		return nil, err
	}
	x.result = RecreateResult{Result: "Unchanged", Container: x.old.ID, Name: x.old.Name, Ref: ref, OldImage: x.old.Image, NewImage: newImage}
	if newImage == x.old.Image && !x.force {
		return &x.result, nil
	}
	_, oldConfig, err := x.image(ctx, x.old.Image)
	if engine.IsNotFound(err) {
		return nil, conflict("the image that the container was made of is gone, so its settings cannot be told from the container's: create it anew")
	}
	if err != nil {
		return nil, err
	}
	p, err := x.plan(ctx, newImage, oldConfig)
	if err != nil {
		return nil, err
	}
	if err := x.putAside(ctx); err != nil {
		return nil, err
	}
	if err := x.replace(ctx, p); err != nil {
		return nil, x.rollBack(ctx, err)
	}
	x.result.Result, x.result.Container = "Recreated", x.newID
	x.finish(ctx)
	return &x.result, nil
}

func (x *recreation) plan(ctx context.Context, newImage string, oldConfig object) (plan, error) {
	eng, err := x.live.engine()
	if err != nil {
		return plan{}, err
	}
	mac, err := eng.ConfiguredMAC(ctx, x.old.ID)
	if err != nil {
		return plan{}, err
	}
	return x.old.successor(newImage, oldConfig, mac)
}

func (x *recreation) tell(phase string) { x.progress.Set(RecreateProgress{Phase: phase}) }

func (x *recreation) pull(ctx context.Context) error {
	record := x.record
	record.Verb, record.Object = "pull", audit.Object{Kind: kindImage, Name: reference.FamiliarString(x.puller.ref)}
	return audit.Do(ctx, x.a.opts.Recorder, record, func(ctx context.Context) error {
		_, err := x.puller.run(ctx, func(v PullProgress) { x.progress.Set(RecreateProgress{Phase: "Pulling", Pull: &v}) })
		return err
	})
}

// image returns an image's id and config.
func (x *recreation) image(ctx context.Context, ref string) (string, object, error) {
	eng, err := x.live.engine()
	if err != nil {
		return "", nil, err
	}
	raw, err := eng.Inspect(ctx, engine.Images, ref)
	if err != nil {
		return "", nil, err
	}
	var v struct {
		ID     string `json:"Id"`
		Config object
	}
	if err := json.Unmarshal(raw, &v); err != nil || v.ID == "" {
		return "", nil, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's description of the image cannot be read")
	}
	return v.ID, v.Config, nil
}

// step records and does one change of the engine.
func (x *recreation) step(ctx context.Context, verb string, object audit.Object, do func(context.Context, engine.Engine) error) error {
	record := x.record
	record.Verb, record.Object = verb, object
	record.Object.Kind = kindContainer
	return audit.Do(ctx, x.a.opts.Recorder, record, func(ctx context.Context) error {
		eng, err := x.live.engine()
		if err != nil {
			return err
		}
		return do(ctx, eng)
	})
}

// aside is the old container's name until it goes.
func (x *recreation) aside() string {
	const maxName = 200 // of 253, with what is added
	return x.old.Name[:min(len(x.old.Name), maxName)] + asideMark + short(x.old.ID)
}

// asideMark is before the short id in the name of a container that is put aside. The name
// is always the same, so that two replicas cannot both put it aside.
const asideMark = "-before-"

// claim keeps two recreations of one container apart.
func (x *recreation) claim() (release func(), err error) {
	key := x.live.key.String() + "/" + x.id
	x.a.mu.Lock()
	defer x.a.mu.Unlock()
	if x.a.busy[key] {
		return nil, conflict("the container is being recreated by another job")
	}
	x.a.busy[key] = true
	return func() {
		x.a.mu.Lock()
		defer x.a.mu.Unlock()
		delete(x.a.busy, key)
	}, nil
}

// putAside renames the old container. What an engine refused was not done; other failures
// may have been, and are undone.
func (x *recreation) putAside(ctx context.Context) error {
	old := audit.Object{ID: x.old.ID, Name: x.old.Name}
	err := x.step(ctx, "rename", old, func(ctx context.Context, e engine.Engine) error { return e.ContainerRename(ctx, x.old.ID, x.aside()) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, audit.ErrRefused), engine.IsConflict(err), engine.IsNotFound(err), engine.ClassOf(err) == engine.ClassInvalid:
		return err
	}
	return x.rollBack(ctx, fmt.Errorf("the old container could not be renamed: %w", err))
}

// replace puts the new container in the old one's place. What it did before an error,
// rollBack undoes.
func (x *recreation) replace(ctx context.Context, p plan) error {
	old, name := audit.Object{ID: x.old.ID, Name: x.old.Name}, x.old.Name
	x.began = time.Now()
	// Created before the old one is stopped: what an engine refuses here costs no outage.
	err := x.step(ctx, "create", audit.Object{Name: name}, func(ctx context.Context, e engine.Engine) (err error) {
		x.newID, err = e.ContainerCreateRaw(ctx, name, p.body)
		return err
	})
	if err != nil {
		return fmt.Errorf("the new container could not be created: %w", err)
	}
	fresh := audit.Object{ID: x.newID, Name: name}
	for network, endpoint := range p.networks {
		err := x.step(ctx, "connect", fresh, func(ctx context.Context, e engine.Engine) error {
			return e.NetworkConnect(ctx, network, x.newID, endpoint)
		})
		if err != nil {
			return fmt.Errorf("the new container could not be put on the network %s: %w", network, err)
		}
	}
	if !x.old.wasUp() {
		return nil
	}
	x.tell("Switching")
	err = x.step(ctx, "stop", old, func(ctx context.Context, e engine.Engine) error { return e.ContainerStop(ctx, x.old.ID, -1) })
	if err != nil {
		return fmt.Errorf("the old container could not be stopped: %w", err)
	}
	err = x.step(ctx, "start", fresh, func(ctx context.Context, e engine.Engine) error { return e.ContainerStart(ctx, x.newID) })
	if err != nil {
		return fmt.Errorf("the new container did not start: %w", err)
	}
	x.tell("Watching")
	return x.watch(ctx)
}

// finish removes the old container; from here on nothing is put back. Its anonymous
// volumes are the new one's now.
func (x *recreation) finish(ctx context.Context) {
	x.tell("Finishing")
	ctx, cancel := x.progress.Cleanup(ctx)
	defer cancel()
	err := x.step(ctx, "remove", audit.Object{ID: x.old.ID, Name: x.aside()}, func(ctx context.Context, e engine.Engine) error {
		return e.ContainerRemove(ctx, x.old.ID, false, false)
	})
	if err != nil && !engine.IsNotFound(err) {
		x.result.Warnings = append(x.result.Warnings, fmt.Sprintf("the old container is left as %s: %s", x.aside(), message(err)))
	}
}

// message is an error's text as a caller may read it.
func message(err error) string {
	var e *engine.Error
	var failed *failedContainer
	switch {
	case errors.Is(err, audit.ErrRefused), errors.Is(err, audit.ErrOutcomeNotRecorded):
		return statusError(err).Error()
	case errors.As(err, &e), errors.As(err, &failed):
		return err.Error() // our own words around theirs
	case errors.Is(err, jobs.ErrCanceled), errors.Is(err, jobs.ErrShutdown), errors.Is(err, jobs.ErrTooLong):
		return err.Error()
	}
	return "internal error"
}

// rolledBack is the reason of a recreation that left everything as it was, notRolledBack of
// one that did not.
const (
	rolledBack    metav1.StatusReason = "RolledBack"
	notRolledBack metav1.StatusReason = "RollbackFailed"
)

func errRolledBack(cause error, old string) error {
	return apistatus.New(http.StatusConflict, rolledBack, "%s; the old container %s is back as it was", message(cause), old)
}
