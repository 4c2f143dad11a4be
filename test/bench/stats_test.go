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
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/proxy/streamapi"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

const (
	// statsViewers is how many look at each container where many do.
	statsViewers = 50
	// statsStarters is how many containers are started at once.
	statsStarters = 4
	messageJSON   = 2
)

// BenchmarkStats has the statistics of many containers of a real engine watched by one
// viewer each, and by many: each viewer is a WebSocket with a subscription a container.
func BenchmarkStats(b *testing.B) {
	if *statsContainers > streamapi.MaxSubscriptions {
		b.Fatalf("--stats-containers is at most %d, the subscriptions of a connection", streamapi.MaxSubscriptions)
	}
	p := startProxy(b, fmt.Sprintf("--container-viewers=%d", statsViewers), fmt.Sprintf("--user-streams=%d", statsViewers+10))
	say("starting a real engine and %d containers", *statsContainers)
	engine := testbed.StartDockerd(b, testbed.DockerdOptions{Name: "bench"})
	engine.ImportBusybox(b, "bench:1")
	inParallel(b, *statsContainers, statsStarters, func(i int) error {
		name := statsName(i)
		_, err := engine.TryCall(http.MethodPost, "/containers/create?name="+name, map[string]any{
			"Image": "bench:1", "Cmd": []string{"sleep", "100000"}, "StopSignal": "SIGKILL", "HostConfig": map[string]any{"NetworkMode": "none"},
		})
		if err == nil {
			_, err = engine.TryCall(http.MethodPost, "/containers/"+name+"/start", nil)
		}
		return err
	})
	p.addHost(b, "stats", engine.Endpoint())
	way := p.client(b, "the proxy", "https://"+p.m.proxy, p.user(b, "viewer", dcv1.HostViewer))
	s := &statsBench{proxyBed: p, engine: engine, way: way}
	pause(b, 5*time.Second) // the start is over

	idle := s.measure(b, 0)
	one := s.measure(b, 1)
	many := s.measure(b, statsViewers)
	p.end(b)
	rows := [][]string{{"viewers of each", "samples a container a second", "CPU: dockerd", "CPU: manager", "CPU: viewers", "RSS", "samples a second of dockerd's and the manager's CPU"}}
	for _, r := range []*statsRun{idle, one, many} {
		rows = append(rows, r.row())
	}
	title := fmt.Sprintf("The statistics of %d containers, for %v", *statsContainers, *statsTime)
	addRows(title, rows)
	add(title+", against the aims",
		figure{
			name: fmt.Sprintf("dockerd's CPU with %d viewers of each", statsViewers), unit: cores, samples: []float64{many.dockerd}, reference: one.dockerd, of: "with one viewer of each",
		},
		figure{
			name: fmt.Sprintf("samples a second for each of %d viewers", statsViewers), unit: number, share: 0.9, samples: []float64{many.rate()}, reference: one.rate(), of: "for one viewer",
		},
	)
	b.ReportMetric(0, "ns/op") // the tables are the result
}

func statsName(i int) string { return fmt.Sprintf("c%03d", i) }

type statsBench struct {
	*proxyBed
	engine *testbed.Dockerd
	way    *api
}

// statsRun is what some viewers of each container cost; CPU is in cores.
type statsRun struct {
	viewers                  int
	took                     time.Duration
	samples                  uint64
	dockerd, manager, client float64
	rss                      float64
}

// measure opens the viewers, waits until each has a sample of each container, and counts.
func (s *statsBench) measure(b *testing.B, viewers int) *statsRun {
	b.Helper()
	say("%d viewers of the statistics of each container", viewers)
	var samples, first atomic.Uint64
	var reading errgroup.Group
	conns := make([]*websocket.Conn, viewers)
	inParallel(b, viewers, callers, func(i int) (err error) {
		conns[i], err = s.subscribe()
		return err
	})
	var ended atomic.Int64
	for _, ws := range conns {
		reading.Go(func() error {
			defer ended.Add(1)
			return readSamples(ws, &samples, &first)
		})
	}
	all := uint64(viewers * *statsContainers)
	eventually(b, time.Minute, "the first sample of each subscription", func() bool { return first.Load() == all || ended.Load() > 0 })
	if ended.Load() > 0 {
		for _, ws := range conns {
			_ = ws.Close()
		}
		b.Fatalf("viewers of statistics ended: %v", reading.Wait())
	}
	pause(b, 3*time.Second)

	r := &statsRun{viewers: viewers}
	dockerd, manager, client, had := s.dockerd(b), s.m.usage(b), ownCPU(), samples.Load()
	pause(b, *statsTime)
	after, used := s.dockerd(b), s.m.usage(b)
	r.took, r.samples = after.at.Sub(dockerd.at), samples.Load()-had
	r.dockerd, r.manager = after.coresSince(dockerd), used.coresSince(manager)
	r.client, r.rss = (ownCPU()-client).Seconds()/r.took.Seconds(), used.rss
	for _, ws := range conns {
		_ = ws.Close()
	}
	if err := reading.Wait(); err != nil {
		b.Fatal(err)
	}
	say("%v", r.row())
	pause(b, 8*time.Second) // the engine's streams outlive their viewers by 5 s
	return r
}

func (s *statsBench) dockerd(b *testing.B) usage {
	b.Helper()
	u, err := usageOf(s.engine.PID())
	if err != nil {
		b.Fatal(err)
	}
	return u
}

// subscribe opens a connection with a subscription to each container.
func (s *statsBench) subscribe() (*websocket.Conn, error) {
	ws, err := dialViewer(interrupted, s.way, streamapi.Path)
	if err != nil {
		return nil, err
	}
	for i := range *statsContainers {
		err := ws.WriteJSON(map[string]any{
			"type": "subscribe", "id": i, "topic": "stats", "namespace": s.w.namespace, "host": "stats", "containers": []string{statsName(i)},
		})
		if err != nil {
			return nil, err
		}
	}
	return ws, nil
}

// readSamples counts the samples that come, and of how many subscriptions one has come,
// until the connection is closed here.
func readSamples(ws *websocket.Conn, samples, first *atomic.Uint64) error {
	seen := make([]bool, *statsContainers)
	for {
		kind, data, err := ws.ReadMessage()
		switch {
		case errors.Is(err, net.ErrClosed): // here
			return nil
		case err != nil:
			return err
		case kind == websocket.TextMessage && len(data) < 60: // subscribed
		case kind == websocket.TextMessage:
			return fmt.Errorf("a subscription ended: %s", data)
		case len(data) < messagePrefix || data[0] != messageJSON:
			return fmt.Errorf("no sample: %.100q", data)
		default:
			samples.Add(1)
			if id := binary.BigEndian.Uint32(data[1:]); int(id) < len(seen) && !seen[id] {
				seen[id] = true
				first.Add(1)
			}
		}
	}
}

// rate is samples a second of one container for one viewer.
func (r *statsRun) rate() float64 {
	if r.viewers == 0 {
		return 0
	}
	return float64(r.samples) / r.took.Seconds() / float64(r.viewers**statsContainers)
}

func (r *statsRun) row() []string {
	row := []string{fmt.Sprint(r.viewers), "", cores(r.dockerd), cores(r.manager), cores(r.client), megabytes(r.rss), ""}
	if r.viewers > 0 {
		row[1] = number(r.rate())
		row[6] = fmt.Sprintf("%.0f", float64(r.samples)/r.took.Seconds()/(r.dockerd+r.manager))
	}
	return row
}
