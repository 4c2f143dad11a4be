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

package controllers

import (
	"context"
	"fmt"

	engineswarm "github.com/moby/moby/api/types/swarm"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// leaveAlone notes that the service of the name is another's. An object that never had
// one takes back what was begun for it, so that nothing waits for its end.
func (t *serviceTurn) leaveAlone(ctx context.Context, have *engineswarm.Service) {
	t.view.service = nil
	t.fault(conflict(t.svc, have))
	t.follow("", false)
	if t.svc.Status.ServiceID != "" || !controllerutil.ContainsFinalizer(t.svc, serviceFinalizer) {
		return
	}
	if err := t.Inputs.Release(ctx, t.svc, t.on, false); err != nil {
		t.err = err // the conflict is told all the same
		return
	}
	t.wroteObject(t.dropFinalizer(ctx))
}

// dropFinalizer leaves what this turn has made of the status as it is.
func (t *serviceTurn) dropFinalizer(ctx context.Context) error {
	after := t.svc.DeepCopy()
	controllerutil.RemoveFinalizer(after, serviceFinalizer)
	if err := t.Client.Patch(ctx, after, client.MergeFromWithOptions(t.svc, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	t.svc.ResourceVersion, t.svc.Finalizers = after.ResourceVersion, after.Finalizers
	return nil
}
