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

// Command enginesim serves simulated Docker engines, thousands in one process,
// each on a unix socket of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
)

const usage = `Usage: enginesim --dir DIR [--hosts N] [--containers M] ...

Serves N simulated Docker engines on DIR/0000.sock, DIR/0001.sock and on, and
prints "enginesim ready" when all of them listen. SIGTERM stops it and removes
the sockets.

DIR/control.sock takes HTTP calls that change the engines while they run:

  curl --unix-socket DIR/control.sock -X PUT http://sim/hosts/0042/fault -d '{"mode":"blackhole"}'
  curl --unix-socket DIR/control.sock -X DELETE http://sim/hosts/0000-0099/fault
  curl --unix-socket DIR/control.sock -X POST http://sim/hosts/0042/restart -d '{"off":"2s"}'
  curl --unix-socket DIR/control.sock -X POST http://sim/hosts/0042/cut
  curl --unix-socket DIR/control.sock -X POST http://sim/hosts/0042/containers -d '{"name":"web"}'
  curl --unix-socket DIR/control.sock -X POST http://sim/hosts/0042/containers/web/start
  curl --unix-socket DIR/control.sock http://sim/hosts/0042
  curl --unix-socket DIR/control.sock http://sim/hosts/0000-0099/calls

Fault modes: blackhole, refuse, stall, truncate, junk, html, long, redirect (with
"location") and error; beside a mode or without one: "latency" ("50ms"), "skew"
("-1h"), "apiVersion", "minAPIVersion", "flood" (events a second), "paths" (the
beginnings of the paths that it is about), "bytes" (of junk). A container's
actions, create, start, stop, restart, kill, pause, unpause and remove, answer
with the time at which the engine says they happened.

Flags:
`

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	var opts sim.FleetOptions
	flag.StringVar(&opts.Dir, "dir", "", "directory of the sockets; made if it is missing")
	flag.IntVar(&opts.Hosts, "hosts", 1, "how many engines")
	flag.IntVar(&opts.Engine.Containers, "containers", 50, "how many containers an engine has at the start")
	flag.IntVar(&opts.Engine.Images, "images", 1, "how many images an engine has at the start")
	flag.StringVar(&opts.Engine.APIVersion, "api-version", "1.41", "the newest API version an engine speaks")
	flag.StringVar(&opts.Engine.MinAPIVersion, "min-api-version", "1.12", "the oldest API version an engine speaks")
	flag.Float64Var(&opts.Churn, "churn", 0, "how many containers of all restart each second")
	swarm := flag.Bool("swarm", false, "put the engines into swarms")
	size := flag.Int("swarm-size", 10, "how many engines a swarm has, the first three of them managers")
	flag.Parse()
	if *swarm {
		opts.SwarmSize = *size
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "enginesim:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, opts sim.FleetOptions) (err error) {
	if err := raiseFileLimit(); err != nil {
		return err
	}
	fleet, err := sim.NewFleet(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fleet.Close()) }()
	control, err := fleet.ListenControl()
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: fleet.Control(), ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	fmt.Println("enginesim ready")
	if err := srv.Serve(control); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve control: %w", err)
	}
	return nil
}

// raiseFileLimit lets the process open as many files as it may: each engine
// takes one, and each connection to it another.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}
