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

package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// floodEngine is an engine with one container, which writes as fast as it is read.
type floodEngine struct {
	engine.Engine
	lines int
	start chan struct{}
	ended atomic.Bool
}

func (e *floodEngine) Inspect(context.Context, engine.Kind, string) (json.RawMessage, error) {
	return json.RawMessage(fmt.Sprintf(`{"State":{"Running":%t}}`, !e.ended.Load())), nil
}

func (e *floodEngine) Logs(_ context.Context, _ string, opts engine.LogsOptions) (engine.LogStream, error) {
	if !opts.Follow {
		return engine.LogStream{ReadCloser: io.NopCloser(strings.NewReader("")), Multiplexed: true}, nil
	}
	return engine.LogStream{ReadCloser: &flood{engine: e}, Multiplexed: true}, nil
}

// flood sends lines of 100 bytes, 50 in a read, at the rate of a writer that is limited to
// every.
type flood struct {
	engine *floodEngine
	sent   int
	begin  time.Time
	buffer []byte
	digits [20]byte
}

var zeros = strings.Repeat("0", 69)

// floodRate is lines a second.
const floodRate = 10_000

func (f *flood) Read(p []byte) (int, error) {
	<-f.engine.start
	if f.begin.IsZero() {
		f.begin = time.Now()
	}
	if f.sent >= f.engine.lines {
		f.engine.ended.Store(true)
		return 0, io.EOF
	}
	time.Sleep(time.Until(f.begin.Add(time.Duration(f.sent) * time.Second / floodRate)))
	f.buffer = f.buffer[:0]
	for range 50 {
		at := time.Unix(1_772_000_000, int64(f.sent)*int64(time.Second/floodRate)+1)
		f.sent++
		f.buffer = append(f.buffer, 1, 0, 0, 0, 0, 0, 0, byte(stampBytes+1+70))
		f.buffer = at.UTC().AppendFormat(f.buffer, "2006-01-02T15:04:05.000000000Z")
		f.buffer = append(f.buffer, ' ')
		digits := strconv.AppendInt(f.digits[:0], int64(f.sent), 10)
		f.buffer = append(f.buffer, zeros[:69-len(digits)]...)
		f.buffer = append(append(f.buffer, digits...), '\n')
	}
	return copy(p, f.buffer), nil
}

func (f *flood) Close() error { return nil }

type floodHosts struct{ engine *floodEngine }

func (h floodHosts) Engine(Key) (engine.Engine, error) { return h.engine, nil }
func (h floodHosts) Notify(func(Key)) func()           { return func() {} }

// BenchmarkHub gives the lines of one container, which writes 10,000 a second, to some
// viewers. An operation is one line of the container.
func BenchmarkHub(b *testing.B) {
	for _, viewers := range []int{1, 50, 200} {
		b.Run(fmt.Sprintf("viewers=%d", viewers), func(b *testing.B) { benchmarkHub(b, viewers) })
	}
}

func benchmarkHub(b *testing.B, viewers int) {
	b.ReportAllocs()
	e := &floodEngine{lines: (b.N + 49) / 50 * 50, start: make(chan struct{})}
	logs := NewLogs(floodHosts{e}, Limits{Viewers: viewers})
	var delivered, lost atomic.Uint64
	var reading sync.WaitGroup
	for range viewers {
		v, err := logs.Open(b.Context(), testSource, LogQuery{Follow: true})
		if err != nil {
			b.Fatal(err)
		}
		reading.Go(func() {
			defer v.Close()
			for had := 0; had < e.lines; {
				batch, err := v.Next()
				if err != nil {
					b.Error(err)
					return
				}
				for i := range batch.Lines {
					if batch.Lines[i].Kind == LineGap {
						lost.Add(batch.Lines[i].Lost)
						had += int(batch.Lines[i].Lost) - 1
					}
				}
				had += len(batch.Lines)
				delivered.Add(uint64(len(batch.Lines)))
			}
		})
	}
	cpu := cpuTime()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	close(e.start)
	reading.Wait()
	b.StopTimer()
	runtime.ReadMemStats(&after)
	logs.Close()
	used := (cpuTime() - cpu).Seconds()
	b.ReportMetric(float64(delivered.Load())/float64(viewers)/float64(e.lines)*100, "%delivered")
	b.ReportMetric(float64(delivered.Load())/used, "viewer-lines/cpu-s")
	b.ReportMetric(float64(delivered.Load())/b.Elapsed().Seconds(), "viewer-lines/s")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(delivered.Load()), "allocs/viewer-line")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(delivered.Load()), "B/viewer-line")
	b.ReportMetric(float64(lost.Load()), "lost")
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
