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
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/distribution/reference"
	engineswarm "github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
	"github.com/dockercontrol/dockercontrol/internal/pullsecret"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

// ContentKeys are the keys of the names that swarm secrets and configs have.
type ContentKeys interface {
	Current(p keyring.Purpose) keyring.Key
	All(p keyring.Purpose) []keyring.Key
}

// SwarmObjects are SwarmInputs that make secrets and configs of the swarm out of Secrets
// and ConfigMaps, and networks where a spec says so.
//
// All that is to be looked up is looked up before the first thing is made, and the spec is
// built once without what is yet to come: nothing is made for a service that cannot be.
type SwarmObjects struct {
	// Live reads Secrets and ConfigMaps from the API server itself: the cache has their
	// names only.
	Live client.Reader
	Keys ContentKeys
	// Policies says whether the API server asks who writes SwarmServices; nil asks nobody.
	Policies *SwarmPolicies
	Clock    clock.PassiveClock

	shelves shelves
	mu      sync.Mutex                   // never held across I/O
	inUse   map[types.UID]serviceObjects // what each service was last resolved to
}

var _ SwarmInputs = &SwarmObjects{}

// serviceObjects are the ids of a service's secrets and configs, and the names of its networks.
type serviceObjects struct {
	ids, networks map[string]bool
	// clean: there are no others that it owns.
	clean bool
}

// pending stands for the id of what is not made yet.
const pending = "pending"

// resolving is one Resolve.
type resolving struct {
	*SwarmObjects
	svc     *dcv1.SwarmService
	on      SwarmAccess
	sources *sources
	out     ResolvedInputs
	// files and networks are yet to be made.
	files    []*wantedFile
	networks []dcv1.SwarmNetwork
	ids      map[string]bool
}

// wantedFile is a secret or config that a file of the spec is to have.
type wantedFile struct {
	kind   engine.Kind
	field  string
	target string
	data   []byte
}

// Resolve looks up what the spec names, and makes what is missing.
func (s *SwarmObjects) Resolve(ctx context.Context, svc *dcv1.SwarmService, on SwarmAccess) (ResolvedInputs, error) {
	if s.Policies != nil {
		fault, err := s.Policies.Fault(ctx)
		if err != nil {
			return ResolvedInputs{}, err
		}
		if fault != "" {
			return ResolvedInputs{}, &SpecFault{dcv1.ReasonAdmissionPolicyMissing,
				fault + " Nothing is written to the swarm without it: apply config/admission of this version."}
		}
	}
	r := &resolving{
		SwarmObjects: s, svc: svc, on: on, sources: newSources(s.Live, svc.Namespace), ids: map[string]bool{},
		out: ResolvedInputs{Inputs: swarm.Inputs{
			ServiceName: svc.ServiceName(), Owner: owner(svc), APIVersion: on.APIVersion, Env: map[string]string{},
			Secrets: map[string]swarm.Object{}, Configs: map[string]swarm.Object{}, Networks: map[string]string{},
		}},
	}
	r.out.Applied = func(content []byte) []string { return r.hashes(swarm.AppliedHash, content) }
	for _, step := range []func(context.Context) error{r.env, r.pullSecret, r.secrets, r.configs, r.credentialSpec, r.lookUpNetworks, r.make} {
		if err := step(ctx); err != nil {
			return ResolvedInputs{}, err
		}
	}
	s.uses(svc, r.ids)
	return r.out, nil
}

// uses remembers what a service has, for Settled.
func (s *SwarmObjects) uses(svc *dcv1.SwarmService, ids map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inUse == nil {
		s.inUse = map[types.UID]serviceObjects{}
	}
	before, known := s.inUse[svc.UID]
	now := serviceObjects{ids: ids, networks: networkNames(svc)}
	now.clean = known && before.clean && before.same(now)
	s.inUse[svc.UID] = now
}

func (f serviceObjects) same(other serviceObjects) bool {
	return maps.Equal(f.ids, other.ids) && maps.Equal(f.networks, other.networks)
}

