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

package manager

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// maxRecordingsMB is 16 TB, more than a volume has.
const maxRecordingsMB = 16 << 20

func (o *Options) bindExecFlags(fs *pflag.FlagSet) {
	e := &o.Exec
	fs.DurationVar(&e.Idle, "exec-idle-timeout", e.Idle,
		"How long an exec or attach session may be without a byte either way before it is ended.")
	fs.DurationVar(&e.Total, "exec-max-duration", e.Total,
		"How long an exec or attach session may take at most.")
	fs.DurationVar(&e.Grace, "exec-reattach-grace", e.Grace,
		"How long a session that was begun with reattach=true waits for a client whose connection broke.")
	fs.StringVar(&e.RecordDir, "exec-recordings-dir", e.RecordDir,
		"Directory, of this replica alone, that takes the output of every exec and attach session as asciicast v2; empty records none.")
	fs.IntVar(&o.ExecRecordingsMB, "exec-recordings-max-mb", o.ExecRecordingsMB,
		"How many MiB the recordings may take together; the oldest are deleted.")
}

func (o *Options) validateExec() error {
	var errs []error
	if o.Exec.Idle <= 0 || o.Exec.Total < o.Exec.Idle {
		errs = append(errs, errors.New("--exec-idle-timeout must be more than 0, and --exec-max-duration not less than it"))
	}
	if o.Exec.Grace <= 0 {
		errs = append(errs, errors.New("--exec-reattach-grace must be more than 0"))
	}
	if o.ExecRecordingsMB < 1 || o.ExecRecordingsMB > maxRecordingsMB {
		errs = append(errs, fmt.Errorf("--exec-recordings-max-mb %d is out of range: 1 to %d", o.ExecRecordingsMB, maxRecordingsMB))
	}
	if dir := o.Exec.RecordDir; dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			errs = append(errs, fmt.Errorf("--exec-recordings-dir %q is not a directory: make it, for the manager's user alone", dir))
		}
	}
	return errors.Join(errs...)
}

// execOptions are the sessions' options with what other flags say.
func (o *Options) execOptions() stream.ExecOptions {
	e := o.Exec
	e.RecordTotal = int64(o.ExecRecordingsMB) << 20
	return e
}
