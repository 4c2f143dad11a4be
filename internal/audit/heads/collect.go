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

package heads

import (
	"context"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// maxAge is how long the head of a chain that ended is kept.
	maxAge = 90 * 24 * time.Hour
	// maxLeases is how many are kept.
	maxLeases = 200
)

// collect deletes the Leases of chains that ended long ago. Every replica does: it is
// the same whoever is first.
func (p *Publisher) collect(ctx context.Context, now time.Time) error {
	list := &coordinationv1.LeaseList{}
	if err := p.o.Client.List(ctx, list, client.InNamespace(p.o.Namespace), client.MatchingLabels{Label: "true"}, client.Limit(maxListed)); err != nil {
		return fmt.Errorf("looking for heads of audit chains that ended long ago: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b coordinationv1.Lease) int { return renewed(&b).Compare(renewed(&a)) })
	for i, lease := range list.Items {
		if i < maxLeases && now.Sub(renewed(&lease)) < maxAge || lease.Name == p.lease.Name {
			continue
		}
		// Not one that was renewed since.
		same := client.Preconditions{UID: &lease.UID, ResourceVersion: ptr.To(lease.ResourceVersion)}
		if err := p.o.Client.Delete(ctx, &lease, same); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the head of an audit chain that ended long ago: %w", err)
		}
	}
	return nil
}
