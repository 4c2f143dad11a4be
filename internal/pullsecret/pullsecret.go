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

package pullsecret

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	corev1 "k8s.io/api/core/v1"
)

// dockerConfig is what a dockerconfigjson holds.
type dockerConfig struct {
	Auths map[string]struct {
		Username, Password, Auth     string
		IdentityToken, RegistryToken string
	} `json:"auths"`
}

// Auth returns the value of X-Registry-Auth for the registry of an image, or what is wrong
// with the Secret, as the end of a sentence that begins with it. That holds no part of
// its content.
func Auth(secret *corev1.Secret, image reference.Named) (header, problem string) {
	raw := secret.Data[corev1.DockerConfigJsonKey]
	if secret.Type != corev1.SecretTypeDockerConfigJson || len(raw) == 0 {
		return "", "is not of the type " + string(corev1.SecretTypeDockerConfigJson)
	}
	var config dockerConfig
	if json.Unmarshal(raw, &config) != nil {
		return "", "holds no docker config"
	}
	domain := reference.Domain(image)
	key, found := matchRegistry(config, domain, domain+"/"+reference.Path(image))
	if !found {
		return "", "has no credentials for " + domain
	}
	entry := config.Auths[key]
	auth := registry.AuthConfig{
		Username: entry.Username, Password: entry.Password, IdentityToken: entry.IdentityToken, RegistryToken: entry.RegistryToken,
		ServerAddress: key,
	}
	if entry.Auth != "" {
		pair, err := base64.StdEncoding.DecodeString(entry.Auth)
		user, password, ok := strings.Cut(strings.TrimRight(string(pair), "\x00"), ":")
		if err != nil || !ok {
			return "", "has credentials for " + domain + " that cannot be read: auth must be user:password in base64"
		}
		auth.Username, auth.Password = user, password
	}
	b, err := json.Marshal(auth) //nolint:gosec // it is the header that the engine wants, and goes nowhere else
	if err != nil {
		return "", "has credentials for " + domain + " that cannot be read"
	}
	return base64.URLEncoding.EncodeToString(b), ""
}

// dockerHub are the names that Docker Hub's credentials have.
var dockerHub = []string{"docker.io", "index.docker.io", "registry-1.docker.io"}

// matchRegistry picks the entry for a registry: by its host, and where entries name a path
// as Kubernetes allows, by the longest one that the repository is below.
func matchRegistry(config dockerConfig, domain, repository string) (key string, found bool) {
	best := -1
	for k := range config.Auths {
		host, path := registryKey(k)
		same := host == domain
		for _, alias := range dockerHub {
			same = same || domain == "docker.io" && host == alias
		}
		if !same || path != "" && !below(repository, domain+"/"+path) {
			continue
		}
		// Of equal ones the first in order, so that the choice is always the same.
		if len(path) > best || len(path) == best && k < key {
			key, best = k, len(path)
		}
	}
	return key, best >= 0
}

// registryKey takes a key of auths apart: https://index.docker.io/v1/, host:5000,
// host/team.
func registryKey(k string) (host, path string) {
	for _, scheme := range []string{"https://", "http://"} {
		k = strings.TrimPrefix(k, scheme)
	}
	host, path, _ = strings.Cut(strings.TrimSuffix(k, "/"), "/")
	if path == "v1" || path == "v2" {
		path = ""
	}
	return strings.ToLower(host), path
}

func below(repository, prefix string) bool {
	return repository == prefix || strings.HasPrefix(repository, strings.TrimSuffix(prefix, "/")+"/")
}
