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

package streamapi

import (
	"context"
	"iter"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// hubHosts gives the hubs what they need of the hosts.
type hubHosts struct{ Hosts }

var (
	_ stream.Hosts = hubHosts{}
	_ stream.Feeds = hubHosts{}
)

// Notify implements stream.Hosts.
func (h hubHosts) Notify(fn func(stream.Key)) (cancel func()) {
	return h.Hosts.Notify(func(c hostcache.Change) {
		if c.Condition {
			fn(c.Key)
		}
	})
}

// Events implements stream.Feeds.
func (h hubHosts) Events(ctx context.Context, key stream.Key) (types.UID, iter.Seq[stream.FeedItem], error) {
	items, err := h.Hosts.Events(ctx, key)
	if err != nil {
		return "", nil, err
	}
	state, _ := h.State(key)
	return state.UID, func(yield func(stream.FeedItem) bool) {
		for item := range items {
			if !yield(stream.FeedItem{Event: item.Event, Gap: item.Gap, Dropped: item.Dropped}) {
				return
			}
		}
	}, nil
}

// running lists the ids of a host's running containers.
func (h hubHosts) running(host stream.Key) ([]string, error) {
	listing, err := h.List(host, engine.Containers)
	if err != nil {
		return nil, err
	}
	var ids []string
	for i := range listing.Items {
		if o := &listing.Items[i]; o.State == "running" {
			ids = append(ids, o.ID)
		}
	}
	return ids, nil
}
