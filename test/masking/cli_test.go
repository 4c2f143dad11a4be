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

package masking

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/mask"
	"github.com/dockercontrol/dockercontrol/test/canary"
)

// testCLI runs the docker CLI against a proxy that masks.
func (b *bed) testCLI(t *testing.T) {
	host := b.serve(t)
	tests := []struct {
		command string
		shows   []string
	}{
		{"ps --all --no-trunc", []string{`"(masked)"`, "web", canary.Reference}},
		{"ps --format {{.Labels}}", []string{"com.docker.compose.project=shop"}},
		{"compose --file testdata/shop.yaml --project-name shop ps", []string{"web", "Up"}},
		{"compose --file testdata/shop.yaml --project-name shop logs", nil},
		{"inspect web", []string{`"TOKEN=(masked)"`, `"Status": "running"`}},
		{"inspect failed", []string{`"Error": "(masked)"`}},
		{"logs web", nil},
		{"port web", nil},
		{"stats --no-stream web", []string{"web"}},
		{"images --all", []string{"localhost/masking"}},
		{"image inspect " + canary.Reference, []string{`"IMAGE_TOKEN=(masked)"`}},
		{"history " + canary.Reference, []string{"(masked)"}},
		{"volume ls", []string{"share"}},
		{"volume inspect share", []string{`"Options": {}`, `"auth": "(masked)"`}},
		{"network ls", []string{"front"}},
		{"network inspect front", []string{`"auth": "(masked)"`}},
		{"events --since 0 --until 1s", []string{"exec_create: (masked)", "container start"}},
		{"info", []string{"Server Version", "tier=(masked)", "Is Manager: true"}},
		{"version", []string{"Server:"}},
		{"system df", []string{"Containers"}},
		{"system df --verbose", []string{"web", "plain"}},
		{"node ls", []string{"Ready", "Leader"}},
		{"node inspect --pretty self", []string{"Ready"}},
		{"node ps", []string{"web.1"}},
		{"service ls", []string{"web", "1/1"}},
		{"service ps --no-trunc web", []string{"Running"}},
		{"service ps --no-trunc failing", []string{"(masked)"}},
		{"service inspect --pretty web", []string{"Replicated"}},
		{"service inspect web", []string{`"TOKEN=(masked)"`, "PreviousSpec"}},
		{"service logs web", nil},
		{"config ls", []string{"config"}},
		{"config inspect --pretty config", []string{"config"}},
		{"secret ls", []string{"secret"}},
	}
	for _, test := range tests {
		t.Run(test.command, func(t *testing.T) {
			program, args := "docker", strings.Fields(test.command)
			if args[0] == "compose" && exec.Command("docker", "compose", "version").Run() != nil {
				program, args = "docker-compose", args[1:] // what Debian 12 has is a program of its own, in Python
			}
			cmd := exec.CommandContext(t.Context(), program, args...)
			cmd.Env = append(os.Environ(), "DOCKER_HOST="+host, "DOCKER_CONTEXT=")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, text := range test.shows {
				if !bytes.Contains(out, []byte(text)) {
					t.Errorf("there is no %s in: %s", text, out)
				}
			}
			if left := b.Found(out); len(left) > 0 {
				t.Errorf("it shows the canaries of %q: %s", left, out)
			}
		})
	}
}

// serve is a proxy that does for everybody what the real one does for a Viewer.
func (b *bed) serve(t *testing.T) (host string) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", b.Socket())
	}}
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "engine"})
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(response *http.Response) error {
			r := response.Request
			request, err := access.Classify(r.Method, r.URL.EscapedPath(), r.URL.RawQuery, access.Headers{})
			if err != nil || !request.Masked || response.StatusCode != http.StatusOK {
				return err
			}
			p, _ := mask.For(request.Operation)
			body, masked := io.Pipe()
			engine := response.Body
			go func() {
				_ = masked.CloseWithError(p.Copy(masked, engine))
				_ = engine.Close()
			}()
			response.Body, response.ContentLength = body, -1
			response.Header.Del("Content-Length")
			return nil
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return "tcp://" + strings.TrimPrefix(server.URL, "http://")
}
