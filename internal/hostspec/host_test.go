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
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func hostWith(spec dcv1.DockerHostSpec) *dcv1.DockerHost {
	return &dcv1.DockerHost{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "edge", UID: "u1", Generation: 7},
		Spec:       spec,
	}
}

func secretWith(keys ...string) Secret {
	data := map[string][]byte{}
	for _, k := range keys {
		data[k] = []byte("value of " + k)
	}
	return Secret{Found: true, Data: data}
}

func TestFromSpecErrors(t *testing.T) {
	tlsSpec := dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2376", TLS: &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: "certs"}}}
	sshSpec := dcv1.DockerHostSpec{Endpoint: "ssh://docker@10.0.0.5", SSH: &dcv1.DockerHostSSH{SecretRef: dcv1.LocalSecretReference{Name: "key"}}}
	tests := map[string]struct {
		spec   dcv1.DockerHostSpec
		secret Secret
		cause  engine.Cause
		says   []string
	}{
		"unix where it is not allowed": {dcv1.DockerHostSpec{Endpoint: "unix:///var/run/docker.sock"}, Secret{}, engine.CauseEndpointForbidden, []string{`"team"`, "--unix-endpoint-namespaces"}},
		"malformed":                    {dcv1.DockerHostSpec{Endpoint: "tcp://nowhere"}, Secret{}, engine.CauseEndpointInvalid, []string{"spec.endpoint", "host:port"}},
		"tcp without tls":              {dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2375"}, Secret{}, engine.CauseEndpointInvalid, []string{"spec.tls", "spec.insecure"}},
		"ssh without ssh":              {dcv1.DockerHostSpec{Endpoint: "ssh://docker@10.0.0.5"}, Secret{}, engine.CauseEndpointInvalid, []string{"spec.ssh", "known_hosts"}},
		"no Secret":                    {tlsSpec, Secret{}, engine.CauseCredentialsMissing, []string{`"certs"`, "ca.crt, tls.crt and tls.key"}},
		"Secret without key":           {tlsSpec, secretWith("ca.crt", "tls.crt"), engine.CauseCredentialsMissing, []string{`"certs" lacks tls.key`}},
		"empty ssh Secret":             {sshSpec, secretWith(), engine.CauseCredentialsMissing, []string{"ssh-privatekey and known_hosts"}},
		"no known_hosts":               {sshSpec, secretWith("ssh-privatekey"), engine.CauseCredentialsMissing, []string{`"key" lacks known_hosts`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := FromSpec(hostWith(tt.spec), tt.secret, EndpointPolicy{UnixNamespaces: []string{"other"}})
			if h.ConfigErr == nil || h.ConfigErr.Cause != tt.cause {
				t.Fatalf("ConfigErr = %+v, want cause %s", h.ConfigErr, tt.cause)
			}
			for _, s := range tt.says {
				if !strings.Contains(h.ConfigErr.Error(), s) {
					t.Errorf("message %q does not say %q", h.ConfigErr.Error(), s)
				}
			}
		})
	}
}

func TestFromSpec(t *testing.T) {
	spec := dcv1.DockerHostSpec{
		Endpoint: "tcp://10.0.0.5:2376",
		TLS:      &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: "certs"}, ServerName: "engine"},
		Suspend:  ptr.To(true),
		HealthCheck: dcv1.DockerHostHealthCheck{
			Interval: &metav1.Duration{Duration: 2 * time.Second}, Timeout: &metav1.Duration{Duration: time.Second}, FailureThreshold: 5, SuccessThreshold: 2,
		},
		Connection: dcv1.DockerHostConnection{MaxConnections: 9, IdleTimeout: &metav1.Duration{Duration: time.Minute}},
	}
	policy := EndpointPolicy{Addresses: engine.AddressPolicy{Loopback: true}}
	h := FromSpec(hostWith(spec), secretWith("ca.crt", "tls.crt", "tls.key"), policy)
	if h.ConfigErr != nil {
		t.Fatal(h.ConfigErr)
	}
	if h.Key.String() != "team/edge" || h.UID != "u1" || h.Generation != 7 || !h.Suspended {
		t.Errorf("identity was not carried: %+v", h)
	}
	if h.Health.Interval != 2*time.Second || h.Health.Timeout != time.Second || h.Health.FailureThreshold != 5 || h.Health.SuccessThreshold != 2 {
		t.Errorf("health check was not carried: %+v", h.Health)
	}
	c := h.Config
	if c.MaxConnections != 9 || c.IdleTimeout != time.Minute || c.Timeout != time.Second || !c.Policy.Loopback {
		t.Errorf("connection was not carried: %+v", c)
	}
	if c.TLS == nil || c.TLS.ServerName != "engine" || string(c.TLS.Key) != "value of tls.key" {
		t.Errorf("credentials were not carried: %+v", c.TLS)
	}
}

func TestFromSpecDefaults(t *testing.T) {
	for _, namespaces := range [][]string{{"team"}, {"*"}} {
		h := FromSpec(hostWith(dcv1.DockerHostSpec{Endpoint: "unix:///run/docker.sock"}), Secret{}, EndpointPolicy{UnixNamespaces: namespaces})
		if h.ConfigErr != nil {
			t.Fatal(h.ConfigErr)
		}
		if h.Health.Interval != 10*time.Second || h.Health.Timeout != 5*time.Second || h.Health.FailureThreshold != 3 || h.Health.SuccessThreshold != 1 {
			t.Errorf("health check defaults: %+v", h.Health)
		}
		if h.Config.MaxConnections != 64 || h.Config.Endpoint.Path != "/run/docker.sock" {
			t.Errorf("connection defaults: %+v", h.Config)
		}
	}
}

func TestEveryCauseHasAReason(t *testing.T) {
	for _, c := range []engine.Cause{
		engine.CauseEndpointInvalid, engine.CauseEndpointForbidden, engine.CauseCredentialsMissing, engine.CauseCredentialsInvalid,
		engine.CauseCertificateExpired, engine.CauseCertificateUntrusted, engine.CauseHostKeyMismatch, engine.CauseAuthenticationFailed,
		engine.CauseForwardingRefused, engine.CauseDialFailed, engine.CauseNameNotResolved, engine.CauseTimeout, engine.CauseAPIVersion, engine.CauseEngineError,
	} {
		if reasonByCause[c] != string(c) {
			t.Errorf("cause %s has reason %q: the two are one word", c, reasonByCause[c])
		}
	}
}
