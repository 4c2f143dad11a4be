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
	"fmt"

	engineswarm "github.com/moby/moby/api/types/swarm"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

// What a swarm takes as the content of a secret and of a config.
const (
	maxSecretBytes = 500 << 10
	maxConfigBytes = 1000 << 10
)

// secrets looks up what the files of spec.secrets are made of.
func (r *resolving) secrets(ctx context.Context) error {
	for _, f := range r.svc.Spec.Secrets {
		field := "spec.secrets[" + f.Target + "]"
		if f.SecretKeyRef == nil {
			object, err := r.existing(ctx, engine.Secrets, f.SecretName, dcv1.ReasonSecretNotFound, field+".secretName")
			if err != nil {
				return err
			}
			r.out.Secrets[f.Target] = object
			continue
		}
		data, found, err := r.sources.secretKey(ctx, field+".secretKeyRef", f.SecretKeyRef)
		if err == nil && found {
			err = r.want(ctx, &wantedFile{engine.Secrets, field + ".secretKeyRef", f.Target, data}, maxSecretBytes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// configs looks up what the files of spec.configs are made of.
func (r *resolving) configs(ctx context.Context) error {
	for _, f := range r.svc.Spec.Configs {
		field := "spec.configs[" + f.Target + "]"
		if f.ConfigMapKeyRef == nil {
			object, err := r.existing(ctx, engine.Configs, f.ConfigName, dcv1.ReasonConfigNotFound, field+".configName")
			if err != nil {
				return err
			}
			r.out.Configs[f.Target] = object
			continue
		}
		data, found, err := r.sources.configMapKey(ctx, field+".configMapKeyRef", f.ConfigMapKeyRef)
		if err == nil && found {
			err = r.want(ctx, &wantedFile{engine.Configs, field + ".configMapKeyRef", f.Target, data}, maxConfigBytes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *resolving) credentialSpec(ctx context.Context) (err error) {
	if p := r.svc.Spec.Privileges; p != nil && p.CredentialSpec != nil && p.CredentialSpec.ConfigName != "" {
		r.out.CredentialSpec, err = r.existing(ctx, engine.Configs, p.CredentialSpec.ConfigName, dcv1.ReasonConfigNotFound, "spec.privileges.credentialSpec.configName")
	}
	return err
}

// existing finds a secret or config that somebody else made.
func (r *resolving) existing(ctx context.Context, kind engine.Kind, name, reason, field string) (swarm.Object, error) {
	id, found, err := r.shelves.named(ctx, r.on, kind, name, r.Clock.Now())
	switch {
	case err != nil:
		return swarm.Object{}, err
	case !found:
		return swarm.Object{}, &SpecFault{reason, fmt.Sprintf("%s: the swarm has no %s %q; create it, or name another.", field, fileNoun(kind), name)}
	}
	return swarm.Object{ID: id, Name: name}, nil
}

func fileNoun(kind engine.Kind) string {
	if kind == engine.Secrets {
		return "secret"
	}
	return "config"
}

// want finds the object of a content on the swarm, or notes that it is to be made.
func (r *resolving) want(ctx context.Context, f *wantedFile, limit int) error {
	if len(f.data) == 0 || len(f.data) > limit {
		return &SpecFault{dcv1.ReasonFieldInvalid, fmt.Sprintf("%s: the value has %d bytes; a %s of a swarm has 1 to %d.", f.field, len(f.data), fileNoun(f.kind), limit)}
	}
	if err := r.shelves.refresh(ctx, r.on, r.Clock.Now()); err != nil {
		return err
	}
	// An object whose name an older key made is as good: a new key restarts no tasks.
	for _, key := range r.contentKeys() {
		name := r.fileName(f, key)
		if o, found := r.shelves.find(r.on.Swarm, f.kind, name); found && o.owner == string(r.svc.UID) {
			r.put(f, swarm.Object{ID: o.id, Name: name})
			return nil
		}
	}
	r.files = append(r.files, f)
	object := swarm.Object{ID: pending, Name: r.fileName(f, r.Keys.Current(keyring.ContentHashes))}
	if f.kind == engine.Secrets {
		r.out.Secrets[f.target] = object
	} else {
		r.out.Configs[f.target] = object
	}
	return nil
}

func (r *resolving) fileName(f *wantedFile, key keyring.Key) string {
	if f.kind == engine.Secrets {
		return swarm.SecretName(key.Bytes, r.svc.UID, r.svc.ServiceName(), f.data)
	}
	return swarm.ConfigName(key.Bytes, r.svc.UID, r.svc.ServiceName(), f.data)
}

// makeFile makes a secret or config. One that is there already, because what is known of
// the swarm was old or two files have one content, is as good.
func (r *resolving) makeFile(ctx context.Context, f *wantedFile) (swarm.Object, error) {
	a := r.annotations(r.fileName(f, r.Keys.Current(keyring.ContentHashes)))
	if o, found := r.shelves.find(r.on.Swarm, f.kind, a.Name); found {
		return swarm.Object{ID: o.id, Name: a.Name}, nil
	}
	var id string
	err := r.on.Write(ctx, "create", audit.Object{Kind: objectKindName(f.kind), Name: a.Name}, func(ctx context.Context, eng engine.Engine) (err error) {
		if f.kind == engine.Secrets {
			id, err = eng.SecretCreate(ctx, engineswarm.SecretSpec{Annotations: a, Data: f.data})
		} else {
			id, err = eng.ConfigCreate(ctx, engineswarm.ConfigSpec{Annotations: a, Data: f.data})
		}
		return err
	})
	switch {
	case id != "":
		// It is there, also where the trail could not say so.
	case engine.IsConflict(err):
		objects, listErr := r.on.Engine.List(ctx, f.kind, engine.ListOptions{Names: []string{a.Name}})
		if listErr != nil {
			return swarm.Object{}, listErr
		}
		if len(objects) == 0 {
			return swarm.Object{}, err
		}
		if objects[0].Labels[dcv1.LabelOwnerUID] != string(r.svc.UID) {
			return swarm.Object{}, &SpecFault{dcv1.ReasonConflict, fmt.Sprintf("%s: the swarm has a %s %q that is not this object's; remove it.", f.field, fileNoun(f.kind), a.Name)}
		}
		id = objects[0].ID
	default:
		return swarm.Object{}, err
	}
	r.shelves.add(r.on.Swarm, f.kind, a.Name, ownedObject{id: id, owner: string(r.svc.UID), namespace: r.svc.Namespace, name: r.svc.Name, created: r.Clock.Now()})
	return swarm.Object{ID: id, Name: a.Name}, nil
}

func objectKindName(kind engine.Kind) string {
	switch kind {
	case engine.Secrets:
		return "Secret"
	case engine.Networks:
		return "Network"
	}
	return "Config"
}
