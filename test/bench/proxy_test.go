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
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

const (
	// bulkRounds is how often each copy is made, by every way in turn.
	bulkRounds = 3
	// calls and callers are what the "containers/json" is asked with, timedCalls
	// how many calls one after the other tell what the proxy adds to one.
	calls, callers, timedCalls = 1000, 16, 3000
	// followers are streams of logs that run at once.
	followers = 200
	// bare calls are the two that are timed.
	ping, list = "/_ping", "/containers/json"
)

// BenchmarkProxy measures the pass-through to a real engine, and to one that does nothing,
// beside their own TLS listeners: copies, calls, what a call takes longer, and followed
// logs. The proxy reaches the engines by a socket, as on the engine's own machine, and by
// TLS, as elsewhere.
func BenchmarkProxy(b *testing.B) {
	p := startProxy(b)
	say("starting a real engine and one that does nothing")
	engine := testbed.StartDockerd(b, testbed.DockerdOptions{Name: "bench", TCP: true, CA: p.ca})
	engine.ImportBusybox(b, "bench:1")
	container := engine.RunContainer(b, "bulk", "bench:1", "/bin/sh", "-c", "while :; do echo a line of output of some length; sleep 0.1; done")
	for i := range engineContainers {
		engine.Call(b, http.MethodPost, fmt.Sprintf("/containers/create?name=c%d", i), map[string]any{"Image": "bench:1", "Cmd": []string{"true"}})
	}
	nothing := startNull(b, p.ca)
	p.addHost(b, "real-socket", engine.Endpoint())
	p.addHost(b, "real-tls", engine.TCPEndpoint())
	p.addHost(b, "null-socket", "unix://"+nothing.socket)
	p.addHost(b, "null-tls", "tcp://"+nothing.address)
	token := p.user(b, "admin", dcv1.HostAdmin)
	realWays := []*api{p.direct(b, engine.Address()+":2376"), p.through(b, "real-socket", "a socket", token), p.through(b, "real-tls", "TLS", token)}
	nullWays := []*api{p.direct(b, nothing.address), p.through(b, "null-socket", "a socket", token), p.through(b, "null-tls", "TLS", token)}

	size := int64(*bulk) << 20
	in, out := copies(container, size)
	var figures []figure
	figures = append(figures, p.bulk(b, realWays, 0.9, in)...)
	figures = append(figures, p.bulk(b, realWays, 0.9, out)...)
	engine.Call(b, http.MethodDelete, "/containers/"+container+"?force=1", nil)
	importRandom(b, engine, "big:1", size/2)
	figures = append(figures, p.bulk(b, realWays, 0.9, transfer{name: "docker save", size: size / 2, do: get("/images/get?names=big:1")})...)
	figures = append(figures, p.bulk(b, nullWays, 0.6, transfer{name: "a source that does nothing", size: 4 * size, do: get(fmt.Sprintf("/containers/x/archive?path=%d", 4*size))})...)
	figures = append(figures, p.bulk(b, nullWays, 0.6, transfer{name: "a sink that does nothing", size: 4 * size, do: func(a *api) (int64, error) {
		_, err := a.call(http.MethodPut, "/containers/x/archive?path=/", io.LimitReader(zeros{}, 4*size))
		return 4 * size, err
	}})...)
	add(fmt.Sprintf("Copies through the proxy, of %d MiB (an image: half, nothing: four times)", *bulk), figures...)

	add("Calls through the proxy", append(p.together(b, realWays), p.added(b, realWays)...)...)
	add(fmt.Sprintf("%d followed logs through the proxy", followers), p.followed(b, engine, realWays[1:])...)
	p.end(b)
	b.ReportMetric(0, "ns/op") // the tables are the result
}

// transfer moves size bytes; do returns how many it moved.
type transfer struct {
	name string
	size int64
	do   func(*api) (int64, error)
}

func get(path string) func(*api) (int64, error) {
	return func(a *api) (int64, error) { return a.call(http.MethodGet, path, nil) }
}

// bulk makes a transfer by every way in turn. The first way is the reference.
func (p *proxyBed) bulk(b *testing.B, ways []*api, share float64, t transfer) []figure {
	b.Helper()
	rates, managers := make([][]float64, len(ways)), make([][]float64, len(ways))
	var own []float64 // this client's CPU, without the proxy
	gib := float64(t.size) / (1 << 30)
	for range bulkRounds {
		for i, way := range ways {
			before, mine, began := p.m.usage(b), ownCPU(), time.Now()
			n, err := t.do(way)
			took := time.Since(began)
			if err != nil || n < t.size {
				b.Fatalf("%s, %s: %d of %d bytes, %v", t.name, way.name, n, t.size, err)
			}
			rates[i] = append(rates[i], float64(t.size)/took.Seconds())
			managers[i] = append(managers[i], (p.m.usage(b).cpu-before.cpu).Seconds()/gib)
			if i == 0 {
				own = append(own, (ownCPU()-mine).Seconds()/gib)
			}
		}
	}
	var figures []figure
	for i, way := range ways[1:] {
		figures = append(figures,
			figure{name: t.name + ", " + way.name, unit: megabytesPerSecond, share: share, samples: rates[i+1], reference: quantile(rates[0], 0.5), of: ways[0].name},
			figure{name: t.name + ", " + way.name + ": the manager's CPU a GiB", unit: seconds, samples: managers[i+1], reference: quantile(own, 0.5), of: "this client's, directly"},
		)
	}
	return figures
}

