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
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// Sizes and counts. The defaults are what docs/benchmarks.md shows; smaller ones
// tell in a minute whether everything still works.
var (
	rounds          = flag.Int("rounds", 15, "rounds of each short scenario with the real engine")
	longRounds      = flag.Int("long-rounds", 2, "rounds with an outage of more than a minute")
	hosts           = flag.Int("hosts", 1000, "simulated hosts")
	containers      = flag.Int("containers", 50, "containers of each simulated host")
	steady          = flag.Duration("steady", 2*time.Minute, "how long the steady fleet is measured")
	eventCount      = flag.Int("events", 3000, "container events to follow to the inventory")
	eventRate       = flag.Int("event-rate", 50, "container events a second, over the whole fleet")
	services        = flag.Int("services", 1000, "SwarmServices to create, update and delete on a simulated swarm")
	steadyMany      = flag.Int("steady-services", 5000, "SwarmServices of the steady simulated swarm")
	bulk            = flag.Int("bulk", 1024, "MiB of a copy through the proxy; an image is half, what costs the engine nothing four times as much")
	logViewers      = flag.String("log-viewers", "1,10,50,200,1000", "numbers of viewers of one log")
	logDirect       = flag.String("log-direct", "1,10,50", "numbers of viewers that ask the engine itself")
	logRate         = flag.Int("log-rate", 10000, "lines a second of the log that they view")
	logTime         = flag.Duration("log-time", 10*time.Second, "how long that is written")
	statsContainers = flag.Int("stats-containers", 200, "containers whose statistics are viewed")
	statsTime       = flag.Duration("stats-time", 15*time.Second, "how long those are counted")
	beWriter        = flag.String("be-writer", "", "be the writer of a log: lines a second, lines")
	nullEngine      = flag.String("null-engine", "", "be an engine that does nothing, on a socket and a port in this directory's files")
	writeTo         = flag.String("write", "", "file whose table is replaced by the one measured, as docs/benchmarks.md")
)

// interrupted ends with SIGINT or SIGTERM. Whatever waits, waits for it too, so
// that no daemon outlives the benchmarks.
var interrupted context.Context

// conditions is what machine said before anything was measured.
var conditions string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	if *nullEngine != "" {
		return serveNull(*nullEngine)
	}
	if *beWriter != "" {
		return runWriter(*beWriter)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	interrupted = ctx
	conditions = machine()
	say("%s", conditions)
	code := testenv.Run(m)
	if len(report) == 0 {
		return code
	}
	table := strings.Join(report, "\n\n")
	fmt.Printf("\n%s\n\n%s\n", conditions, table)
	if *writeTo != "" && code == 0 {
		if err := replaceTable(*writeTo, table); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// say prints a line of progress.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s ==> %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// program is the path of a program that hack/bench.sh has built.
func program(b *testing.B, name string) string {
	b.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "bin", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		b.Fatalf("%v: run hack/bench.sh, which builds it", err)
	}
	return path
}

// pause waits; an interruption ends it and the benchmark.
func pause(b *testing.B, d time.Duration) {
	b.Helper()
	select {
	case <-interrupted.Done():
		b.Fatal("interrupted")
	case <-time.After(d):
	}
}
