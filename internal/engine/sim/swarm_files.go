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

package sim

import (
	"net/http"
	"regexp"
	"slices"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/swarm"
)

// fileKind is secret or config, as messages call them.
type fileKind string

const (
	secretFiles fileKind = "secret"
	configFiles fileKind = "config"
)

// maxBytes is what the engine takes of each.
func (k fileKind) maxBytes() int {
	if k == secretFiles {
		return 500 << 10
	}
	return 1000 << 10
}

// fileObject is a secret or a config. It never changes; Swarm.mu guards the lists.
type fileObject struct {
	meta
	id     string
	name   string
	labels map[string]string
	data   []byte
}

func (f *fileObject) json(kind fileKind) any {
	annotations := swarm.Annotations{Name: f.name, Labels: f.labels}
	if kind == secretFiles { // its data is never told
		return swarm.Secret{ID: f.id, Meta: f.meta.json(), Spec: swarm.SecretSpec{Annotations: annotations}}
	}
	return swarm.Config{ID: f.id, Meta: f.meta.json(), Spec: swarm.ConfigSpec{Annotations: annotations, Data: f.data}}
}

var fileName = regexp.MustCompile(`^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?$`)

func (s *Swarm) createSecret(_ *request, spec *swarm.SecretSpec) (int, any, error) {
	return s.createFile(secretFiles, spec.Annotations, spec.Data)
}

func (s *Swarm) createConfig(_ *request, spec *swarm.ConfigSpec) (int, any, error) {
	return s.createFile(configFiles, spec.Annotations, spec.Data)
}

func (s *Swarm) createFile(kind fileKind, a swarm.Annotations, data []byte) (int, any, error) {
	switch {
	case len(a.Name) > 64 || !fileName.MatchString(a.Name):
		return 0, nil, invalid("invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]")
	case len(data) == 0 || len(data) > kind.maxBytes():
		return 0, nil, invalid("%s data must be larger than 0 and less than %d bytes", kind, kind.maxBytes())
	case slices.ContainsFunc(s.files[kind], func(f *fileObject) bool { return f.name == a.Name }):
		return 0, nil, errorf(http.StatusConflict, "rpc error: code = AlreadyExists desc = %s %s already exists", kind, a.Name)
	}
	f := &fileObject{id: swarmID(string(kind), newID()), name: a.Name, labels: a.Labels, data: data}
	s.touch(&f.meta)
	s.files[kind] = append(s.files[kind], f)
	s.emit(events.Type(kind), events.ActionCreate, f.id, "name", f.name)
	return http.StatusCreated, struct{ ID string }{f.id}, nil
}

func (s *Swarm) file(kind fileKind, ref string) (*fileObject, error) {
	return byRef(s.files[kind], string(kind), ref, func(f *fileObject) string { return f.id }, func(f *fileObject) string { return f.name })
}

func listFiles(kind fileKind) func(*Swarm, *request) (int, any, error) {
	return func(s *Swarm, r *request) (int, any, error) {
		f, err := parseFilters(r)
		if err == nil {
			err = f.allow("id", "name", "names", "label")
		}
		if err != nil {
			return 0, nil, err
		}
		list := []any{}
		for _, o := range s.files[kind] {
			if f.prefix("id", o.id) && f.prefix("name", o.name) && f.exact("names", o.name) && f.labels("label", o.labels) {
				list = append(list, o.json(kind))
			}
		}
		return http.StatusOK, list, nil
	}
}

func inspectFile(kind fileKind) func(*Swarm, *request) (int, any, error) {
	return func(s *Swarm, r *request) (int, any, error) {
		f, err := s.file(kind, r.name)
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, f.json(kind), nil
	}
}

func removeFile(kind fileKind) func(*Swarm, *request) (int, any, error) {
	return func(s *Swarm, r *request) (int, any, error) {
		f, err := s.file(kind, r.name)
		if err != nil {
			return 0, nil, err
		}
		for _, v := range s.services {
			if slices.Contains(filesOf(v.spec, kind), f.id) {
				return 0, nil, invalid("%s '%s' is in use by the following service: %s", kind, f.name, v.spec.Name)
			}
		}
		s.files[kind] = slices.DeleteFunc(s.files[kind], func(o *fileObject) bool { return o == f })
		s.emit(events.Type(kind), events.ActionRemove, f.id, "name", f.name)
		return http.StatusNoContent, nil, nil
	}
}

// filesOf are the ids of the secrets or configs that a service names.
func filesOf(spec *swarm.ServiceSpec, kind fileKind) (ids []string) {
	c := spec.TaskTemplate.ContainerSpec
	if c == nil {
		return nil
	}
	if kind == secretFiles {
		for _, ref := range c.Secrets {
			ids = append(ids, ref.SecretID)
		}
		return ids
	}
	for _, ref := range c.Configs {
		ids = append(ids, ref.ConfigID)
	}
	return ids
}

// checkFiles refuses a service that names what the swarm does not have.
func (s *Swarm) checkFiles(spec *swarm.ServiceSpec) error {
	for _, kind := range []fileKind{secretFiles, configFiles} {
		for _, id := range filesOf(spec, kind) {
			if !slices.ContainsFunc(s.files[kind], func(f *fileObject) bool { return f.id == id }) {
				return invalid("%s not found: %s", kind, id)
			}
		}
	}
	return nil
}
