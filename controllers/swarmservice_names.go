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
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

// maxNamedAnswer bounds the list of what the swarm has of one name: a config has at most
// 1 MB, and is in it.
const maxNamedAnswer = 8 << 20

// SwarmNames are SwarmInputs that only look up what the swarm has already, by its name.
// What comes from Kubernetes is refused.
type SwarmNames struct{}

var _ SwarmInputs = SwarmNames{}

// Resolve looks up networks, secrets and configs.
func (SwarmNames) Resolve(ctx context.Context, svc *dcv1.SwarmService, on SwarmAccess) (ResolvedInputs, error) {
	spec := &svc.Spec
	in := swarm.Inputs{
		ServiceName: svc.ServiceName(), Owner: owner(svc), APIVersion: on.APIVersion,
		Secrets: map[string]swarm.Object{}, Configs: map[string]swarm.Object{}, Networks: map[string]string{},
	}
	for _, e := range spec.Env {
		if e.ValueFrom != nil {
			return ResolvedInputs{}, notFromKubernetes("spec.env[" + e.Name + "].valueFrom")
		}
	}
	for _, s := range spec.Secrets {
		if s.SecretKeyRef != nil {
			return ResolvedInputs{}, notFromKubernetes("spec.secrets[" + s.Target + "].secretKeyRef")
		}
		object, err := named(ctx, on, "secrets", s.SecretName, dcv1.ReasonSecretNotFound, "spec.secrets["+s.Target+"].secretName")
		if err != nil {
			return ResolvedInputs{}, err
		}
		in.Secrets[s.Target] = object
	}
	for _, c := range spec.Configs {
		if c.ConfigMapKeyRef != nil {
			return ResolvedInputs{}, notFromKubernetes("spec.configs[" + c.Target + "].configMapKeyRef")
		}
		object, err := named(ctx, on, "configs", c.ConfigName, dcv1.ReasonConfigNotFound, "spec.configs["+c.Target+"].configName")
		if err != nil {
			return ResolvedInputs{}, err
		}
		in.Configs[c.Target] = object
	}
	if p := spec.Privileges; p != nil && p.CredentialSpec != nil && p.CredentialSpec.ConfigName != "" {
		object, err := named(ctx, on, "configs", p.CredentialSpec.ConfigName, dcv1.ReasonConfigNotFound, "spec.privileges.credentialSpec.configName")
		if err != nil {
			return ResolvedInputs{}, err
		}
		in.CredentialSpec = object
	}
	for _, n := range spec.Networks {
		id, err := networkID(ctx, on, n.Name)
		if err != nil {
			return ResolvedInputs{}, err
		}
		in.Networks[n.Name] = id
	}
	return ResolvedInputs{Inputs: in}, nil
}

// Settled has nothing to collect.
func (SwarmNames) Settled(context.Context, *dcv1.SwarmService, SwarmAccess) (time.Duration, error) {
	return 0, nil
}

// Release has nothing to remove.
func (SwarmNames) Release(context.Context, *dcv1.SwarmService, SwarmAccess, bool) error { return nil }

func notFromKubernetes(field string) *SpecFault {
	return &SpecFault{dcv1.ReasonFieldInvalid, field + ": values from Kubernetes are not supported by this manager yet."}
}

// named finds a secret or config of the swarm.
func named(ctx context.Context, on SwarmAccess, kind, name, reason, field string) (swarm.Object, error) {
	filters, err := json.Marshal(map[string][]string{"name": {name}})
	if err != nil {
		return swarm.Object{}, err
	}
	u := url.URL{Path: "/v" + on.APIVersion + "/" + kind, RawQuery: url.Values{"filters": {string(filters)}}.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return swarm.Object{}, err
	}
	resp, err := on.Engine.Forward(req, false)
	if err != nil {
		return swarm.Object{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return swarm.Object{}, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine does not list its %s (HTTP %d)", kind, resp.StatusCode)
	}
	var found []struct {
		ID   string
		Spec struct{ Name string }
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxNamedAnswer)).Decode(&found); err != nil {
		return swarm.Object{}, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's list of %s cannot be read: %w", kind, err)
	}
	for _, o := range found { // the filter also matches beginnings
		if o.Spec.Name == name {
			return swarm.Object{ID: o.ID, Name: name}, nil
		}
	}
	return swarm.Object{}, &SpecFault{reason, fmt.Sprintf("%s: the swarm has no %s %q; create it, or name another.", field, kind[:len(kind)-1], name)}
}

// networkID finds a network of the swarm.
func networkID(ctx context.Context, on SwarmAccess, name string) (string, error) {
	have, err := findNetwork(ctx, on.Engine, name)
	switch {
	case err != nil:
		return "", err
	case have == nil:
		return "", &SpecFault{dcv1.ReasonNetworkNotFound, fmt.Sprintf("spec.networks[%s]: the swarm has no network of that name; create it, or name another.", name)}
	}
	return have.ID, nil
}
