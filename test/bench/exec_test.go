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
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

const (
	// echoes is how many characters are typed by each way, pasted how much is pasted.
	echoes, pasted = 5000, 10_000_000
	pasteRounds    = 5
	// execProtocol is the one that kubectl speaks.
	execProtocol = "v5.channel.k8s.io"
)

// BenchmarkExec measures a command whose input comes back as its output, through exec and
// beside it by the engine's own API over TLS: what a typed character takes longer, and how
// long a paste takes.
func BenchmarkExec(b *testing.B) {
	p := startProxy(b)
	say("starting a real engine")
	engine := testbed.StartDockerd(b, testbed.DockerdOptions{Name: "bench", TCP: true, CA: p.ca})
	engine.ImportBusybox(b, "bench:1")
	container := engine.RunContainer(b, "exec", "bench:1", "sleep", "100000")
	p.addHost(b, "real-socket", engine.Endpoint())
	p.addHost(b, "real-tls", engine.TCPEndpoint())
	token := p.user(b, "operator", dcv1.HostOperator)
	own := p.direct(b, engine.Address()+":2376")
	ways := []echoWay{
		{own.name, func(b *testing.B) cat { return own.cat(b, container) }},
		{"exec by a socket", func(b *testing.B) cat { return p.cat(b, "real-socket", container, token) }},
		{"exec by TLS", func(b *testing.B) cat { return p.cat(b, "real-tls", container, token) }},
	}
	add("Exec through the proxy", append(typed(b, ways), pastes(b, ways)...)...)
	p.end(b)
	b.ReportMetric(0, "ns/op") // the table is the result
}

// echoWay opens a cat somehow.
type echoWay struct {
	name string
	open func(b *testing.B) cat
}

// cat is a command that says what it is told.
type cat interface {
	write(p []byte) error
	// read returns the next output, which is valid until the next read.
	read() ([]byte, error)
	close()
}

// typed sends one byte after the other by each way in turn, and tells what the proxy adds
// to its way there and back.
func typed(b *testing.B, ways []echoWay) []figure {
	b.Helper()
	took, cats := make([][]float64, len(ways)), make([]cat, len(ways))
	for i, way := range ways {
		cats[i] = way.open(b)
		defer cats[i].close()
	}
	for n := range echoes {
		for i, c := range cats {
			key := []byte{'a' + byte(n%26)}
			began := time.Now()
			err := c.write(key)
			var got []byte
			if err == nil {
				got, err = c.read()
			}
			if err != nil || !bytes.Equal(got, key) {
				b.Fatalf("%s: typed %q, and %q came back: %v", ways[i].name, key, got, err)
			}
			took[i] = append(took[i], time.Since(began).Seconds())
		}
	}
	var figures []figure
	for i, way := range ways[1:] {
		what := "a typed character there and back, " + way.name
		plus := func(q float64) []float64 { return []float64{quantile(took[i+1], q) - quantile(took[0], q)} }
		figures = append(figures,
			figure{name: what, unit: microseconds, samples: took[i+1], reference: quantile(took[0], 0.5), of: ways[0].name},
			figure{name: what + ": added, p50", unit: microseconds, aim: 0.3e-3, judge: worst, samples: plus(0.5)},
			figure{name: what + ": added, p99", unit: microseconds, aim: 2e-3, judge: worst, samples: plus(0.99)},
		)
	}
	return figures
}

// pastes sends 10 MB by each way in turn, and takes them back meanwhile.
func pastes(b *testing.B, ways []echoWay) []figure {
	b.Helper()
	took, data := make([][]float64, len(ways)), make([]byte, pasted)
	for i := range data {
		data[i] = byte(i*7 + i>>8)
	}
	for range pasteRounds {
		for i, way := range ways {
			c := way.open(b)
			began, sent := time.Now(), make(chan error, 1)
			go func() { sent <- c.write(data) }()
			for at := 0; at < len(data); {
				got, err := c.read()
				if err != nil || at+len(got) > len(data) || !bytes.Equal(got, data[at:at+len(got)]) {
					b.Fatalf("%s: what came back of a paste is wrong before byte %d: %v", way.name, at+len(got), err)
				}
				at += len(got)
			}
			if err := <-sent; err != nil {
				b.Fatalf("%s: %v", way.name, err)
			}
			took[i] = append(took[i], time.Since(began).Seconds())
			c.close()
		}
	}
	var figures []figure
	for i, way := range ways[1:] {
		figures = append(figures, figure{
			name: fmt.Sprintf("a paste of %d MB there and back, %s", pasted/1_000_000, way.name), unit: seconds,
			samples: took[i+1], reference: quantile(took[0], 0.5), of: ways[0].name,
		})
	}
	return figures
}

