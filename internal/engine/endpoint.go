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

package engine

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"
)

// DefaultSocket is where an engine listens when an ssh endpoint names no path.
const DefaultSocket = "/var/run/docker.sock"

// Schemes of an endpoint.
const (
	SchemeUnix = "unix"
	SchemeTCP  = "tcp"
	SchemeSSH  = "ssh"
)

// Endpoint is a parsed address of an engine.
type Endpoint struct {
	Scheme string
	// User is the ssh user.
	User string
	// Host and Port are set for tcp and ssh; an ssh port defaults to 22.
	Host string
	Port int
	// Path is the socket's, for unix and ssh.
	Path string
}

// ParseEndpoint reads unix:///path, tcp://host:port or
// ssh://user@host[:port][/socket/path]. Its error names what is wrong.
func ParseEndpoint(s string) (Endpoint, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Endpoint{}, fmt.Errorf("endpoint is not a URL; write unix:///path, tcp://host:port or ssh://user@host[:port][/socket/path]")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return Endpoint{}, fmt.Errorf("endpoint must have no query and no fragment")
	}
	if strings.ContainsFunc(u.Path+u.User.Username(), unicode.IsControl) {
		return Endpoint{}, fmt.Errorf("endpoint must have no control characters")
	}
	switch u.Scheme {
	case SchemeUnix:
		return parseUnix(u)
	case SchemeTCP:
		return parseTCP(u)
	case SchemeSSH:
		return parseSSH(u)
	}
	return Endpoint{}, fmt.Errorf("endpoint must begin with unix://, tcp:// or ssh://")
}

func parseUnix(u *url.URL) (Endpoint, error) {
	if u.Host != "" || u.User != nil || !path.IsAbs(u.Path) || path.Clean(u.Path) == "/" {
		return Endpoint{}, fmt.Errorf("a unix endpoint is unix:// and an absolute path, as in unix:///var/run/docker.sock")
	}
	return Endpoint{Scheme: SchemeUnix, Path: path.Clean(u.Path)}, nil
}

func parseTCP(u *url.URL) (Endpoint, error) {
	port, err := strconv.Atoi(u.Port())
	if err != nil || port < 1 || port > 65535 || !validHost(u.Hostname()) || u.User != nil || strings.Trim(u.Path, "/") != "" {
		return Endpoint{}, fmt.Errorf("a tcp endpoint is tcp://host:port with nothing after the port, as in tcp://10.0.0.5:2376")
	}
	return Endpoint{Scheme: SchemeTCP, Host: u.Hostname(), Port: port}, nil
}

func parseSSH(u *url.URL) (Endpoint, error) {
	if u.User == nil || u.User.Username() == "" || !validHost(u.Hostname()) {
		return Endpoint{}, fmt.Errorf("an ssh endpoint names a user and a host, as in ssh://docker@10.0.0.5")
	}
	if _, has := u.User.Password(); has {
		return Endpoint{}, fmt.Errorf("an ssh endpoint must not hold a password; put a key into the Secret of spec.ssh.secretRef")
	}
	e := Endpoint{Scheme: SchemeSSH, User: u.User.Username(), Host: u.Hostname(), Port: 22, Path: DefaultSocket}
	if p := u.Port(); p != "" {
		port, err := strconv.Atoi(p)
		if err != nil || port < 1 || port > 65535 {
			return Endpoint{}, fmt.Errorf("an ssh endpoint's port is a number from 1 to 65535")
		}
		e.Port = port
	}
	if u.Path != "" && path.Clean(u.Path) != "/" {
		e.Path = path.Clean(u.Path)
	}
	return e, nil
}

// validHost accepts names and addresses: net/url is more lenient than any dialer.
func validHost(host string) bool {
	if strings.Contains(host, ":") {
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

// Address is host:port, or the socket's path for unix.
func (e Endpoint) Address() string {
	if e.Scheme == SchemeUnix {
		return e.Path
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
}

// String spells the endpoint as a URL.
func (e Endpoint) String() string {
	switch e.Scheme {
	case SchemeUnix:
		return "unix://" + (&url.URL{Path: e.Path}).EscapedPath()
	case SchemeSSH:
		return (&url.URL{Scheme: e.Scheme, User: url.User(e.User), Host: e.Address(), Path: e.Path}).String()
	}
	return e.Scheme + "://" + e.Address()
}
