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
	"time"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// failedContainer is a new container that did not do well.
type failedContainer struct{ text string }

func (e *failedContainer) Error() string { return e.text }

func failed(format string, args ...any) error {
	return &failedContainer{fmt.Sprintf(format, args...)}
}

// watch looks at the new container until it has lived long enough. One with a health check
// is waited for until that has spoken, within bounds.
func (x *recreation) watch(ctx context.Context) error {
	start := time.Now()
	until := start.Add(x.watchFor)
	ticker := time.NewTicker(x.a.times.poll)
	defer ticker.Stop()
	for {
		c, err := x.inspect(ctx, x.newID)
		now := time.Now()
		switch {
		case engine.IsNotFound(err):
			return failed("the new container was removed by somebody else")
		case err != nil && (ctx.Err() != nil || now.After(until)):
			return fmt.Errorf("the new container could not be watched: %w", err)
		case err == nil:
			done, err := x.judge(c, start, now, until)
			if done || err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// judge says whether the new container is seen to live, or is seen not to.
func (x *recreation) judge(c *inspected, start, now, until time.Time) (done bool, err error) {
	switch {
	case c.State.Restarting || c.RestartCount > 0:
		return false, failed("the new container ends and is restarted again and again; its last exit code is %d", c.State.ExitCode)
	case !c.State.Running:
		return false, failed("the new container ended after %.1f s with exit code %d", now.Sub(start).Seconds(), c.State.ExitCode)
	case c.State.Health == nil || c.State.Health.Status == "none" || c.State.Health.Status == "":
		return !now.Before(until), nil
	}
	x.result.Health = c.State.Health.Status
	switch c.State.Health.Status {
	case "healthy":
		return true, nil
	case "unhealthy":
		return false, failed("the new container's health check fails")
	}
	patience := min(max(until.Sub(start), startPeriod(c.Config)), max(x.a.times.maxStarting, x.watchFor))
	return now.Sub(start) >= patience, nil
}

// startPeriod is how long a health check may fail before it counts, and one more interval,
// at the end of which there is an answer.
func startPeriod(config object) time.Duration {
	var h struct{ StartPeriod, Interval time.Duration }
	_ = json.Unmarshal(config["Healthcheck"], &h) // without one it is none
	if h.Interval == 0 {
		h.Interval = 30 * time.Second // the engine's default
	}
	return h.StartPeriod + h.Interval
}

// rollbackPause is how long a rollback waits before it tries again.
const rollbackPause = time.Second

// rollBack puts the old container back as it was: by its name, running or not. It goes by
// what the engine has now, and not by what was done: a call that failed may have been done
// all the same. It returns the error to tell.
func (x *recreation) rollBack(ctx context.Context, cause error) error {
	x.tell("RollingBack")
	if class := engine.ClassOf(cause); ctx.Err() != nil && (class == engine.ClassCanceled || class == engine.ClassTimeout) {
		cause = context.Cause(ctx) // for which the call was given up
	}
	ctx, cancel := x.progress.Cleanup(ctx)
	defer cancel()
	for {
		err := x.putBack(ctx)
		if err == nil {
			return errRolledBack(cause, x.old.Name)
		}
		x.a.opts.Log.V(1).Info("A container could not be put back yet", "host", x.live.key, "container", x.old.ID, "error", err.Error())
		select {
		case <-time.After(rollbackPause):
		case <-ctx.Done():
			return apistatus.New(http.StatusInternalServerError, notRolledBack, "%s; and the old container %s, named %s or %s, could not be put back: %s",
				message(cause), short(x.old.ID), x.old.Name, x.aside(), message(err))
		}
	}
}

// putBack does what is left to do.
func (x *recreation) putBack(ctx context.Context) error {
	if err := x.removeNew(ctx); err != nil {
		return err
	}
	old, err := x.inspect(ctx, x.old.ID)
	if err != nil {
		return err
	}
	object := audit.Object{ID: x.old.ID, Name: x.old.Name}
	if old.Name != x.old.Name {
		err := x.restore(ctx, "rename", object, func(ctx context.Context, e engine.Engine) error {
			return e.ContainerRename(ctx, x.old.ID, x.old.Name)
		})
		if err != nil {
			return err
		}
	}
	if x.old.wasUp() && !old.wasUp() {
		return x.restore(ctx, "start", object, func(ctx context.Context, e engine.Engine) error { return e.ContainerStart(ctx, x.old.ID) })
	}
	return nil
}

// removeNew removes the new container with the anonymous volumes that it alone has; those
// that it took over have names by now, and stay.
func (x *recreation) removeNew(ctx context.Context) error {
	id := x.newID
	if id == "" && x.began.IsZero() {
		return nil
	}
	if id == "" {
		// A creation whose answer was lost is found by its name.
		c, err := x.inspect(ctx, x.old.Name)
		switch {
		case engine.IsNotFound(err):
			return nil
		case err != nil:
			return err
		case c.ID == x.old.ID || c.Image != x.result.NewImage || c.created().Before(x.began.Add(-clockSkew)):
			return nil // not ours
		}
		id = c.ID
	}
	err := x.restore(ctx, "remove", audit.Object{ID: id, Name: x.old.Name}, func(ctx context.Context, e engine.Engine) error {
		return e.ContainerRemove(ctx, id, true, true)
	})
	if engine.IsNotFound(err) {
		return nil
	}
	return err
}

// clockSkew is how far an engine's clock may be from ours.
const clockSkew = time.Minute

func (c *inspected) created() time.Time {
	t, _ := time.Parse(time.RFC3339Nano, c.Created)
	return t
}

// restore is step for a rollback, which goes on where the trail cannot be written: a
// container that is down for want of a record helps nobody, and the recreation is on record.
func (x *recreation) restore(ctx context.Context, verb string, object audit.Object, do func(context.Context, engine.Engine) error) error {
	err := x.step(ctx, verb, object, do)
	switch {
	case errors.Is(err, audit.ErrRefused):
		x.a.opts.Log.Error(err, "A container is put back without a record", "host", x.live.key, "verb", verb, "container", object.ID)
		eng, err := x.live.engine()
		if err != nil {
			return err
		}
		return do(ctx, eng)
	case errors.Is(err, audit.ErrOutcomeNotRecorded) && !isEngineError(err):
		x.a.opts.Log.Error(err, "A container was put back, and the outcome is not on record", "host", x.live.key, "verb", verb, "container", object.ID)
		return nil
	}
	return err
}

func isEngineError(err error) bool {
	var e *engine.Error
	return errors.As(err, &e)
}
