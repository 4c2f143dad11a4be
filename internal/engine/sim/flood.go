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
	"context"
	"time"

	"github.com/moby/moby/api/types/events"
)

// floodTick is how often a flood sends its share of events.
const floodTick = 10 * time.Millisecond

// startFlood publishes that many events a second of containers that do not
// exist, until the function it returns is called or the engine closes.
func (e *Engine) startFlood(rate int) (stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() != nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(e.ctx)
	e.group.Go(func() {
		ticker := time.NewTicker(floodTick)
		defer ticker.Stop()
		started, sent := time.Now(), 0
		attrs := map[string]string{"image": "flood:1", "name": "flood"}
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			for due := int(time.Since(started).Seconds() * float64(rate)); sent < due && ctx.Err() == nil; sent++ {
				e.emit(events.ContainerEventType, events.ActionExecDie, derivedID("flood", itoa(sent%1000)), attrs, "exitCode", "0")
			}
		}
	})
	return cancel
}