// together makes calls at once, and tells how many a second there were.
func (p *proxyBed) together(b *testing.B, ways []*api) []figure {
	b.Helper()
	rates := make([][]float64, len(ways))
	for range bulkRounds {
		for i, way := range ways {
			began := time.Now()
			inParallel(b, calls, callers, func(int) error {
				_, err := way.call(http.MethodGet, list, nil)
				return err
			})
			rates[i] = append(rates[i], calls/time.Since(began).Seconds())
		}
	}
	var figures []figure
	for i, way := range ways[1:] {
		figures = append(figures, figure{
			name: fmt.Sprintf("%d times GET %s, %d at once, %s", calls, list, callers, way.name), unit: perSecond,
			samples: rates[i+1], reference: quantile(rates[0], 0.5), of: ways[0].name,
		})
	}
	return figures
}

// added makes calls one by one, on connections that are kept, and tells what the proxy
// adds to them.
func (p *proxyBed) added(b *testing.B, ways []*api) []figure {
	b.Helper()
	var figures []figure
	for _, call := range []struct{ method, path string }{{http.MethodHead, ping}, {http.MethodGet, list}} {
		took := make([][]float64, len(ways))
		for range timedCalls {
			for i, way := range ways {
				began := time.Now()
				if _, err := way.call(call.method, call.path, nil); err != nil {
					b.Fatal(err)
				}
				took[i] = append(took[i], time.Since(began).Seconds())
			}
		}
		for i, way := range ways[1:] {
			what := call.method + " " + call.path + ", " + way.name
			plus := func(q float64) []float64 { return []float64{quantile(took[i+1], q) - quantile(took[0], q)} }
			figures = append(figures,
				figure{name: what, unit: microseconds, samples: took[i+1], reference: quantile(took[0], 0.5), of: ways[0].name},
				figure{name: what + ": added, p50", unit: microseconds, aim: 0.3e-3, judge: worst, samples: plus(0.5)},
				figure{name: what + ": added, p99", unit: microseconds, samples: plus(0.99)},
			)
		}
	}
	return figures
}

// followed runs streams of a container's log and tells what they cost the manager.
func (p *proxyBed) followed(b *testing.B, engine *testbed.Dockerd, ways []*api) []figure {
	b.Helper()
	container := engine.RunContainer(b, "talker", "bench:1", "/bin/sh", "-c", "while :; do echo a line of output of some length; sleep 0.1; done")
	var figures []figure
	for _, way := range ways {
		way.http.CloseIdleConnections()
		pause(b, 2*time.Second)
		before := p.m.usage(b)
		ctx, stop := context.WithCancel(interrupted)
		streams, got := errgroup.Group{}, make(chan struct{}, followers)
		for range followers {
			streams.Go(func() error { return follow(ctx, way, container, got) })
		}
		eventually(b, time.Minute, "all streams to have said something", func() bool { return len(got) == followers })
		pause(b, 5*time.Second)
		early := p.m.usage(b)
		pause(b, 15*time.Second)
		late := p.m.usage(b)
		stop()
		if err := streams.Wait(); err != nil {
			b.Fatal(err)
		}
		figures = append(figures,
			figure{name: "the manager's memory (RSS), " + way.name, unit: megabytes, samples: []float64{late.rss}, reference: before.rss, of: "before"},
			figure{name: "memory a stream, " + way.name, unit: kB, samples: []float64{(late.rss - before.rss) / followers}, reference: (early.rss - before.rss) / followers, of: "15 s before"},
			figure{name: "the manager's CPU at 10 lines a second each, " + way.name, unit: cores, samples: []float64{late.coresSince(early)}},
		)
	}
	return figures
}

// follow reads a log until ctx ends.
func follow(ctx context.Context, way *api, container string, got chan<- struct{}) error {
	resp, err := way.open(ctx, http.MethodGet, "/containers/"+container+"/logs?follow=1&stdout=1&tail=1", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
		return err
	}
	got <- struct{}{}
	if n, err := io.Copy(io.Discard, resp.Body); ctx.Err() == nil {
		return fmt.Errorf("a followed log ended after %d bytes: %w", n, err)
	}
	return nil
}
