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
	"bytes"
	"context"
	"fmt"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// maxVariable is what the CRD allows for a value that is written in it.
const maxVariable = 64 << 10

// sources reads the Secrets and ConfigMaps that one spec names, each once. Nothing of them
// outlives it.
type sources struct {
	live       client.Reader
	namespace  string
	secrets    map[string]*corev1.Secret // nil where there is none
	configMaps map[string]*corev1.ConfigMap
}

func newSources(live client.Reader, namespace string) *sources {
	return &sources{live, namespace, map[string]*corev1.Secret{}, map[string]*corev1.ConfigMap{}}
}

// secret returns a Secret, or nil where there is none.
func (s *sources) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	secret, asked := s.secrets[name]
	if asked {
		return secret, nil
	}
	secret = &corev1.Secret{}
	found, err := s.get(ctx, "Secret", name, secret)
	if err != nil {
		return nil, err
	}
	if !found {
		secret = nil
	}
	s.secrets[name] = secret
	return secret, nil
}

func (s *sources) configMap(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	configMap, asked := s.configMaps[name]
	if asked {
		return configMap, nil
	}
	configMap = &corev1.ConfigMap{}
	found, err := s.get(ctx, "ConfigMap", name, configMap)
	if err != nil {
		return nil, err
	}
	if !found {
		configMap = nil
	}
	s.configMaps[name] = configMap
	return configMap, nil
}

func (s *sources) get(ctx context.Context, kind, name string, obj client.Object) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, secretReadTimeout)
	defer cancel()
	err = s.live.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, obj)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("reading %s %s/%s: %w", kind, s.namespace, name, err)
	}
	return err == nil, nil
}

// secretKey returns what a Secret has under a key. Where it has nothing, and the reference
// is not optional, that is a fault of the field.
func (s *sources) secretKey(ctx context.Context, field string, ref *dcv1.LocalKeyReference) (data []byte, found bool, err error) {
	secret, err := s.secret(ctx, ref.Name)
	if err != nil {
		return nil, false, err
	}
	if secret != nil {
		data, found = secret.Data[ref.Key]
	}
	if found || isTrue(ref.Optional) {
		return data, found, nil
	}
	return nil, false, s.missing(dcv1.ReasonSecretNotFound, field, "Secret", ref, secret != nil)
}

// configMapKey is secretKey for a ConfigMap.
func (s *sources) configMapKey(ctx context.Context, field string, ref *dcv1.LocalKeyReference) (data []byte, found bool, err error) {
	configMap, err := s.configMap(ctx, ref.Name)
	if err != nil {
		return nil, false, err
	}
	if configMap != nil {
		var text string
		if text, found = configMap.Data[ref.Key]; found {
			data = []byte(text)
		} else {
			data, found = configMap.BinaryData[ref.Key]
		}
	}
	if found || isTrue(ref.Optional) {
		return data, found, nil
	}
	return nil, false, s.missing(dcv1.ReasonConfigNotFound, field, "ConfigMap", ref, configMap != nil)
}

func (s *sources) missing(reason, field, kind string, ref *dcv1.LocalKeyReference, there bool) *SpecFault {
	if there {
		return &SpecFault{reason, fmt.Sprintf("%s: the %s %q has no key %q; add it, or set optional.", field, kind, ref.Name, ref.Key)}
	}
	return &SpecFault{reason, fmt.Sprintf("%s: there is no %s %q in namespace %q; create it, or set optional.", field, kind, ref.Name, s.namespace)}
}

// noVariable says why bytes cannot be the value of a variable, or "".
func noVariable(data []byte) string {
	switch {
	case len(data) > maxVariable:
		return fmt.Sprintf("has %d bytes, more than %d: use a file of spec.secrets or spec.configs", len(data), maxVariable)
	case !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0:
		return "is no text in UTF-8: use a file of spec.secrets or spec.configs"
	}
	return ""
}
