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

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/dockercontrol/dockercontrol/standalone/internal/pki"
)

// listen opens the listener of a flag's address.
func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	ip, port, err := splitAddress(address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(ip.String(), port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s %s is taken by another process: stop that one, or choose another address", flag, address)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return listener, nil
}

// reserve finds out early whether an address is free, and picks the port where it has port 0. The manager opens the
// address itself, so another process may take it in between: then the manager fails with a message of its own.
func reserve(ctx context.Context, flag, address string) (string, error) {
	listener, err := listen(ctx, flag, address)
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// reachable is the address by which a client on this machine reaches a listening one.
func reachable(listening string) string {
	host, port, err := net.SplitHostPort(listening)
	if err != nil {
		return listening
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// servingNames are the names a certificate for address needs: those of this machine, the address, all of the machine's
// addresses where it listens on all, and what the user adds.
func servingNames(address string, extra ...string) (pki.Names, error) {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	ip, _, err := splitAddress(address)
	if err != nil {
		return pki.Names{}, err
	}
	if !ip.IsUnspecified() {
		hosts = append(hosts, ip.String())
	} else {
		addresses, err := net.InterfaceAddrs()
		if err != nil {
			return pki.Names{}, fmt.Errorf("list this machine's addresses: %w", err)
		}
		for _, address := range addresses {
			if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
				hosts = append(hosts, network.IP.String())
			}
		}
	}
	return pki.NewNames(append(hosts, extra...)...), nil
}
