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

package e2e

import (
	"testing"
	"time"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestTLSCredentials puts every fault a Secret can have before a real engine with
// --tlsverify: each has its reason, and its repair connects.
func TestTLSCredentials(t *testing.T) {
	b := newBed(t)
	ca, stranger := testbed.NewCA(t, "fleet"), testbed.NewCA(t, "stranger")
	d := testbed.StartDockerd(t, testbed.DockerdOptions{TCP: true, CA: ca})
	good := tlsData(ca, ca.Client(t))
	with := func(key string, value []byte) map[string][]byte {
		data := map[string][]byte{}
		for k, v := range good {
			data[k] = v
		}
		if data[key] = value; value == nil {
			delete(data, key)
		}
		return data
	}

	host := b.tlsHost("remote", d.TCPEndpoint(), "certs")
	b.Create(t, host)
	t.Logf("Secret missing: reported after %s", b.WaitReady(t, host, "False/CredentialsMissing", promptly))
	secret := b.secret(t, "certs", good)
	t.Logf("Secret created: connected after %s", b.WaitReady(t, host, "True/Connected", promptly))
	if c := host.Status.Credentials; c == nil || c.NotAfter == nil || c.Fingerprint == "" {
		t.Errorf("credentials = %+v, want an expiry and a fingerprint", c)
	}

	expired := ca.Issue(t, testbed.ForClient, testbed.Expired)
	faults := []struct {
		name, reason string
		data         map[string][]byte
	}{
		{"no tls.key", dcv1.ReasonCredentialsMissing, with("tls.key", nil)},
		{"no ca.crt", dcv1.ReasonCredentialsMissing, with("ca.crt", nil)},
		{"tls.crt is no PEM", dcv1.ReasonCredentialsInvalid, with("tls.crt", []byte("certificate"))},
		{"ca.crt is no PEM", dcv1.ReasonCredentialsInvalid, with("ca.crt", []byte("\x00\x01"))},
		{"key of another certificate", dcv1.ReasonCredentialsInvalid, with("tls.key", ca.Client(t).Key)},
		{"expired", dcv1.ReasonCertificateExpired, tlsData(ca, expired)},
		{"ca.crt of a stranger", dcv1.ReasonCertificateUntrusted, with("ca.crt", stranger.Cert)},
		{"certificate of a stranger", dcv1.ReasonAuthenticationFailed, tlsData(ca, stranger.Client(t))},
	}
	for _, f := range faults {
		b.setSecret(t, secret, f.data)
		reported := b.WaitReady(t, host, "False/"+f.reason, promptly)
		b.setSecret(t, secret, good)
		t.Logf("%s: %s after %s, repaired after %s", f.name, f.reason, reported, b.WaitReady(t, host, "True/Connected", promptly))
	}

	testenv.Update(t, b.Cluster, host, func(h *dcv1.DockerHost) { h.Spec.TLS.ServerName = "another.example" })
	b.WaitReady(t, host, "False/CertificateUntrusted", promptly)
	b.WaitMessage(t, host, "another.example", promptly)
}

// TestExpiredCertificateOfAnEngine starts a real engine with one.
func TestExpiredCertificateOfAnEngine(t *testing.T) {
	b := newBed(t)
	ca := testbed.NewCA(t, "fleet")
	d := testbed.StartDockerd(t, testbed.DockerdOptions{TCP: true, CA: ca})
	d.Stop(t)
	d.SetServerCert(t, ca.Issue(t, testbed.ForServer(d.Address()), testbed.Expired))
	d.Start(t)
	b.secret(t, "certs", tlsData(ca, ca.Client(t)))
	host := b.tlsHost("remote", d.TCPEndpoint(), "certs")
	b.Create(t, host)
	b.WaitReady(t, host, "False/CertificateExpired", promptly)
	b.WaitMessage(t, host, "engine", promptly)
	d.Stop(t)
	d.SetServerCert(t, ca.Server(t, d.Address()))
	d.Start(t)
	b.WaitReady(t, host, "True/Connected", 5*time.Second)
}

// TestHTTPAndTLSMixedUp speaks TLS to plain text and plain text to TLS.
func TestHTTPAndTLSMixedUp(t *testing.T) {
	b := newBed(t)
	ca := testbed.NewCA(t, "fleet")
	secure := testbed.StartDockerd(t, testbed.DockerdOptions{Name: "secure", TCP: true, CA: ca})
	plain := testbed.StartDockerd(t, testbed.DockerdOptions{Name: "plain", TCP: true})
	b.secret(t, "certs", tlsData(ca, ca.Client(t)))
	toSecure := b.insecureHost("plain-to-tls", secure.TCPEndpoint())
	toPlain := b.tlsHost("tls-to-plain", plain.TCPEndpoint(), "certs")
	fine := b.insecureHost("plain-to-plain", plain.TCPEndpoint())
	for _, h := range []*dcv1.DockerHost{toSecure, toPlain, fine} {
		b.Create(t, h)
	}
	b.WaitReady(t, toSecure, "False/EngineError", promptly)
	b.WaitMessage(t, toSecure, "TLS", promptly)
	b.WaitReady(t, toPlain, "False/EngineError", promptly)
	b.WaitMessage(t, toPlain, "TLS", promptly)
	b.WaitReady(t, fine, "True/Connected", promptly)
}
