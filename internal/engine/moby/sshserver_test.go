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

package moby

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// sshServer forwards to sockets as sshd does.
type sshServer struct {
	t        testing.TB
	config   *ssh.ServerConfig
	listener net.Listener
	key      []byte // the private key that is let in, in PEM
	public   ssh.PublicKey
	hostKeys []ssh.Signer

	links  atomic.Int64 // connections that authenticated
	refuse atomic.Bool  // forwarding
	mute   atomic.Bool  // answers no global request, such as keep-alives

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

// rsaKey is made once: that takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// newSSHServer has an ed25519 and an RSA host key.
func newSSHServer(t testing.TB) *sshServer {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &sshServer{t: t, conns: map[net.Conn]struct{}{}, hostKeys: []ssh.Signer{signer(t, ed), signer(t, rsaKey())}}
	var private ed25519.PrivateKey
	_, private, err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.key, s.public = privatePEM(t, private), signer(t, private).PublicKey()
	s.config = &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !sameKey(key, s.public) {
				return nil, errors.New("unknown key")
			}
			return nil, nil
		},
	}
	for _, k := range s.hostKeys {
		s.config.AddHostKey(k)
	}
	s.listener, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.wg.Go(s.accept)
	t.Cleanup(func() {
		_ = s.listener.Close()
		s.cut()
		s.wg.Wait()
	})
	return s
}

func (s *sshServer) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() { s.serve(c) })
	}
}

// cut ends all connections.
func (s *sshServer) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *sshServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	conn, chans, reqs, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	s.links.Add(1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for r := range reqs {
			if r.WantReply && !s.mute.Load() {
				_ = r.Reply(false, nil)
			}
		}
	})
	for ch := range chans {
		wg.Go(func() { s.forward(ch) })
	}
	_ = conn.Close()
}

func (s *sshServer) forward(nc ssh.NewChannel) {
	var msg struct {
		Path     string
		Reserved string
		Port     uint32
	}
	if nc.ChannelType() != "direct-streamlocal@openssh.com" || ssh.Unmarshal(nc.ExtraData(), &msg) != nil {
		_ = nc.Reject(ssh.UnknownChannelType, "unknown")
		return
	}
	target, err := net.Dial("unix", msg.Path)
	if s.refuse.Load() || err != nil {
		_ = nc.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	ch, reqs, err := nc.Accept()
	if err != nil {
		_ = target.Close()
		return
	}
	go ssh.DiscardRequests(reqs)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(target, ch)
		_ = target.(*net.UnixConn).CloseWrite()
	})
	_, _ = io.Copy(ch, target)
	_ = ch.Close()
	_ = target.Close()
	wg.Wait()
}

// client is the configuration for a client that forwards to a socket.
func (s *sshServer) client(socket string) engine.Config {
	port := s.listener.Addr().(*net.TCPAddr).Port
	return engine.Config{
		Endpoint: engine.Endpoint{Scheme: engine.SchemeSSH, User: "docker", Host: "127.0.0.1", Port: port, Path: socket},
		SSH:      &engine.SSHConfig{PrivateKey: s.key, KnownHosts: s.knownHosts(s.hostKeys...)},
		Timeout:  30 * time.Second,
		Policy:   engine.AddressPolicy{Loopback: true},
	}
}

func (s *sshServer) knownHosts(keys ...ssh.Signer) []byte {
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	var b strings.Builder
	for _, k := range keys {
		b.WriteString("[127.0.0.1]:" + port + " ")
		b.Write(ssh.MarshalAuthorizedKey(k.PublicKey()))
	}
	return []byte(b.String())
}

func signer(t testing.TB, key any) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func privatePEM(t testing.TB, key any) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func newSSHKey(t testing.TB) (ed25519.PrivateKey, ssh.Signer) {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k, signer(t, k)
}

func closedPort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, p, _ := net.SplitHostPort(l.Addr().String())
	port, err := strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
