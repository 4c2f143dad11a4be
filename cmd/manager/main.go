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

// Command manager is the operator: controllers, host cache, proxy and console in
// one process, against the cluster of --kubeconfig, $KUBECONFIG or the Pod it
// runs in. "manager audit" checks an audit trail.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/dockercontrol/dockercontrol/internal/audit/auditcmd"
	"github.com/dockercontrol/dockercontrol/internal/manager"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) > 1 && os.Args[1] == "audit" {
		return auditcmd.Run(ctrl.SetupSignalHandler(), os.Args[2:], auditcmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	}
	options := manager.DefaultOptions()
	options.BindFlags(pflag.CommandLine)
	logging := zap.Options{}
	goFlags := flag.NewFlagSet("", flag.ContinueOnError)
	logging.BindFlags(goFlags)
	config.RegisterFlags(goFlags)
	pflag.CommandLine.AddGoFlagSet(goFlags)
	pflag.CommandLine.SortFlags = false
	pflag.Parse()
	if pflag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q; see --help", pflag.Arg(0))
	}
	if err := options.Validate(); err != nil {
		return err
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))
	manager.RouteStandardLog(ctrl.Log)
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding a cluster: %w; give --kubeconfig, set KUBECONFIG, or run in a Pod", err)
	}
	return manager.Run(ctrl.SetupSignalHandler(), cfg, options)
}
