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
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// policyMemory is how long SwarmPolicies relies on what it has read: a policy is taken
// away by hand, and to look before each write would be six reads a service.
const policyMemory = 10 * time.Second

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,resourceNames=dockercontrol-swarmservice-services;dockercontrol-swarmservice-scale;dockercontrol-swarmservice-delete,verbs=get

var swarmPolicies = []admissionPolicy{
	{
		name: "dockercontrol-swarmservice-services", resource: "swarmservices", says: "creation and update of SwarmServices",
		operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
	},
	{
		name: "dockercontrol-swarmservice-scale", resource: "swarmservices/scale", says: "scaling of SwarmServices",
		operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
	},
	{
		name: "dockercontrol-swarmservice-delete", resource: "swarmservices", says: "deletion of SwarmServices",
		operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Delete},
	},
}

// SwarmPolicies tells whether the API server asks who writes SwarmServices. Where it does
// not, nothing that one says may be done on a swarm with the manager's rights. It is safe
// for concurrent use.
type SwarmPolicies struct {
	// Reader asks the API server itself: the cache has the policy of HostPermissions only.
	Reader client.Reader
	// Now is the time; nil is the system's.
	Now func() time.Time

	mu   sync.Mutex // never held across I/O
	good time.Time  // when all of them were last seen in force
}

// Fault says why one of the policies is not in force, or "". What is at fault is looked at
// again each time.
func (p *SwarmPolicies) Fault(ctx context.Context) (string, error) {
	now := time.Now
	if p.Now != nil {
		now = p.Now
	}
	asked := now()
	p.mu.Lock()
	fresh := !p.good.IsZero() && asked.Sub(p.good) < policyMemory
	p.mu.Unlock()
	if fresh {
		return "", nil
	}
	for _, policy := range swarmPolicies {
		if fault, err := policy.fault(ctx, p.Reader); fault != "" || err != nil {
			return fault, err
		}
	}
	p.mu.Lock()
	p.good = asked
	p.mu.Unlock()
	return "", nil
}
