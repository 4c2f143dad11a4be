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

package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// null is an engine, in a process of its own, whose archives are zeros out of nowhere
// and go nowhere: what a copy costs those between. All else of it is simulated.
type null struct {
	*process
	address, socket string
}

// The files of a null engine's directory: its credentials, and what it listens on.
const (
	nullCA, nullCert, nullKey = "ca.crt", "tls.crt", "tls.key"
	nullSocket, nullAddress   = "engine.sock", "address"
)

// startNull starts a null engine that lets in clients of ca.
func startNull(b *testing.B, ca *testbed.CA) *null {
	b.Helper()
	dir := b.TempDir()
	pair := ca.Server(b, "127.0.0.1")
	address := testenv.FreeAddress(b, "127.0.0.1")
	for name, data := range map[string][]byte{nullCA: ca.Cert, nullCert: pair.Cert, nullKey: pair.Key, nullAddress: []byte(address)} {
		writeFile(b, filepath.Join(dir, name), data)
	}
	n := &null{address: address, socket: filepath.Join(dir, nullSocket), process: start(b, "bench.test", "--null-engine="+dir)}
	eventually(b, time.Minute, "the engine that does nothing", func() bool {
		_, err := newBare(n.socket, false, time.Second).call(http.MethodGet, "/_ping")
		return err == nil
	})
	return n
}

// serveNull is that process: it serves until it is told to end.
func serveNull(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := listenNull(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func listenNull(ctx context.Context, dir string) error {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, nullCert), filepath.Join(dir, nullKey))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(dir, nullCA))
	if err != nil {
		return err
	}
	address, err := os.ReadFile(filepath.Join(dir, nullAddress))
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	secure, err := tls.Listen("tcp", string(address), &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		return err
	}
	plain, err := net.Listen("unix", filepath.Join(dir, nullSocket))
	if err != nil {
		return err
	}
	engine := sim.New(sim.Options{Containers: 1})
	defer engine.Close()
	server := &http.Server{Handler: nullHandler(engine), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 2)
	for _, l := range []net.Listener{secure, plain} {
		go func() { ended <- server.Serve(l) }()
	}
	select {
	case <-ctx.Done():
		return server.Close()
	case err = <-ended:
		return errors.Join(err, server.Close())
	}
}

// nullHandler answers GET .../archive?path=N with N bytes, as dockerd does in chunks of
// 32 KiB, and takes what is PUT there.
func nullHandler(other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasSuffix(r.URL.Path, "/archive"):
			other.ServeHTTP(w, r)
		case r.Method == http.MethodPut:
			if _, err := io.CopyBuffer(onlyWriter{io.Discard}, r.Body, make([]byte, 32<<10)); err != nil {
				panic(http.ErrAbortHandler)
			}
		default:
			size, err := strconv.ParseInt(r.URL.Query().Get("path"), 10, 64)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/x-tar")
			piece := make([]byte, 32<<10)
			for ; size > 0; size -= int64(len(piece)) {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}
	})
}

// onlyWriter hides ReadFrom, so that the buffer is used.
type onlyWriter struct{ io.Writer }
