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
	"slices"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/hostapi/selector"
	"github.com/dockercontrol/dockercontrol/internal/proxy/target"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// selectedSources picks containers by their labels: of one host, or of all that the caller
// may read the logs of.
type selectedSources struct {
	c      *call
	list   *sourceList
	follow bool
	labels selector.Selector
	masked selector.Masked
	known  map[hostcache.Key]bool // hosts that were looked at
}

// openSelected opens the logs of the containers with some labels; of a host that is named,
// without any, of all.
func openSelected(ctx context.Context, c *call, host hostcache.Key, q logQuery) (sourceSet, error) {
	if host.Name == "" && q.labelSelector == "" && q.hostSelector == "" {
		return nil, apistatus.BadRequest("the logs of all hosts are too many: choose by labelSelector or hostSelector, or name a host")
	}
	labels, err := selector.Parse(q.labelSelector)
	if err != nil {
		return nil, apistatus.BadRequest("labelSelector cannot be read: %s", err)
	}
	if host.Name != "" {
		if _, _, err := target.Find(c.h.options.Hosts, host); err != nil {
			return nil, err
		}
	}
	hosts, err := c.followHosts(ctx, logRight, q.hostSelector)
	if err != nil {
		return nil, err
	}
	list := newSourceList()
	p := &selectedSources{
		c: c, list: list, follow: q.Follow, labels: labels, known: map[hostcache.Key]bool{},
		masked: selector.Masked{Selector: labels, Masker: c.h.options.Masker, Kind: engine.Containers},
	}
	return openInventories(ctx, c, hosts, list, p, q.Follow)
}

// watched implements picker.
func (p *selectedSources) watched(host hostcache.Key) (bellKey, bool) {
	return bellKey{host: host}, true
}

// look implements picker.
func (p *selectedSources) look(hosts []allowedHost, dirty map[hostcache.Key]bool) {
	for _, host := range hosts {
		if dirty[host.key] {
			p.lookAt(host)
		}
		delete(dirty, host.key)
	}
	for host := range dirty {
		delete(p.known, host) // it has left
	}
}

func (p *selectedSources) lookAt(host allowedHost) {
	listing, err := p.c.h.options.Hosts.List(host.key, engine.Containers)
	if err != nil && (!p.follow || len(listing.Items) == 0) { // else what is known is tried again until it is back
		p.list.notice("host %s in the namespace %s is left out while it is not connected: %s", host.key.Name, host.key.Namespace, err)
		return
	}
	as := late
	switch {
	case !p.follow:
		as = whole
	case !p.known[host.key]:
		as = early
	}
	p.known[host.key] = true
	p.list.replace(ofHost(host.key), p.choose(host, listing.Items), as)
}

// runningStates are those of containers that write, or will.
var runningStates = []string{"running", "paused", "restarting"}

func (p *selectedSources) choose(host allowedHost, items []engine.Object) (all []chosen) {
	for i := range items {
		o := &items[i]
		matches, err := p.matches(host, o)
		if err != nil {
			p.list.notice("containers of host %s in the namespace %s are left out: their labels cannot be masked", host.key.Name, host.key.Namespace)
		}
		if matches {
			all = append(all, chosen{
				source: stream.LogSource{Host: host.key, Container: o.ID}, name: o.Name,
				running: slices.Contains(runningStates, o.State), began: o.State != "created",
			})
		}
	}
	return all
}

// matches compares labels as the caller sees them.
func (p *selectedSources) matches(host allowedHost, o *engine.Object) (bool, error) {
	if host.masked {
		return p.masked.Matches(o.Labels)
	}
	return p.labels.Matches(o.Labels), nil
}
