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

package auditcmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"
)

// ErrProblems says that the command did its work and found the trail wrong. What is
// wrong has been printed.
var ErrProblems = errors.New("the audit trail is not whole")

// Streams are what the command reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	// Err takes the usage.
	Err io.Writer
}

const usage = `Usage:
  manager audit verify FILE... [flags]   check that no record was edited, removed, reordered or cut off
  manager audit heads [flags]            print the signed heads of all chains, to keep them elsewhere

FILE is an audit trail; the files it was rotated to are found beside it, unless more than one is named,
the oldest first. - is standard input.
Keys are read from the Secret dockercontrol-keys and heads from the Leases beside it; with --key-file no
cluster is asked.

Flags:
`

// Run runs the command with the arguments after "audit". It returns nil where nothing
// is wrong with the trail.
func Run(ctx context.Context, args []string, s Streams) error {
	o := options{}
	flags := pflag.NewFlagSet("audit", pflag.ContinueOnError)
	flags.SetOutput(s.Err)
	o.bind(flags)
	flags.Usage = func() { fmt.Fprint(s.Err, usage+flags.FlagUsages()) }
	err := flags.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	switch args := flags.Args(); {
	case len(args) > 1 && args[0] == "verify":
		return o.verify(ctx, args[1:], s)
	case len(args) == 1 && args[0] == "verify":
		return errors.New("name the audit trail's file, or - for standard input; see --help")
	case len(args) == 1 && args[0] == "heads":
		return o.heads(ctx, s)
	}
	flags.Usage()
	return errors.New(`want "verify FILE" or "heads"`)
}

type options struct {
	kubeconfig, namespace string
	keyFiles, headFiles   []string
}

func (o *options) bind(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubeconfig of the cluster; without it $KUBECONFIG, ~/.kube/config or the Pod's own.")
	flags.StringVar(&o.namespace, "namespace", "dockercontrol-system", "The manager's namespace, which holds the keys and the Leases.")
	flags.StringArrayVar(&o.keyFiles, "key-file", nil,
		"File with a version of the key from the Secret, raw or in base64; may be given several times. No cluster is asked then.")
	flags.StringArrayVar(&o.headFiles, "head", nil,
		"File with heads that were kept, one a line, as heads prints them or chain:number:mac; - is standard input.")
}
