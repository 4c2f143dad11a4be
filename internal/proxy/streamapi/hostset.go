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
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
)

const (
	// reviewInterval is how often a stream over many hosts looks anew which those are and
	// what the caller may read. Reviews are cached by the authorizer. Changes of grants and
	// hosts bring it forward, not more often than each reviewSpacing.
	reviewInterval = 2 * time.Second
	reviewSpacing  = 250 * time.Millisecond
	// reviewOutage is how long what was allowed lasts while nobody can be asked.
	reviewOutage = 30 * time.Second
)

// allowedHost is a host that somebody may use a right on.
type allowedHost struct {
	key hostcache.Key
	// masked is true for who has no Inspect (get) there.
	masked bool
}

// hostSet is the hosts on which a caller holds a right, followed: a right that is lost takes
// a host away, and a host that is new joins. It has one goroutine, which ends with close.
type hostSet struct {
	c     *call
	right access.Right
	// only is the one host that is meant, where it is one: who opened the set authorized
	// and guards that.
	only      hostcache.Key
	namespace string // "" for all
	selector  labels.Selector

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	nudge   chan struct{} // has room for one: look now

	mu      sync.Mutex
	hosts   []allowedHost // sorted
	err     error
	current context.Context // ends when hosts or err are others
	expire  context.CancelFunc
}

// followHosts returns the set of the hosts of the call's path: one, those of a namespace, or
// all, as far as the selector, in Kubernetes' own spelling, lets them through. It has been
// looked at once.
func (c *call) followHosts(ctx context.Context, right access.Right, hostSelector string) (*hostSet, error) {
	s := &hostSet{c: c, right: right, namespace: c.at.Namespace, nudge: make(chan struct{}, 1)}
	if c.at.Host != "" {
		s.only = c.at.Key()
	}
	var err error
	if s.selector, err = labels.Parse(hostSelector); err != nil {
		return nil, apistatus.BadRequest("hostSelector cannot be read: %s", err)
	}
	return s, s.start(ctx)
}

// followNamespace returns the set of all hosts of a namespace.
func (c *call) followNamespace(ctx context.Context, right access.Right, namespace string) (*hostSet, error) {
	s := &hostSet{c: c, right: right, namespace: namespace, selector: labels.Everything(), nudge: make(chan struct{}, 1)}
	return s, s.start(ctx)
}

func (s *hostSet) start(ctx context.Context) (err error) {
	if s.hosts, err = s.look(ctx); err != nil {
		return err
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.current, s.expire = context.WithCancel(s.ctx)
	s.running.Go(s.follow)
	return nil
}

func (s *hostSet) close() {
	s.cancel()
	s.running.Wait()
}

// get returns the hosts, and a context that ends when they may be others. The error is of an
// authorizer that could not be asked for too long; then nobody has a right any more.
func (s *hostSet) get() (hosts []allowedHost, current context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hosts, s.current, s.err
}

func (s *hostSet) set(hosts []allowedHost, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(s.hosts, hosts) && (s.err == nil) == (err == nil) {
		return
	}
	s.hosts, s.err = hosts, err
	s.expire()
	s.current, s.expire = context.WithCancel(s.ctx)
}

// follow looks again and again which hosts there are and what the caller may read.
func (s *hostSet) follow() {
	look := func() {
		select {
		case s.nudge <- struct{}{}:
		default:
		}
	}
	defer s.c.h.options.Authorizer.OnGrantsChanged(look)()
	defer s.c.h.options.Hosts.Notify(func(ch hostcache.Change) {
		if ch.Condition {
			look()
		}
	})()
	verified := time.Now()
	timer := time.NewTimer(0) // once more: something may have changed before Notify
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		case <-s.nudge:
		}
		hosts, err := s.look(s.ctx)
		switch {
		case err == nil:
			verified = time.Now()
			s.set(hosts, nil)
		case time.Since(verified) >= reviewOutage:
			s.set(nil, errors.Join(authz.ErrUnverified, err))
		}
		timer.Reset(reviewSpacing) // changes in quick succession are looked at once
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(reviewInterval)
	}
}

// look asks for the hosts as they are now.
func (s *hostSet) look(ctx context.Context) ([]allowedHost, error) {
	declared, err := s.declared(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.allowed(ctx, s.right, declared)
	if err != nil {
		return nil, err
	}
	open, err := s.allowed(ctx, inspect, keys)
	if err != nil {
		return nil, err
	}
	unmasked := make(map[hostcache.Key]bool, len(open))
	for _, key := range open {
		unmasked[key] = true
	}
	hosts := make([]allowedHost, 0, len(keys))
	for _, key := range keys {
		if _, known := s.c.h.options.Hosts.State(key); known { // else it joins in a moment
			hosts = append(hosts, allowedHost{key, !unmasked[key]})
		}
	}
	return hosts, nil
}

// allowed returns the hosts on which the caller holds a right. One is asked for by itself:
// for many the authorizer asks for wider rights first.
func (s *hostSet) allowed(ctx context.Context, right access.Right, hosts []authz.Host) ([]authz.Host, error) {
	a := s.c.h.options.Authorizer
	if len(hosts) != 1 {
		return a.Hosts(ctx, s.c.who, right, hosts)
	}
	if ok, err := a.Allowed(ctx, s.c.who.User, hosts[0], right); err != nil || !ok {
		return nil, err
	}
	return hosts, nil
}

// declared lists the hosts that are meant, sorted.
func (s *hostSet) declared(ctx context.Context) ([]authz.Host, error) {
	if s.only.Name != "" {
		return []authz.Host{s.only}, nil
	}
	var list dcv1.DockerHostList
	options := []client.ListOption{client.UnsafeDisableDeepCopy} // read only, here
	if s.namespace != "" {
		options = append(options, client.InNamespace(s.namespace))
	}
	if err := s.c.h.options.Declared.List(ctx, &list, options...); err != nil {
		return nil, err
	}
	hosts := make([]authz.Host, 0, len(list.Items))
	for i := range list.Items {
		if host := &list.Items[i]; s.selector.Matches(labels.Set(host.Labels)) {
			hosts = append(hosts, client.ObjectKeyFromObject(host))
		}
	}
	slices.SortFunc(hosts, func(a, b authz.Host) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return hosts, nil
}
