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
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Key names a DockerHost.
type Key = types.NamespacedName

// Hosts gives the hubs their engines.
type Hosts interface {
	// Engine returns the engine of a host that is connected. The error says why there is
	// none. The engine may be closed at any time: what runs on it then fails, and Engine
	// has its successor.
	Engine(key Key) (engine.Engine, error)
	// Notify calls fn with a host's key when its connection comes or goes, until cancel is
	// called. fn does not block, and may be called once more while cancel returns.
	Notify(fn func(Key)) (cancel func())
}

// Limits bound what viewers may cost. The zero value of a field means its default.
type Limits struct {
	// Viewers is how many may look at one container, or one host's events, at a time.
	Viewers int
	// QueueBytes is how far a viewer may lag behind before its oldest lines are dropped.
	QueueBytes int
	// Linger is how long an upstream outlives its last viewer: a reload of a page should
	// not cost the engine a new stream.
	Linger time.Duration
	// Upstream is told of each upstream that begins (1) and ends (-1); nil: nobody is. It
	// must not block.
	Upstream func(delta int)
}

// The defaults of Limits. QueueBytes is 4 s of a container that writes 10,000 lines of
// 100 bytes a second.
const (
	DefaultViewers    = 50
	DefaultQueueBytes = 4 << 20
	DefaultLinger     = 5 * time.Second
)

// upstream counts an upstream until done is called.
func (l Limits) upstream() (done func()) {
	if l.Upstream == nil {
		return func() {}
	}
	l.Upstream(1)
	return func() { l.Upstream(-1) }
}

// withDefaults fills in what is not set.
func (l Limits) withDefaults() Limits {
	if l.Viewers <= 0 {
		l.Viewers = DefaultViewers
	}
	if l.QueueBytes <= 0 {
		l.QueueBytes = DefaultQueueBytes
	}
	if l.Linger <= 0 {
		l.Linger = DefaultLinger
	}
	return l
}