// cat runs one by the engine's own API.
func (a *api) cat(b *testing.B, container string) cat {
	b.Helper()
	resp, err := a.openJSON("/containers/"+container+"/exec", map[string]any{"Cmd": []string{"cat"}, "AttachStdin": true, "AttachStdout": true})
	if err != nil {
		b.Fatal(err)
	}
	var created struct{ ID string }
	err = json.NewDecoder(resp.Body).Decode(&created)
	_ = resp.Body.Close()
	if err != nil {
		b.Fatal(err)
	}
	at, err := url.Parse(a.base)
	if err != nil {
		b.Fatal(err)
	}
	dialer := tls.Dialer{Config: a.http.Transport.(*http.Transport).TLSClientConfig}
	conn, err := dialer.DialContext(interrupted, "tcp", at.Host)
	if err != nil {
		b.Fatal(err)
	}
	const body = "{}"
	_, err = fmt.Fprintf(conn, "POST /exec/%s/start HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: %d\r\n\r\n%s",
		created.ID, len(body), body)
	if err != nil {
		b.Fatal(err)
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	answer, err := http.ReadResponse(in, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		b.Fatalf("the engine does not hand its connection over: %v, %v", answer, err)
	}
	return &rawCat{conn: conn, in: in}
}

func (a *api) openJSON(path string, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(interrupted, http.MethodPost, a.base+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.http.Do(req)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("POST %s: %s", path, resp.Status)
	}
	return resp, err
}

// rawCat is a connection that the engine handed over, with its frames.
type rawCat struct {
	conn net.Conn
	in   *bufio.Reader
	part []byte
}

func (c *rawCat) write(p []byte) error {
	_, err := c.conn.Write(p)
	return err
}

func (c *rawCat) read() ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil, err
	}
	if n := int(binary.BigEndian.Uint32(head[4:])); n > cap(c.part) {
		c.part = make([]byte, n)
	}
	c.part = c.part[:binary.BigEndian.Uint32(head[4:])]
	_, err := io.ReadFull(c.in, c.part)
	return c.part, err
}

func (c *rawCat) close() { _ = c.conn.Close() }

// cat runs one through exec.
func (p *proxyBed) cat(b *testing.B, host, container, token string) cat {
	b.Helper()
	through := p.client(b, "exec", p.url()+"/namespaces/"+p.w.namespace+"/dockerhosts/"+host, token)
	dialer := websocket.Dialer{
		Subprotocols: []string{execProtocol}, TLSClientConfig: through.http.Transport.(*http.Transport).TLSClientConfig, HandshakeTimeout: time.Minute,
	}
	address := "ws" + strings.TrimPrefix(through.base, "http") + "/exec/" + container + "?command=cat&stdin=true"
	ws, resp, err := dialer.DialContext(interrupted, address, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		b.Fatalf("%s: %v", address, err)
	}
	_ = resp.Body.Close()
	return &socketCat{ws}
}

// socketCat speaks the remote-command protocol, in messages as large as kubectl's.
type socketCat struct{ ws *websocket.Conn }

func (c *socketCat) write(p []byte) error {
	const most = 32 << 10
	for len(p) > 0 {
		n := min(len(p), most)
		if err := c.ws.WriteMessage(websocket.BinaryMessage, append([]byte{0}, p[:n]...)); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (c *socketCat) read() ([]byte, error) {
	_, data, err := c.ws.ReadMessage()
	if err != nil || len(data) == 0 || data[0] != 1 {
		return nil, fmt.Errorf("a message of %d bytes: %w", len(data), err)
	}
	return data[1:], nil
}

func (c *socketCat) close() { _ = c.ws.Close() }
