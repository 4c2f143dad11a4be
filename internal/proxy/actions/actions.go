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
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/hostspec"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
)

// Authorizer decides over rights on hosts. authz.Authorizer is one.
type Authorizer interface {
	Authorize(ctx context.Context, who user.Info, host authz.Host, right access.Right) error
	Allowed(ctx context.Context, who user.Info, host authz.Host, right access.Right) (bool, error)
}

// Reviewer asks whether a caller may do something in the cluster: a
// SubjectAccessReview. KubeReviewer is one.
type Reviewer interface {
	Review(ctx context.Context, who user.Info, what authorizationv1.ResourceAttributes) (bool, error)
}

// Hosts has the connections. hostcache.Cache is one.
type Hosts interface {
	State(key hostcache.Key) (hostcache.State, bool)
	Engine(key hostcache.Key) (engine.Engine, error)
	List(key hostcache.Key, kind engine.Kind) (hostcache.Listing, error)
}

// Masker rewrites an answer of the engine so that it holds no secret. The operation is
// as internal/access names it: "GET /containers/{name}/json".
type Masker interface {
	Mask(operation string, answer []byte) ([]byte, error)
}

// SecretReader reads a Secret of the cluster with the manager's own rights. SecretsOf
// makes one.
type SecretReader interface {
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// DryRunner has a kube-apiserver judge a DockerHost as if the owner of the token created
// it. KubeDryRunner is one.
type DryRunner interface {
	DryRunCreate(ctx context.Context, token string, host *dcv1.DockerHost) error
}

// Options are what the actions work with.
type Options struct {
	Authorizer Authorizer
	Hosts      Hosts
	Recorder   audit.Recorder
	Jobs       *jobs.Registry
	Log        logr.Logger

	// Masker may be nil: then nothing that may hold a secret is told to callers without
	// inspect.
	Masker Masker
	// Reviewer and Secrets are for pull secrets and the test of a host; nil refuses both.
	Reviewer Reviewer
	Secrets  SecretReader

	// Owners changes the SwarmServices that keep services; without it, actions on those
	// services are refused.
	Owners ServiceOwners

	// Guard watches over the watches of jobs; nil watches none.
	Guard jobs.Guarder

	// Connector, Policy and DryRunner are for the test of a host. Without a Connector
	// there is none; without a DryRunner only the rules that the manager knows are checked.
	Connector engine.Connector
	Policy    hostspec.EndpointPolicy
	DryRunner DryRunner
}

// Actions serves the typed actions.
type Actions struct {
	opts Options
	jobs jobs.Handler
	// Times of a recreation, which tests shorten.
	times times

	mu   sync.Mutex
	busy map[string]bool // containers that are being recreated, by host and id
}

// times are how long things are watched.
type times struct {
	poll, defaultWatch, maxWatch, maxStarting time.Duration
}

// New makes Actions.
func New(opts Options) (*Actions, error) {
	if opts.Authorizer == nil || opts.Hosts == nil || opts.Recorder == nil || opts.Jobs == nil {
		return nil, errors.New("actions need an authorizer, hosts, an audit trail and jobs")
	}
	return &Actions{
		opts:  opts,
		jobs:  jobs.Handler{Registry: opts.Jobs, Authorizer: opts.Authorizer, Recorder: opts.Recorder, Guard: opts.Guard},
		times: defaultTimes,
		busy:  map[string]bool{},
	}, nil
}

// Serves tells whether a request is one of the package's. It looks at the path and, where
// lists and objects share it, at the method.
func (a *Actions) Serves(r *http.Request) bool {
	_, _, found := find(r)
	return found
}
