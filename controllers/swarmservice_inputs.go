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

package controllers

import (
	"context"
	"time"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

// SwarmInputs looks up what a SwarmService refers to, and keeps what is made of it on
// the swarm: secrets, configs and networks.
//
// Its errors are a *SpecFault where the user can do something about it, else what the
// engine or the API server said, which is tried again.
type SwarmInputs interface {
	// Resolve looks up what the spec names, and creates on the swarm what has to be there
	// before the service can be written. It is called at each reconciliation, and does
	// nothing that was done already.
	Resolve(ctx context.Context, svc *dcv1.SwarmService, on SwarmAccess) (ResolvedInputs, error)
	// Settled is called when the service is what its spec says and all its tasks are:
	// what nothing uses any more can go. again is when to call it again though nothing may
	// have changed, zero for never.
	Settled(ctx context.Context, svc *dcv1.SwarmService, on SwarmAccess) (again time.Duration, err error)
	// Release is called when the service is gone, or, with orphaned, when it stays
	// without an owner, and needs what it uses.
	Release(ctx context.Context, svc *dcv1.SwarmService, on SwarmAccess, orphaned bool) error
}

// ResolvedInputs are what Build needs beside the spec.
type ResolvedInputs struct {
	swarm.Inputs
	// RegistryAuth is what the nodes pull the image with, a secret that goes to the engine
	// and nowhere else; empty for none.
	RegistryAuth string
	// PullSecrets are swarm.PullSecretHash of it under all keys, the current one first.
	PullSecrets []string
	// Applied are swarm.AppliedHash of a content under all keys, the current one first;
	// nil where there are no keys.
	Applied func(content []byte) []string
}
