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

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// etcdSocket is the name of the socket in etcd's directory.
const etcdSocket = "etcd.sock"

// etcd is a single-member etcd in this process.
type etcd struct {
	server   *embed.Etcd
	endpoint string
	dir      *os.File // held open while a path through its descriptor is in use; may be nil
}

// startEtcd starts etcd on dir, a directory of this process alone, and waits until it serves.
func startEtcd(ctx context.Context, dir string, log *zap.Logger) (*etcd, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make etcd's directory: %w", err)
	}
	socket, held, err := socketPath(dir, etcdSocket)
	if err != nil {
		return nil, err
	}
	e := &etcd{endpoint: "unix://" + socket, dir: held}

	config := embed.NewConfig()
	config.Name = "standalone"
	config.Dir = dir
	endpoint := url.URL{Scheme: "unix", Path: socket}
	config.ListenClientUrls = []url.URL{endpoint}
	config.AdvertiseClientUrls = []url.URL{endpoint}
	// A lone member has no peers to listen to. Its peer URL is a name in the membership, which nobody dials.
	config.ListenPeerUrls = nil
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.EnableGRPCGateway = false
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log)

	if e.server, err = embedEtcd(config); err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd on %s: %w", dir, err), e.closeDir())
	}
	select {
	case <-e.server.Server.ReadyNotify():
		return e, nil
	case err = <-e.server.Err():
	case <-e.server.Server.StopNotify():
		err = errors.New("it stopped")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(fmt.Errorf("wait for etcd on %s: %w", dir, err), e.stop())
}

// embedEtcd starts etcd, which takes some kinds of broken data for a bug of its own. (For others it ends the process from
// a goroutine of its own; then its logger has said which file it is about.)
func embedEtcd(config *embed.Config) (server *embed.Etcd, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("its data looks broken: put back a copy of the directory, or remove it to start with nothing (etcd said: %v)", cause)
		}
	}()
	return embed.StartEtcd(config)
}

// stop ends etcd after the requests in flight, which etcd itself bounds to some seconds.
func (e *etcd) stop() error {
	e.server.Close()
	return e.closeDir()
}

func (e *etcd) closeDir() error {
	if e.dir == nil {
		return nil
	}
	return e.dir.Close()
}

// maxSocketPath is what fits into sun_path on Linux (108 bytes with the final zero) and on macOS (104).
const maxSocketPath = 103

// plainPath has no character that a gRPC target or a URL would take for something else.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9/._-]+$`)

// socketPath is a path of a socket name in dir that fits into a socket address and a URL. Where the plain one does not,
// it leads through an open descriptor of dir, which the caller closes when the socket is out of use.
func socketPath(dir, name string) (path string, held *os.File, err error) {
	if path, err = filepath.Abs(filepath.Join(dir, name)); err != nil {
		return "", nil, err
	}
	if len(path) <= maxSocketPath && plainPath.MatchString(path) {
		return path, nil, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf("the path %q does not fit a socket address: choose a directory of at most %d characters from A-Z a-z 0-9 / . _ -",
			path, maxSocketPath-len(name)-1)
	}
	if held, err = os.Open(dir); err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", held.Fd(), name), held, nil
}
