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
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"

	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// copies are "docker cp" of a file into a container, and out of it.
func copies(container string, size int64) (in, out transfer) {
	path := "/containers/" + container + "/archive?path="
	in = transfer{name: "docker cp, in", size: size, do: func(a *api) (int64, error) {
		_, err := a.call(http.MethodPut, path+"/", tarOf("bulk", zeros{}, size))
		return size, err
	}}
	out = transfer{name: "docker cp, out", size: size, do: get(path + "/bulk")}
	return in, out
}

// importRandom makes an image of one file that does not compress.
func importRandom(b *testing.B, engine *testbed.Dockerd, ref string, size int64) {
	b.Helper()
	var seed [32]byte
	body := tarOf("random", rand.NewChaCha8(seed), size)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", engine.Socket())
	}}}
	req, err := http.NewRequestWithContext(interrupted, http.MethodPost, "http://engine/images/create?fromSrc=-&repo="+ref, body)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10)); err != nil || bytes.Contains(answer, []byte(`"error"`)) {
		b.Fatalf("importing an image of %d bytes: %v %s", size, err, answer)
	}
}

// tarOf is an archive of one file; its length is a multiple of a tar's blocks.
func tarOf(name string, content io.Reader, size int64) io.Reader {
	var head bytes.Buffer
	if err := tar.NewWriter(&head).WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size}); err != nil {
		panic(fmt.Sprintf("the header of %s: %v", name, err)) // a buffer takes it
	}
	return io.MultiReader(&head, io.LimitReader(content, size), bytes.NewReader(make([]byte, 1024)))
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