// env reads the values of variables.
func (r *resolving) env(ctx context.Context) error {
	for _, e := range r.svc.Spec.Env {
		if e.ValueFrom == nil {
			continue
		}
		field := "spec.env[" + e.Name + "].valueFrom"
		var data []byte
		var found bool
		var err error
		switch from := e.ValueFrom; {
		case from.SecretKeyRef != nil:
			data, found, err = r.sources.secretKey(ctx, field+".secretKeyRef", from.SecretKeyRef)
		case from.ConfigMapKeyRef != nil:
			data, found, err = r.sources.configMapKey(ctx, field+".configMapKeyRef", from.ConfigMapKeyRef)
		}
		if err != nil {
			return err
		}
		if !found {
			continue // it is optional, or Build says what is wrong
		}
		if why := noVariable(data); why != "" {
			return &SpecFault{dcv1.ReasonFieldInvalid, field + ": the value " + why + "."}
		}
		r.out.Env[e.Name] = string(data)
	}
	return nil
}

// pullSecret reads the credentials for the image's registry.
func (r *resolving) pullSecret(ctx context.Context) error {
	ref := r.svc.Spec.PullSecretRef
	if ref == nil {
		return nil
	}
	const field = "spec.pullSecretRef"
	image, badImage := reference.ParseNormalizedNamed(r.svc.Spec.Image)
	if badImage != nil {
		return nil // Build says so
	}
	secret, err := r.sources.secret(ctx, ref.Name)
	if err != nil {
		return err
	}
	if secret == nil {
		return &SpecFault{dcv1.ReasonSecretNotFound, fmt.Sprintf("%s: there is no Secret %q in namespace %q; create it.", field, ref.Name, r.svc.Namespace)}
	}
	auth, problem := pullsecret.Auth(secret, image)
	if problem != "" {
		return &SpecFault{dcv1.ReasonFieldInvalid, fmt.Sprintf("%s: the Secret %q %s.", field, ref.Name, problem)}
	}
	r.out.RegistryAuth = auth
	r.out.PullSecrets = r.hashes(swarm.PullSecretHash, []byte(auth))
	r.out.PullSecret = r.out.PullSecrets[0]
	return nil
}

// hashes are a hash of a content under all keys, the current one first: what was named
// under an older key is still the same.
func (r *resolving) hashes(hash func([]byte, types.UID, []byte) string, content []byte) []string {
	var list []string
	for _, key := range r.contentKeys() {
		list = append(list, hash(key.Bytes, r.svc.UID, content))
	}
	return list
}

// contentKeys are the current key, and all that names were made with before.
func (s *SwarmObjects) contentKeys() []keyring.Key {
	return append([]keyring.Key{s.Keys.Current(keyring.ContentHashes)}, s.Keys.All(keyring.ContentHashes)...)
}

// make makes what is missing, if the spec can be built at all.
func (r *resolving) make(ctx context.Context) error {
	if len(r.files)+len(r.networks) == 0 {
		return nil
	}
	if _, err := swarm.Build(&r.svc.Spec, r.out.Inputs); err != nil {
		var faults swarm.Faults
		if errors.As(err, &faults) {
			return &SpecFault{faults.Reason(), faults.Error()}
		}
		return err
	}
	if isTrue(r.svc.Spec.Suspend) {
		return nil // nothing is written, and pending says that there is a difference
	}
	for _, n := range r.networks {
		if err := r.makeNetwork(ctx, n); err != nil {
			return err
		}
	}
	for _, f := range r.files {
		object, err := r.makeFile(ctx, f)
		if err != nil {
			return err
		}
		r.put(f, object)
	}
	return nil
}

func (r *resolving) put(f *wantedFile, object swarm.Object) {
	r.ids[object.ID] = true
	if f.kind == engine.Secrets {
		r.out.Secrets[f.target] = object
	} else {
		r.out.Configs[f.target] = object
	}
}

// annotations mark what is made for a service.
func (r *resolving) annotations(name string) engineswarm.Annotations {
	return engineswarm.Annotations{Name: name, Labels: swarm.OwnerLabels(owner(r.svc))}
}
