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
	"errors"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/audit"
)

const (
	// Label marks the Leases; its value is "true".
	Label = "dockercontrol.dev/audit-head"
	// Annotation holds the signed head.
	Annotation = "dockercontrol.dev/audit-head"
	// namePrefix comes before the random part of the chain's name.
	namePrefix = "dockercontrol-audit-"
	// maxListed bounds how many Leases are read: more than collect leaves, by far.
	maxListed = 5000
)

// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,namespace=dockercontrol-system,verbs=create;delete;get;list;update

// leaseName names the Lease of a chain.
func leaseName(chain string) string {
	return namePrefix + chain[strings.LastIndexByte(chain, '-')+1:]
}

// put writes the head into the Lease.
func put(lease *coordinationv1.Lease, head audit.SignedHead) {
	if lease.Labels == nil {
		lease.Labels = map[string]string{}
	}
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Labels[Label] = "true"
	lease.Annotations[Annotation] = head.String()
	lease.Spec.HolderIdentity = ptr.To(head.Replica())
	lease.Spec.RenewTime = ptr.To(metav1.NewMicroTime(head.Time))
}

// List returns the heads in a namespace that one of the keys signed. The error joins a
// sentence for each Lease whose head none of them did; the heads stand beside it.
// Where the Leases cannot be read, it is that and ErrNotRead.
func List(ctx context.Context, c client.Reader, namespace string, keys [][]byte) ([]audit.SignedHead, error) {
	list := &coordinationv1.LeaseList{}
	err := c.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{Label: "true"}, client.Limit(maxListed))
	if err != nil {
		return nil, fmt.Errorf("%w of namespace %s: %w", ErrNotRead, namespace, err)
	}
	var heads []audit.SignedHead
	var problems []error
	for _, lease := range list.Items {
		head, err := audit.ParseSignedHead(lease.Annotations[Annotation])
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("the Lease %s: %w", lease.Name, err))
		case !head.SignedBy(keys):
			problems = append(problems, fmt.Errorf("the Lease %s: the head of chain %s is not signed with any of the keys: edited, or of another key", lease.Name, head.Chain))
		case lease.Name != leaseName(head.Chain):
			problems = append(problems, fmt.Errorf("the Lease %s: it holds the head of another chain, %s", lease.Name, head.Chain))
		default:
			heads = append(heads, head)
		}
	}
	return heads, errors.Join(problems...)
}

// ErrNotRead is in List's error where the Leases could not be read.
var ErrNotRead = errors.New("cannot read the Leases with the heads of audit chains")

// renewed is when the Lease was last renewed; made, where it never was.
func renewed(lease *coordinationv1.Lease) time.Time {
	if lease.Spec.RenewTime != nil {
		return lease.Spec.RenewTime.Time
	}
	return lease.CreationTimestamp.Time
}
