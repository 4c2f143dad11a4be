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

package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// ServiceOwners reads and changes SwarmServices as the owner of a token may. KubeOwners
// is one. Errors are the API server's own.
type ServiceOwners interface {
	Get(ctx context.Context, token string, key types.NamespacedName) (*dcv1.SwarmService, error)
	// Scale sets spec.replicas by the subresource scale.
	Scale(ctx context.Context, token string, svc *dcv1.SwarmService, replicas int32) error
	// Force sets spec.forceUpdate, unless the object was changed since it was read.
	Force(ctx context.Context, token string, svc *dcv1.SwarmService, counter int64) error
}

// owned is a service that a SwarmService keeps as it says: a change of the service alone
// would be undone, so that the object is changed in its place.
type owned struct {
	svc *dcv1.SwarmService
	// counter is the service's own count of forced updates.
	counter uint64
}

// owner finds the SwarmService that keeps the path's service, nil where there is none, or
// no longer. hint is the command that does the same with kubectl, with a place for the
// namespace and name.
func (c *call) owner(ctx context.Context, hint string) (*owned, error) {
	raw, err := c.eng.Inspect(ctx, engine.Services, c.route.Object)
	if err != nil {
		return nil, err
	}
	var v struct {
		ID   string
		Spec struct {
			Name         string
			Labels       map[string]string
			TaskTemplate struct{ ForceUpdate uint64 }
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's description of the service cannot be read")
	}
	uid := v.Spec.Labels[dcv1.LabelOwnerUID]
	key := types.NamespacedName{Namespace: v.Spec.Labels[dcv1.LabelOwnerNamespace], Name: v.Spec.Labels[dcv1.LabelOwnerName]}
	if uid == "" {
		return nil, nil
	}
	// Labels are for whoever may change services to write: they go into no path as they are.
	if len(validation.IsDNS1123Label(key.Namespace)) > 0 || len(validation.IsDNS1123Subdomain(key.Name)) > 0 {
		return nil, apistatus.New(http.StatusConflict, metav1.StatusReasonConflict,
			"the label %s of the service says that a SwarmService keeps it, and those beside it do not say which; take it away, or mend them", dcv1.LabelOwnerUID)
	}
	if c.a.opts.Owners == nil || c.who.BearerToken == "" {
		return nil, apistatus.New(http.StatusForbidden, metav1.StatusReasonForbidden,
			"SwarmService %s keeps this service as it says, and only a caller with a bearer token can have it changed here (you came with another proof: %s): "+
				"use `%s`; if that object is gone for good, take the label %s from the service", key, c.who.Means, fmt.Sprintf(hint, key.Namespace, key.Name), dcv1.LabelOwnerUID)
	}
	svc, err := c.a.opts.Owners.Get(ctx, c.who.BearerToken, key)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case string(svc.UID) != uid || svc.ServiceName() != v.Spec.Name:
		return nil, nil
	// The same labels can be on a service that an old swarm still has, or on one that
	// somebody gave them: what is said of it must not change the object's own, elsewhere.
	case svc.Status.ServiceID != "" && svc.Status.ServiceID != v.ID:
		return nil, nil
	}
	return &owned{svc, v.Spec.TaskTemplate.ForceUpdate}, nil
}

const (
	scaleHint = "kubectl -n %s scale swarmservice %s --replicas=N"
	forceHint = "kubectl -n %s patch swarmservice %s --type=merge -p '{\"spec\":{\"forceUpdate\":N}}'"
	editHint  = "kubectl -n %s edit swarmservice %s"
)

func (c *call) scaleOwner(replicas uint64) func(context.Context, *owned) error {
	return func(ctx context.Context, o *owned) error {
		if replicas > math.MaxInt32 {
			return apistatus.BadRequest("replicas is at most %d", math.MaxInt32)
		}
		return c.a.opts.Owners.Scale(ctx, c.who.BearerToken, o.svc, int32(replicas))
	}
}

// forceOwner counts on from the service's own counter, which forcing by hand made higher.
func (c *call) forceOwner(ctx context.Context, o *owned) error {
	counter := o.counter
	if f := o.svc.Spec.ForceUpdate; f != nil && *f > 0 {
		counter = max(counter, uint64(*f))
	}
	if counter >= math.MaxInt64 {
		return apistatus.BadRequest("the service was forced too often to count on")
	}
	return c.a.opts.Owners.Force(ctx, c.who.BearerToken, o.svc, int64(counter)+1)
}

// rollbackOwner refuses: what the service was before is not what the object, and whatever
// it is applied from, would say.
func (c *call) rollbackOwner(_ context.Context, o *owned) error {
	return apistatus.New(http.StatusConflict, metav1.StatusReasonConflict,
		"SwarmService %s/%s keeps this service as it says, and would undo a rollback: change the object back, where it is applied from or with `%s`",
		o.svc.Namespace, o.svc.Name, fmt.Sprintf(editHint, o.svc.Namespace, o.svc.Name))
}
