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

package testbed

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSHDOptions say how an OpenSSH server behaves.
type SSHDOptions struct {
	// User may log in; empty means the user of the test, root. "nobody" is one who
	// may forward, and may not open an engine's socket.
	User string
	// NoForwarding switches forwarding of unix sockets off.
	NoForwarding bool
}

// SSHD is a real OpenSSH server on loopback that knows one user and one key.
type SSHD struct {
	*process
	// User may log in with PrivateKey, which is in OpenSSH form.
	User       string
	PrivateKey []byte

	machine *Machine
	port    int
	hostKey ssh.PublicKey
}

// StartSSHD starts a server and waits until it listens. It ends with the test.
func StartSSHD(t testing.TB, opts SSHDOptions) *SSHD {
	t.Helper()
	require(t, "sshd", "openssh-server")
	s := &SSHD{machine: startMachine(t, "sshd", false), User: opts.User}
	if s.User == "" {
		s.User = currentUser(t)
	}
	var public ssh.PublicKey
	s.PrivateKey, public = newSSHKey(t)
	writeFile(t, s.machine.path("authorized_keys"), ssh.MarshalAuthorizedKey(public))
	if err := os.Chmod(s.machine.path("authorized_keys"), 0o644); err != nil { // sshd reads it as the user
		t.Fatal(err)
	}
	s.writeHostKey(t)
	s.port = s.freePort(t)
	s.configure(t, opts)
	s.Start(t)
	return s
}

// Endpoint is the ssh endpoint of an engine's socket by way of the server.
func (s *SSHD) Endpoint(socket string) string {
	return fmt.Sprintf("ssh://%s@%s%s", s.User, s.address(), socket)
}

// KnownHosts is a known_hosts file with the server's key.
func (s *SSHD) KnownHosts() []byte {
	return []byte(knownhosts.Line([]string{s.address()}, s.hostKey) + "\n")
}

func (s *SSHD) address() string { return net.JoinHostPort(s.ip(), strconv.Itoa(s.port)) }

// ip is an address on loopback that is the slot's own, so that nobody else takes the port
// while the server is down.
func (s *SSHD) ip() string { return fmt.Sprintf("127.99.%d.1", s.machine.slot.n) }

// Start starts the server again after Kill or Stop.
func (s *SSHD) Start(t testing.TB) {
	t.Helper()
	// sshd insists on an absolute path.
	s.process = s.machine.start(t, "sshd", s.machine.command(require(t, "sshd", "openssh-server"), "-D", "-e", "-f", s.machine.path("sshd_config")))
	s.waitFor(t, 30*time.Second, func() bool {
		c, err := net.DialTimeout("tcp", s.address(), time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// Stop ends the server and every connection through it.
func (s *SSHD) Stop(t testing.TB) {
	t.Helper()
	s.Kill(t)
	s.machine.killAll(t)
}

// Reconfigure changes the options, but not the user, and restarts the server.
func (s *SSHD) Reconfigure(t testing.TB, opts SSHDOptions) {
	t.Helper()
	s.Stop(t)
	s.configure(t, opts)
	s.Start(t)
}

// RotateHostKey gives the server another host key and restarts it. KnownHosts
// has the new one from then on.
func (s *SSHD) RotateHostKey(t testing.TB) {
	t.Helper()
	s.Stop(t)
	s.writeHostKey(t)
	s.Start(t)
}

func (s *SSHD) writeHostKey(t testing.TB) {
	t.Helper()
	var private []byte
	private, s.hostKey = newSSHKey(t)
	writeFile(t, s.machine.path("host_key"), private)
}

func (s *SSHD) configure(t testing.TB, opts SSHDOptions) {
	t.Helper()
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd's empty directory, which its service would make
		t.Fatal(err)
	}
	forwarding := "yes"
	if opts.NoForwarding {
		forwarding = "no"
	}
	writeFile(t, s.machine.path("sshd_config"), fmt.Appendf(nil, `ListenAddress %s
HostKey %s
AuthorizedKeysFile %s
PidFile none
StrictModes no
UsePAM %s
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers %s
AllowStreamLocalForwarding %s
LogLevel VERBOSE
`, s.address(), s.machine.path("host_key"), s.machine.path("authorized_keys"), usePAM(s.User), s.User, forwarding))
}

// usePAM is yes for an account that is locked: sshd lets those in with PAM only,
// and PAM takes longer.
func usePAM(name string) string {
	shadow, err := os.ReadFile("/etc/shadow")
	if err != nil {
		return "no"
	}
	for line := range strings.Lines(string(shadow)) {
		if strings.HasPrefix(line, name+":!") {
			return "yes"
		}
	}
	return "no"
}

func currentUser(t testing.TB) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func newSSHKey(t testing.TB) (private []byte, public ssh.PublicKey) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "test")
	if err != nil {
		t.Fatal(err)
	}
	if public, err = ssh.NewPublicKey(pub); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), public
}

// freePort is a port of the server's address that nobody listens on.
func (s *SSHD) freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(s.ip(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
