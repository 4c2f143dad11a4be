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
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// TestAttachByWebSocket works a container through attach/ws, the engine's own way for
// browsers, both ways and to its end.
func TestAttachByWebSocket(t *testing.T) { inBothModes(t, testAttachByWebSocket) }

func testAttachByWebSocket(t *testing.T, begin begin) {
	b := newBed(t, testbed.DockerdOptions{})
	token, viewer := b.user(t, dcv1.HostAdmin), b.user(t, dcv1.HostViewer)
	midway := begin(b, token)
	b.engine.Call(t, http.MethodPost, "/containers/create?name=echo", map[string]any{
		"Image": "busybox:test", "Cmd": []string{"sh", "-c", "read a; echo $a; read b; echo $b"}, "OpenStdin": true, "StdinOnce": true, "AttachStdin": true, "AttachStdout": true,
	})
	b.engine.Call(t, http.MethodPost, "/containers/echo/start", nil)

	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.ca.Cert)
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}, HandshakeTimeout: patient}
	url := "wss://" + b.address + b.path() + "/containers/echo/attach/ws?stream=1&stdin=1&stdout=1"
	dial := func(token string) (*websocket.Conn, *http.Response, error) {
		return dialer.DialContext(t.Context(), url, http.Header{
			"Authorization": {"Bearer " + token}, "Origin": {"https://" + b.address},
		})
	}
	if _, resp, err := dial(viewer); err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a Viewer: %v, %v; want 403", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	midway()
	c, resp, err := dial(token)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(patient))
	var got strings.Builder
	for _, line := range []string{"one\n", "two\n"} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(line)); err != nil {
			t.Fatal(err)
		}
		for !strings.HasSuffix(got.String(), line) {
			_, r, err := c.NextReader()
			if err != nil {
				t.Fatalf("after %q: %v", got.String(), err)
			}
			if _, err := io.Copy(&got, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got.String() != "one\ntwo\n" {
		t.Errorf("got %q", got.String())
	}
	if _, _, err := c.NextReader(); err == nil {
		t.Error("the connection goes on after the container's end")
	}
}
