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

package controllers_test

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestValidation applies specs to a real API server: each is refused with a
// sentence that names the field, or taken.
func TestValidation(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	ref := dcv1.LocalSecretReference{Name: "creds"}
	withTLS := &dcv1.DockerHostTLS{SecretRef: ref}
	withSSH := &dcv1.DockerHostSSH{SecretRef: ref}
	seconds := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	tests := map[string]struct {
		spec dcv1.DockerHostSpec
		says string // "" for a spec that is taken
	}{
		"unix":                  {dcv1.DockerHostSpec{Endpoint: "unix:///var/run/docker.sock"}, ""},
		"tcp with tls":          {dcv1.DockerHostSpec{Endpoint: "tcp://engine.example:2376", TLS: withTLS}, ""},
		"tcp v6 with tls":       {dcv1.DockerHostSpec{Endpoint: "tcp://[2001:db8::1]:2376", TLS: withTLS}, ""},
		"tcp insecure":          {dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2375", Insecure: ptr.To(true)}, ""},
		"ssh":                   {dcv1.DockerHostSpec{Endpoint: "ssh://docker@10.0.0.5", SSH: withSSH}, ""},
		"ssh with port, socket": {dcv1.DockerHostSpec{Endpoint: "ssh://docker@10.0.0.5:2222/run/user/1000/docker.sock", SSH: withSSH}, ""},

		"no endpoint":               {dcv1.DockerHostSpec{Suspend: ptr.To(true)}, "spec.endpoint"},
		"unknown scheme":            {dcv1.DockerHostSpec{Endpoint: "http://10.0.0.5:2375"}, "spec.endpoint must begin with unix://, tcp:// or ssh://"},
		"npipe":                     {dcv1.DockerHostSpec{Endpoint: "npipe:////./pipe/docker_engine"}, "spec.endpoint must begin with"},
		"relative socket":           {dcv1.DockerHostSpec{Endpoint: "unix://run/docker.sock"}, "absolute path"},
		"tcp without port":          {dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5", TLS: withTLS}, "tcp://host:port"},
		"tcp with path":             {dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2376/x", TLS: withTLS}, "nothing after the port"},
		"tcp bare":                  {dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2375"}, "spec.tls is required"},
		"tcp insecure false":        {dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2375", Insecure: ptr.To(false)}, "spec.tls is required"},
		"tls and insecure":          {dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2376", TLS: withTLS, Insecure: ptr.To(true)}, "spec.insecure goes with"},
		"tls on unix":               {dcv1.DockerHostSpec{Endpoint: "unix:///run/docker.sock", TLS: withTLS}, "spec.tls goes with a tcp:// endpoint only"},
		"ssh without secret":        {dcv1.DockerHostSpec{Endpoint: "ssh://docker@10.0.0.5"}, "known_hosts"},
		"ssh without a user":        {dcv1.DockerHostSpec{Endpoint: "ssh://10.0.0.5", SSH: withSSH}, "ssh://user@host"},
		"ssh with a password":       {dcv1.DockerHostSpec{Endpoint: "ssh://docker:secret@10.0.0.5", SSH: withSSH}, "without a password"},
		"ssh on tcp":                {dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2376", TLS: withTLS, SSH: withSSH}, "spec.ssh goes with an ssh:// endpoint only"},
		"bad secret name":           {dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2376", TLS: &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: "../x"}}}, "name of a Secret"},
		"interval too short":        {dcv1.DockerHostSpec{Endpoint: "unix:///run/d.sock", HealthCheck: dcv1.DockerHostHealthCheck{Interval: seconds(time.Millisecond)}}, "spec.healthCheck.interval must be from 1s"},
		"timeout too long":          {dcv1.DockerHostSpec{Endpoint: "unix:///run/d.sock", HealthCheck: dcv1.DockerHostHealthCheck{Timeout: seconds(time.Hour)}}, "spec.healthCheck.timeout"},
		"negative failureThreshold": {dcv1.DockerHostSpec{Endpoint: "unix:///run/d.sock", HealthCheck: dcv1.DockerHostHealthCheck{FailureThreshold: -1}}, "spec.healthCheck.failureThreshold"},
		"endless endpoint":          {dcv1.DockerHostSpec{Endpoint: "unix:///" + strings.Repeat("x", 600)}, "spec.endpoint"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			host := &dcv1.DockerHost{ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "v-"}, Spec: tt.spec}
			err := cluster.Client.Create(t.Context(), host)
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.says != "" && err == nil:
				t.Errorf("taken, want a refusal that says %q", tt.says)
			case tt.says != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("error = %v, want Invalid that says %q", err, tt.says)
			}
		})
	}
}

func TestDefaultsAreStored(t *testing.T) {
	cluster := testenv.Start(t)
	host := &dcv1.DockerHost{
		ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Namespace(t), Name: "plain"},
		Spec:       dcv1.DockerHostSpec{Endpoint: "unix:///var/run/docker.sock"},
	}
	cluster.Create(t, host)
	hc, conn := host.Spec.HealthCheck, host.Spec.Connection
	if hc.Interval.Duration != 10*time.Second || hc.Timeout.Duration != 5*time.Second ||
		hc.FailureThreshold != 3 || hc.SuccessThreshold != 1 {
		t.Errorf("healthCheck = %+v", hc)
	}
	if conn.MaxConnections != 64 || conn.IdleTimeout.Duration != 90*time.Second {
		t.Errorf("connection = %+v", conn)
	}
}
