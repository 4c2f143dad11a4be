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

// Command enginesim serves simulated Docker engines on unix sockets.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
)

func main() {
	hosts := flag.Int("hosts", 1, "how many engines")
	containers := flag.Int("containers", 50, "how many containers an engine has")
	dir := flag.String("dir", "", "directory of the sockets")
	flag.Parse()
	for i := range *hosts {
		name := fmt.Sprintf("%04d", i)
		l, err := net.Listen("unix", filepath.Join(*dir, name+".sock"))
		if err != nil {
			fmt.Fprintln(os.Stderr, "enginesim:", err)
			os.Exit(1)
		}
		e := sim.New(sim.Options{Name: "sim-" + name, Containers: *containers})
		defer e.Close()
		go func() { _ = e.Serve(l) }()
	}
	fmt.Println("enginesim ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	<-stop
}
