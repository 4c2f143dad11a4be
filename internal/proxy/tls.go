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

package proxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"log"
	"math/big"
	"net"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// tlsConfig returns the server's configuration, whose certificate stays current.
func (s *Server) tlsConfig() (*tls.Config, error) {
	// Client certificates are asked for and verified by the authenticator, for each
	// request, against the bundles of that moment.
	config := &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
	if s.options.CertFile != "" {
		files, err := newCertFile(s.options.CertFile, s.options.KeyFile, s.options.Log)
		if err != nil {
			return nil, fmt.Errorf("the proxy's certificate: %w", err)
		}
		config.GetCertificate = files.GetCertificate
	} else {
		own := &selfSigned{names: certificateNames(s.options.Address), log: s.options.Log}
		if _, err := own.GetCertificate(nil); err != nil {
			return nil, err
		}
		config.GetCertificate = own.GetCertificate
	}
	// ServeTLS adds these to its own copy only; the one below must have them too.
	config.NextProtos = []string{"h2", "http/1.1"}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := config.Clone()
		c.GetConfigForClient = nil
		// Names the CAs to the client, so that a browser does not offer certificates
		// that could not be meant.
		c.ClientCAs = s.auth.ClientCAs()
		return c, nil
	}
	return config, nil
}

const (
	selfSignedLife  = 365 * 24 * time.Hour
	selfSignedRenew = 30 * 24 * time.Hour // before its end
)

// selfSigned makes a certificate that nobody has a reason to trust, and another one
// before it expires. It never touches the disk.
type selfSigned struct {
	names []string
	log   logr.Logger

	mu      sync.Mutex
	current *tls.Certificate
}

// GetCertificate is for tls.Config.
func (c *selfSigned) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && time.Now().Before(c.current.Leaf.NotAfter.Add(-selfSignedRenew)) {
		return c.current, nil
	}
	next, err := signSelf(c.names)
	if err != nil {
		return nil, fmt.Errorf("making a certificate for the proxy: %w", err)
	}
	c.current = next
	sum := sha256.Sum256(next.Leaf.Raw)
	c.log.Info("The proxy signed its own certificate: browsers and clients will not trust it. "+
		"Give it one with --proxy-cert-file and --proxy-key-file, or compare the fingerprint",
		"names", c.names, "sha256", hex.EncodeToString(sum[:]))
	return next, nil
}

func signSelf(names []string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "dockercontrol proxy, self-signed"},
		NotBefore:             now.Add(-time.Hour), // for clients whose clock is late
		NotAfter:              now.Add(selfSignedLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// certificateNames are what a client may call this machine by.
func certificateNames(address string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	if host, _, err := net.SplitHostPort(address); err == nil && host != "" && host != "localhost" {
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() && !ip.IsLoopback() {
			names = append(names, host)
		}
	}
	return names
}

// errorLog takes what net/http has to say. Failed handshakes are of no interest
// until somebody looks for them: every port scan makes some.
func errorLog(l logr.Logger) *log.Logger {
	return log.New(lineWriter(func(line []byte) {
		if bytes.HasPrefix(line, []byte("http: TLS handshake error")) {
			l.V(1).Info("TLS handshake failed", "error", string(line))
			return
		}
		l.Info("The HTTP server reports", "error", string(line))
	}), "", 0)
}

type lineWriter func([]byte)

func (w lineWriter) Write(b []byte) (int, error) {
	w(bytes.TrimRight(b, "\n"))
	return len(b), nil
}
