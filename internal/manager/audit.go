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

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/audit/heads"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
)

// newAudit opens the audit trail and returns who records: the trail first, where
// there is one, then Events. What acts on an engine gets the recorder. direct is a
// client without a cache. Close what records first.
func newAudit(mgr ctrl.Manager, direct client.Client, keys *keyring.Keyring, o Options) (audit.Recorder, func() error, error) {
	notifier := audit.NewNotifier(mgr.GetEventRecorder(component))
	if o.AuditFile == "" {
		return audit.Multi(notifier), func() error { return nil }, nil
	}
	log := ctrl.Log.WithName("audit")
	trailOptions := audit.TrailOptions{
		Path: o.AuditFile, MaxFiles: o.AuditMaxFiles, Key: keys.Current(keyring.AuditChain).Bytes, Log: log,
	}
	if o.AuditStdout && o.AuditFile != "-" {
		trailOptions.Copy = os.Stdout
	}
	trail, err := audit.OpenTrail(trailOptions)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the audit trail: %w", err)
	}
	publisher := heads.Publish(heads.Options{
		Client: direct, Namespace: o.Namespace, Head: trail.Head, Log: log,
		Key: func() []byte { return keys.Current(keyring.AuditHeads).Bytes },
	})
	closeBoth := func() error { return errors.Join(publisher.Close(), trail.Close()) }
	return audit.Multi(trail, notifier), closeBoth, nil
}
