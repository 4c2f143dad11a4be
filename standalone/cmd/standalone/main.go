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

// Command standalone is the operator with a Kubernetes control plane of its own, in one process: for those who have Docker
// hosts and no cluster, and for tests.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/dockercontrol/dockercontrol/config"
	"github.com/dockercontrol/dockercontrol/internal/audit/auditcmd"
	"github.com/dockercontrol/dockercontrol/standalone/internal/app"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "standalone: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "audit" {
		return auditcmd.Run(context.Background(), args[1:], auditcmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	}
	opts, manager, err := parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	return app.Run(app.UntilSignal(), opts, manager, []fs.FS{config.CRDs, config.RBAC, config.Admission}, os.Stdout)
}

// auditFile is the audit trail in the data directory, unless another is named.
const auditFile = "audit.jsonl"

// parse reads the flags: the program's own and all of the manager's. Of those that both have, the program's counts.
func parse(args []string) (app.Options, app.Manager, error) {
	opts, managerOpts := app.DefaultOptions(), defaultManagerOptions()
	flags := pflag.NewFlagSet("standalone", pflag.ContinueOnError)
	opts.BindFlags(flags)
	managerFlags := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	managerOpts.BindFlags(managerFlags)
	flags.AddFlagSet(managerFlags)
	flags.Lookup("audit-file").DefValue = auditFile + " in the data directory"
	flags.Usage = func() {
		fmt.Fprintf(os.Stderr, "Usage: standalone --data-dir DIR [flags]\n\nRuns a Kubernetes control plane and the manager, without nodes.\n\n%s", flags.FlagUsages())
	}
	if err := flags.Parse(args); err != nil {
		return opts, app.Manager{}, err
	}
	if flags.NArg() > 0 {
		return opts, app.Manager{}, fmt.Errorf("unknown argument %q: there are only flags, see --help", flags.Arg(0))
	}
	if !flags.Changed("audit-file") {
		managerOpts.AuditFile = filepath.Join(opts.DataDir, auditFile)
	}
	manager, err := newManager(&opts, managerOpts)
	return opts, manager, err
}
