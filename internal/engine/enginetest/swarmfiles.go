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

package enginetest

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/swarm"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// fileCalls are the calls for secrets, or for configs.
type fileCalls struct {
	kind   engine.Kind
	create func(ctx context.Context, a swarm.Annotations, data []byte) (string, error)
	remove func(ctx context.Context, id string) error
	attach func(c *swarm.ContainerSpec, id, name string)
}

func (s *suite) secretCalls() fileCalls {
	return fileCalls{
		engine.Secrets,
		func(ctx context.Context, a swarm.Annotations, data []byte) (string, error) {
			return s.e.SecretCreate(ctx, swarm.SecretSpec{Annotations: a, Data: data})
		},
		s.e.SecretRemove,
		func(c *swarm.ContainerSpec, id, name string) {
			c.Secrets = []*swarm.SecretReference{{SecretID: id, SecretName: name, File: &swarm.SecretReferenceFileTarget{Name: "f", UID: "0", GID: "0", Mode: 0o400}}}
		},
	}
}

func (s *suite) configCalls() fileCalls {
	return fileCalls{
		engine.Configs,
		func(ctx context.Context, a swarm.Annotations, data []byte) (string, error) {
			return s.e.ConfigCreate(ctx, swarm.ConfigSpec{Annotations: a, Data: data})
		},
		s.e.ConfigRemove,
		func(c *swarm.ContainerSpec, id, name string) {
			c.Configs = []*swarm.ConfigReference{{ConfigID: id, ConfigName: name, File: &swarm.ConfigReferenceFileTarget{Name: "f", UID: "0", GID: "0", Mode: 0o400}}}
		},
	}
}

func (s *suite) testSecrets(t *testing.T) { s.testFiles(t, s.secretCalls()) }
func (s *suite) testConfigs(t *testing.T) { s.testFiles(t, s.configCalls()) }

func (s *suite) testFiles(t *testing.T, calls fileCalls) {
	ctx := s.context(t)
	name, label := s.name("file"), ownLabel+"/file"
	data := []byte("canary-content")
	create := func(name string, labels map[string]string) string {
		t.Helper()
		id, err := calls.create(ctx, swarm.Annotations{Name: name, Labels: labels}, data)
		s.must(t, "create", err)
		s.cleanup(t, "remove", func(ctx context.Context) error { return calls.remove(ctx, id) })
		return id
	}
	id := create(name, map[string]string{label: "x"})
	longer := create(name+"-longer", nil)

	for what, tt := range map[string]struct {
		opts engine.ListOptions
		want []string
	}{
		"by name":                 {engine.ListOptions{Names: []string{name, "nothing"}}, []string{id}},
		"by the longer name":      {engine.ListOptions{Names: []string{name + "-longer"}}, []string{longer}},
		"by id":                   {engine.ListOptions{IDs: []string{longer}}, []string{longer}},
		"by label":                {engine.ListOptions{Label: label}, []string{id}},
		"by label and value":      {engine.ListOptions{Label: label + "=x"}, []string{id}},
		"by another value":        {engine.ListOptions{Label: label + "=y"}, nil},
		"by another name":         {engine.ListOptions{Names: []string{"nothing"}}, nil},
		"by the name's beginning": {engine.ListOptions{Names: []string{name[:len(name)-1]}}, nil},
	} {
		objects, err := s.e.List(ctx, calls.kind, tt.opts)
		s.must(t, "list "+what, err)
		var got []string
		for _, o := range objects {
			got = append(got, o.ID)
		}
		if strings.Join(got, " ") != strings.Join(tt.want, " ") {
			t.Errorf("listed %s: %v, want %v", what, got, tt.want)
		}
	}
	o, found := s.find(t, calls.kind, id)
	if !found || o.Name != name || o.Labels[label] != "x" || o.Version == 0 || o.Created.IsZero() {
		t.Errorf("it is listed as %+v", o)
	}
	raw, err := s.e.Inspect(ctx, calls.kind, id)
	s.must(t, "inspect", err)
	if calls.kind == engine.Secrets && (bytes.Contains(raw, []byte("canary")) || bytes.Contains(raw, []byte("Y2FuYXJ5"))) {
		t.Error("the engine tells a secret's content")
	}

	_, err = calls.create(ctx, swarm.Annotations{Name: name}, data)
	s.want(t, "create one of the same name", err, engine.ClassConflict)
	_, err = calls.create(ctx, swarm.Annotations{Name: strings.Repeat("x", 65)}, data)
	s.want(t, "create one of a long name", err, engine.ClassInvalid)
	_, err = calls.create(ctx, swarm.Annotations{Name: s.name("large")}, bytes.Repeat([]byte("x"), 1<<20))
	s.want(t, "create a large one", err, engine.ClassInvalid)

	spec := s.serviceSpec(s.name("svc"), 0, nil)
	calls.attach(spec.TaskTemplate.ContainerSpec, id, name)
	service := s.createService(t, spec)
	s.want(t, "remove one in use", calls.remove(ctx, id), engine.ClassInvalid)
	s.must(t, "remove the service", s.e.ServiceRemove(ctx, service))
	s.must(t, "remove", calls.remove(ctx, id))
	s.want(t, "remove it again", calls.remove(ctx, id), engine.ClassNotFound)
	spec.Name = s.name("svc")
	_, err = s.e.ServiceCreate(ctx, spec)
	s.want(t, "create a service that names one that is gone", err, engine.ClassInvalid)
}
