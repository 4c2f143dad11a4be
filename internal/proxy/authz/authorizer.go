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

package authz

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/lru"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

const (
	// allowedTTL is as long as a kube-apiserver's own webhook authorizer keeps what it
	// cannot be told of; deniedTTL is short, for people try again once they were granted
	// something by other means than a HostPermission.
	allowedTTL = 10 * time.Second
	deniedTTL  = 2 * time.Second
	// unsettled is for how long after a change of grants nothing is kept.
	unsettled = 5 * time.Second
	// maxDecisions is a decision for each right of some 700 callers and hosts: 3 MB.
	maxDecisions = 16384
	// maxReviews bounds the reviews under way: 32 at once took 0.2 ms each where one
	// after the other took 0.65 ms.
	maxReviews = 64
	// reviewTimeout bounds a review, the wait for its turn included. It takes a
	// millisecond where all is well.
	reviewTimeout = 5 * time.Second
)

// Host names a DockerHost. An empty Name asks about every host of the namespace, an empty
// Namespace about every host there is.
type Host = types.NamespacedName

// Authorizer asks the kube-apiserver and remembers for a moment.
type Authorizer struct {
	client kubernetes.Interface
	// own and transport lead to the kube-apiserver without credentials, for callers to ask
	// by themselves.
	own       *rest.Config
	transport http.RoundTripper
	log       logr.Logger

	flight  singleflight.Group
	reviews *semaphore.Weighted

	mu        sync.Mutex // held for a moment, never while anybody is asked
	kept      *lru.Cache // question -> decision
	changedAt time.Time
	epoch     uint64 // of GrantsChanged: a review from before must not be kept after

	guards *guards
}

// New returns an Authorizer that asks the kube-apiserver of config, whose identity needs
// the ClusterRole system:auth-delegator.
func New(config *rest.Config, log logr.Logger) (*Authorizer, error) {
	if config == nil {
		return nil, errors.New("the proxy needs a kube-apiserver to ask what its callers may do")
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // priority and fairness of the kube-apiserver bounds the rate
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("the proxy's client for reviews: %w", err)
	}
	anonymous := rest.AnonymousClientConfig(config)
	transport, err := rest.TransportFor(anonymous)
	if err != nil {
		return nil, fmt.Errorf("the proxy's client for reviews: %w", err)
	}
	return &Authorizer{
		client: client, own: anonymous, transport: transport, log: log,
		reviews: semaphore.NewWeighted(maxReviews), kept: lru.New(maxDecisions), guards: newGuards(),
	}, nil
}

// Authorize returns nil where the caller holds the right on the host. The error is a
// Status: 403 with the role that would give the right, or 503 where nobody could be asked.
func (a *Authorizer) Authorize(ctx context.Context, who user.Info, host Host, right access.Right) error {
	allowed, err := a.allowed(ctx, question{who: who, host: host, right: right})
	if err != nil {
		return unavailable(err)
	}
	if !allowed {
		return apistatus.Forbidden(who.GetName(), host, right)
	}
	return nil
}

// Allowed is Authorize for those who serve less rather than refuse: only the 503 is an
// error.
func (a *Authorizer) Allowed(ctx context.Context, who user.Info, host Host, right access.Right) (bool, error) {
	allowed, err := a.allowed(ctx, question{who: who, host: host, right: right})
	if err != nil {
		return false, unavailable(err)
	}
	return allowed, nil
}

// GrantsChanged tells that a Role or a RoleBinding of the operator's is not what it was.
func (a *Authorizer) GrantsChanged() {
	a.mu.Lock()
	a.changedAt = time.Now()
	a.epoch++
	a.kept.Clear()
	a.mu.Unlock()
	a.guards.changed()
}

func unavailable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return apistatus.Unavailable("the kube-apiserver cannot be asked what you may do; try again")
}
