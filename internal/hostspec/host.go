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

package hostspec

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// Defaults of a DockerHost's spec, for objects that were stored before the API
// server knew them. They are the CRD's own.
const (
	defaultInterval         = 10 * time.Second
	defaultTimeout          = 5 * time.Second
	defaultFailureThreshold = 3
	defaultSuccessThreshold = 1
	defaultMaxConnections   = 64
	defaultIdleTimeout      = 90 * time.Second
)

// EndpointPolicy says which endpoints the manager may connect to.
type EndpointPolicy struct {
	// UnixNamespaces may hold unix:// endpoints; "*" stands for all.
	UnixNamespaces []string
	// Addresses is checked again on the address actually dialled.
	Addresses engine.AddressPolicy
}

func (p EndpointPolicy) allowsUnix(namespace string) bool {
	return slices.Contains(p.UnixNamespaces, namespace) || slices.Contains(p.UnixNamespaces, "*")
}

// SecretName returns the Secret that a host's credentials are in, or "".
func SecretName(spec *dcv1.DockerHostSpec) string {
	switch {
	case spec.TLS != nil:
		return spec.TLS.SecretRef.Name
	case spec.SSH != nil:
		return spec.SSH.SecretRef.Name
	}
	return ""
}

// Secret is the outcome of reading the Secret that a spec names.
type Secret struct {
	// Found is false where there is no such Secret.
	Found bool
	Data  map[string][]byte
}

// FromSpec makes what the host cache is told out of a DockerHost and its
// Secret. It never fails: what is wrong stands in Host.ConfigErr.
func FromSpec(host *dcv1.DockerHost, secret Secret, policy EndpointPolicy) hostcache.Host {
	h := hostcache.Host{
		Key:        hostcache.Key{Namespace: host.Namespace, Name: host.Name},
		UID:        host.UID,
		Generation: host.Generation,
		Suspended:  isTrue(host.Spec.Suspend),
		Health:     healthCheck(host.Spec.HealthCheck),
	}
	h.Config, h.ConfigErr = engineConfig(host, secret, policy)
	return h
}

func engineConfig(host *dcv1.DockerHost, secret Secret, policy EndpointPolicy) (engine.Config, *engine.Error) {
	spec := &host.Spec
	endpoint, err := engine.ParseEndpoint(spec.Endpoint)
	if err != nil {
		return engine.Config{}, engine.Errorf(engine.ClassInvalid, engine.CauseEndpointInvalid, "spec.endpoint cannot be used: %w.", err)
	}
	if endpoint.Scheme == engine.SchemeUnix && !policy.allowsUnix(host.Namespace) {
		return engine.Config{}, engine.Errorf(engine.ClassForbidden, engine.CauseEndpointForbidden,
			"A unix:// endpoint is the manager's own machine, and namespace %q may not use it: add the namespace to the manager's --unix-endpoint-namespaces, or use tcp:// or ssh://.", host.Namespace)
	}
	cfg := engine.Config{
		Endpoint:       endpoint,
		MaxConnections: int(orDefault(spec.Connection.MaxConnections, defaultMaxConnections)),
		IdleTimeout:    durationOr(spec.Connection.IdleTimeout, defaultIdleTimeout),
		Timeout:        durationOr(spec.HealthCheck.Timeout, defaultTimeout),
		Policy:         policy.Addresses,
	}
	switch endpoint.Scheme {
	case engine.SchemeTCP:
		return tcpConfig(cfg, spec, secret)
	case engine.SchemeSSH:
		return sshConfig(cfg, spec, secret)
	}
	return cfg, nil
}

// tcpConfig and sshConfig repeat the CRD's own rules: an object may have been
// stored while the CRD was older, and plain text must never be a fallback.
func tcpConfig(cfg engine.Config, spec *dcv1.DockerHostSpec, secret Secret) (engine.Config, *engine.Error) {
	if spec.TLS == nil {
		if !isTrue(spec.Insecure) {
			return engine.Config{}, engine.Errorf(engine.ClassInvalid, engine.CauseEndpointInvalid,
				"spec.tls is required for a tcp:// endpoint; to talk in plain text without authentication, set spec.insecure to true.")
		}
		return cfg, nil
	}
	name := spec.TLS.SecretRef.Name
	if err := requireKeys(name, secret, dcv1.SecretKeyCA, dcv1.SecretKeyCert, dcv1.SecretKeyKey); err != nil {
		return engine.Config{}, err
	}
	cfg.TLS = &engine.TLSConfig{
		CA:         secret.Data[dcv1.SecretKeyCA],
		Cert:       secret.Data[dcv1.SecretKeyCert],
		Key:        secret.Data[dcv1.SecretKeyKey],
		ServerName: spec.TLS.ServerName,
	}
	return cfg, nil
}

func sshConfig(cfg engine.Config, spec *dcv1.DockerHostSpec, secret Secret) (engine.Config, *engine.Error) {
	if spec.SSH == nil {
		return engine.Config{}, engine.Errorf(engine.ClassInvalid, engine.CauseEndpointInvalid,
			"spec.ssh is required for an ssh:// endpoint: spec.ssh.secretRef names the Secret with the keys ssh-privatekey and known_hosts.")
	}
	name := spec.SSH.SecretRef.Name
	if err := requireKeys(name, secret, dcv1.SecretKeySSHKey, dcv1.SecretKeyKnownHosts); err != nil {
		return engine.Config{}, err
	}
	cfg.SSH = &engine.SSHConfig{
		PrivateKey: secret.Data[dcv1.SecretKeySSHKey],
		Passphrase: secret.Data[dcv1.SecretKeyPassphrase],
		KnownHosts: secret.Data[dcv1.SecretKeyKnownHosts],
	}
	return cfg, nil
}

func requireKeys(name string, secret Secret, keys ...string) *engine.Error {
	if !secret.Found {
		return engine.Errorf(engine.ClassAuth, engine.CauseCredentialsMissing,
			"Secret %q is not in the host's namespace: create it with the keys %s.", name, list(keys))
	}
	var missing []string
	for _, key := range keys {
		if len(secret.Data[key]) == 0 {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		return engine.Errorf(engine.ClassAuth, engine.CauseCredentialsMissing,
			"Secret %q lacks %s: add it to the Secret's data.", name, list(missing))
	}
	return nil
}

func list(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		s := words[0]
		for _, w := range words[1 : n-1] {
			s += ", " + w
		}
		return s + " and " + words[n-1]
	}
}

func healthCheck(hc dcv1.DockerHostHealthCheck) hostcache.HealthCheck {
	return hostcache.HealthCheck{
		Interval:         durationOr(hc.Interval, defaultInterval),
		Timeout:          durationOr(hc.Timeout, defaultTimeout),
		FailureThreshold: int(orDefault(hc.FailureThreshold, defaultFailureThreshold)),
		SuccessThreshold: int(orDefault(hc.SuccessThreshold, defaultSuccessThreshold)),
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

func orDefault(n, def int32) int32 {
	if n <= 0 {
		return def
	}
	return n
}

func durationOr(d *metav1.Duration, def time.Duration) time.Duration {
	if d == nil || d.Duration <= 0 {
		return def
	}
	return d.Duration
}
