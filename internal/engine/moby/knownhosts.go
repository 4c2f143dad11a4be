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
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the format's own hash of host names
	"encoding/base64"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// knownHosts is a parsed known_hosts file. golang.org/x/crypto has a reader of
// its own, which reads files only and does not tell which key types a host has.
type knownHosts struct {
	lines   []knownHost
	revoked [][]byte // keys in wire form
}

type knownHost struct {
	patterns  []string
	authority bool
	key       ssh.PublicKey
}

// hostKeyError says why a host's key is not accepted.
type hostKeyError struct {
	reason hostKeyReason
}

type hostKeyReason string

const (
	hostUnknown    hostKeyReason = "unknown"
	hostKeyChanged hostKeyReason = "changed"
	hostKeyRevoked hostKeyReason = "revoked"
	hostKeyUnsafe  hostKeyReason = "unsafe" // known, but of a type that is not offered any more
)

// Error implements error.
func (e *hostKeyError) Error() string { return "host key " + string(e.reason) }

// parseKnownHosts reads known_hosts. Lines with a key of a type that this
// program does not know are left out: no such key can be offered to it.
func parseKnownHosts(data []byte) (*knownHosts, error) {
	k := &knownHosts{}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' || unknownKeyType(line) {
			continue
		}
		marker, hosts, key, _, _, err := ssh.ParseKnownHosts(line)
		switch {
		case err != nil:
			return nil, invalid("line %d of %s is not a host, a key type and a key", n, keyKnownHosts)
		case marker == "revoked":
			k.revoked = append(k.revoked, key.Marshal())
		case marker == "" || marker == "cert-authority":
			k.lines = append(k.lines, knownHost{patterns: hosts, authority: marker != "", key: key})
		default:
			return nil, invalid("line %d of %s begins with an unknown marker", n, keyKnownHosts)
		}
	}
	if len(k.lines) == 0 {
		return nil, invalid("%s holds no host key: write the output of ssh-keyscan into it, after checking it", keyKnownHosts)
	}
	return k, nil
}

func unknownKeyType(line []byte) bool {
	fields := strings.Fields(string(line))
	if len(fields) > 0 && strings.HasPrefix(fields[0], "@") {
		fields = fields[1:]
	}
	if len(fields) < 3 {
		return false
	}
	blob, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || len(blob) < 4 || !bytes.HasPrefix(blob[4:], []byte(fields[1])) {
		return false
	}
	known := append(ssh.SupportedAlgorithms().HostKeys, ssh.InsecureAlgorithms().HostKeys...)
	return !slices.Contains(known, fields[1])
}

// callback checks the keys of one host; address is host:port.
func (k *knownHosts) callback(address string) ssh.HostKeyCallback {
	checker := ssh.CertChecker{
		IsHostAuthority: func(key ssh.PublicKey, _ string) bool {
			return slices.ContainsFunc(k.of(address), func(l knownHost) bool { return l.authority && sameKey(l.key, key) })
		},
		IsRevoked: func(cert *ssh.Certificate) bool {
			return k.isRevoked(cert.Key) || k.isRevoked(cert.SignatureKey)
		},
		HostKeyFallback: func(_ string, _ net.Addr, key ssh.PublicKey) error { return k.check(address, key) },
	}
	return func(_ string, remote net.Addr, key ssh.PublicKey) error {
		err := checker.CheckHostKey(address, remote, key)
		if _, isCert := key.(*ssh.Certificate); isCert && err != nil {
			return &hostKeyError{reason: hostKeyChanged}
		}
		return err
	}
}

func (k *knownHosts) check(address string, key ssh.PublicKey) error {
	if k.isRevoked(key) {
		return &hostKeyError{reason: hostKeyRevoked}
	}
	lines := k.of(address)
	if slices.ContainsFunc(lines, func(l knownHost) bool { return !l.authority && sameKey(l.key, key) }) {
		return nil
	}
	if len(lines) == 0 {
		return &hostKeyError{reason: hostUnknown}
	}
	return &hostKeyError{reason: hostKeyChanged}
}

func (k *knownHosts) isRevoked(key ssh.PublicKey) bool {
	return slices.ContainsFunc(k.revoked, func(b []byte) bool { return bytes.Equal(b, key.Marshal()) })
}

func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// of returns the lines about a host.
func (k *knownHosts) of(address string) []knownHost {
	name := strings.ToLower(knownhosts.Normalize(address))
	var lines []knownHost
	for _, l := range k.lines {
		if matchHost(l.patterns, name) {
			lines = append(lines, l)
		}
	}
	return lines
}

// algorithms returns the host key algorithms to offer: those of the keys that
// are known, or a server with several keys would show one that is not.
func (k *knownHosts) algorithms(address string) []string {
	supported := ssh.SupportedAlgorithms().HostKeys
	var out []string
	for _, l := range k.of(address) {
		for _, a := range supported {
			isCert := strings.Contains(a, "-cert-v01@")
			if l.authority == isCert && (l.authority || keyFormat(a) == l.key.Type()) && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// keyFormat returns the type of the keys that a signature algorithm works with.
func keyFormat(algorithm string) string {
	switch algorithm {
	case ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512:
		return ssh.KeyAlgoRSA
	}
	return algorithm
}

// matchHost reports whether patterns hold name, which is a host or [host]:port.
// A negated pattern that matches takes the whole line out.
func matchHost(patterns []string, name string) bool {
	matched := false
	for _, p := range patterns {
		if strings.HasPrefix(p, "|1|") {
			matched = matched || matchHashed(p, name)
			continue
		}
		p, negated := strings.CutPrefix(strings.ToLower(p), "!")
		if !glob(p, name) {
			continue
		}
		if negated {
			return false
		}
		matched = true
	}
	return matched
}

// matchHashed compares with |1|salt|hash, as ssh-keygen -H writes it.
func matchHashed(pattern, name string) bool {
	parts := strings.Split(pattern, "|")
	if len(parts) != 4 {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	want, err := base64.StdEncoding.DecodeString(parts[3])
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return hmac.Equal(mac.Sum(nil), want)
}

// glob matches * and ? in time linear in len(pattern)*len(name).
func glob(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
