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
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestSSH connects a real engine through a real OpenSSH server, and takes every
// part of the way away once.
func TestSSH(t *testing.T) {
	all := t // a server that a subtest restarts must outlive it
	b := newBed(t)
	d := testbed.StartDockerd(t, testbed.DockerdOptions{})
	s := testbed.StartSSHD(t, testbed.SSHDOptions{})
	good := map[string][]byte{"ssh-privatekey": s.PrivateKey, "known_hosts": s.KnownHosts()}
	host := b.sshHost("edge", s.Endpoint(d.Socket()), "key")
	b.Create(t, host)
	b.WaitReady(t, host, "False/CredentialsMissing", promptly)
	secret := b.secret(t, "key", map[string][]byte{"ssh-privatekey": s.PrivateKey})
	b.WaitMessage(t, host, "lacks known_hosts", promptly)
	b.setSecret(t, secret, good)
	t.Logf("connected after %s", b.WaitReady(t, host, "True/Connected", promptly))

	t.Run("encrypted key", func(t *testing.T) {
		// To try a passphrase is slow on purpose (bcrypt), and with the race detector
		// takes a second each time.
		const slowly = 10 * time.Second
		locked := encryptKey(t, s.PrivateKey, "open sesame")
		b.setSecret(t, secret, map[string][]byte{"ssh-privatekey": locked, "known_hosts": s.KnownHosts()})
		b.WaitReady(t, host, "False/CredentialsInvalid", slowly)
		b.WaitMessage(t, host, "passphrase", slowly)
		b.setSecret(t, secret, map[string][]byte{"ssh-privatekey": locked, "known_hosts": s.KnownHosts(), "passphrase": []byte("wrong")})
		b.WaitMessage(t, host, "does not open", slowly)
		b.setSecret(t, secret, map[string][]byte{"ssh-privatekey": locked, "known_hosts": s.KnownHosts(), "passphrase": []byte("open sesame")})
		b.WaitReady(t, host, "True/Connected", slowly)
	})
	t.Run("key that may not log in", func(t *testing.T) {
		b.setSecret(t, secret, map[string][]byte{"ssh-privatekey": newKey(t), "known_hosts": s.KnownHosts()})
		b.WaitReady(t, host, "False/AuthenticationFailed", promptly)
		b.setSecret(t, secret, good)
		b.WaitReady(t, host, "True/Connected", promptly)
	})
	t.Run("no such socket", func(t *testing.T) {
		testenv.Update(t, b.Cluster, host, func(h *dcv1.DockerHost) { h.Spec.Endpoint = s.Endpoint("/nowhere/docker.sock") })
		b.WaitReady(t, host, "False/ForwardingRefused", promptly)
		testenv.Update(t, b.Cluster, host, func(h *dcv1.DockerHost) { h.Spec.Endpoint = s.Endpoint(d.Socket()) })
		b.WaitReady(t, host, "True/Connected", promptly)
	})
	t.Run("forwarding switched off", func(t *testing.T) {
		s.Reconfigure(all, testbed.SSHDOptions{NoForwarding: true})
		b.WaitReady(t, host, "False/ForwardingRefused", 5*time.Second)
		s.Reconfigure(all, testbed.SSHDOptions{})
		b.WaitReady(t, host, "True/Connected", 5*time.Second)
	})
	t.Run("another host key", func(t *testing.T) {
		s.RotateHostKey(all)
		b.WaitReady(t, host, "False/HostKeyMismatch", 5*time.Second)
		b.setSecret(t, secret, map[string][]byte{"ssh-privatekey": s.PrivateKey, "known_hosts": s.KnownHosts()})
		b.WaitReady(t, host, "True/Connected", promptly)
	})
}

func newKey(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func encryptKey(t *testing.T, private []byte, passphrase string) []byte {
	t.Helper()
	key, err := ssh.ParseRawPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}
