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
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/audit"
)

// newAudit opens the audit trail and returns who records: the trail first, where
// there is one, then Events. What acts on an engine gets the recorder.
func newAudit(ctx context.Context, mgr ctrl.Manager, o Options) (audit.Recorder, func() error, error) {
	notifier := audit.NewNotifier(mgr.GetEventRecorder(component))
	if o.AuditFile == "" {
		return audit.Multi(notifier), func() error { return nil }, nil
	}
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, nil, fmt.Errorf("making a client for the audit trail's key: %w", err)
	}
	key, err := sharedKey(ctx, direct, o.Namespace)
	if err != nil {
		return nil, nil, fmt.Errorf("finding the audit trail's key: %w", err)
	}
	trail, err := audit.OpenTrail(audit.TrailOptions{Path: o.AuditFile, Key: key, Log: ctrl.Log.WithName("audit")})
	if err != nil {
		return nil, nil, fmt.Errorf("opening the audit trail: %w", err)
	}
	return audit.Multi(trail, notifier), trail.Close, nil
}
