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
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// admissionPolicy is a ValidatingAdmissionPolicy of config/admission, and its binding of
// the same name, that a controller relies on.
type admissionPolicy struct {
	name string
	// resource is what it has to check, by every one of the operations.
	resource   string
	operations []admissionregistrationv1.OperationType
	// says names both for people.
	says string
}

// fault reads the policy and its binding, and says why they are not in force, or "".
func (a admissionPolicy) fault(ctx context.Context, c client.Reader) (string, error) {
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
	for _, obj := range []client.Object{policy, binding} {
		err := c.Get(ctx, client.ObjectKey{Name: a.name}, obj)
		if err != nil && !apierrors.IsNotFound(err) {
			return "", fmt.Errorf("reading the admission policy %s: %w", a.name, err)
		}
	}
	return a.judge(policy, binding), nil
}

// judge judges the two; one that does not exist is empty. It looks for what switches them
// off or narrows them, not whether the expression is a good one.
func (a admissionPolicy) judge(policy *admissionregistrationv1.ValidatingAdmissionPolicy, binding *admissionregistrationv1.ValidatingAdmissionPolicyBinding) string {
	switch {
	case policy.Name == "":
		return fmt.Sprintf("The ValidatingAdmissionPolicy %s is missing.", a.name)
	case !a.guards(&policy.Spec):
		return fmt.Sprintf("The ValidatingAdmissionPolicy %s does not check every %s.", a.name, a.says)
	case binding.Name == "":
		return fmt.Sprintf("The ValidatingAdmissionPolicyBinding %s is missing.", a.name)
	case binding.Spec.PolicyName != a.name || binding.Spec.MatchResources != nil ||
		!slices.Contains(binding.Spec.ValidationActions, admissionregistrationv1.Deny):
		return fmt.Sprintf("The ValidatingAdmissionPolicyBinding %s does not deny, or not everywhere.", a.name)
	}
	return ""
}

func (a admissionPolicy) guards(spec *admissionregistrationv1.ValidatingAdmissionPolicySpec) bool {
	match := spec.MatchConstraints
	if match == nil || len(spec.Validations) == 0 || len(match.ExcludeResourceRules) > 0 || !selectsAll(match) {
		return false
	}
	if spec.FailurePolicy != nil && *spec.FailurePolicy != admissionregistrationv1.Fail {
		return false
	}
	for _, operation := range a.operations {
		covered := slices.ContainsFunc(match.ResourceRules, func(r admissionregistrationv1.NamedRuleWithOperations) bool {
			return len(r.ResourceNames) == 0 &&
				(slices.Contains(r.Operations, operation) || slices.Contains(r.Operations, admissionregistrationv1.OperationAll)) &&
				(slices.Contains(r.APIGroups, dcv1.GroupVersion.Group) || slices.Contains(r.APIGroups, "*")) &&
				(slices.Contains(r.APIVersions, dcv1.GroupVersion.Version) || slices.Contains(r.APIVersions, "*")) &&
				(slices.Contains(r.Resources, a.resource) || slices.Contains(r.Resources, "*"))
		})
		if !covered {
			return false
		}
	}
	return true
}

// selectsAll reports whether no selector leaves objects or namespaces out.
func selectsAll(match *admissionregistrationv1.MatchResources) bool {
	objects, namespaces := match.ObjectSelector, match.NamespaceSelector
	return (objects == nil || len(objects.MatchLabels)+len(objects.MatchExpressions) == 0) &&
		(namespaces == nil || len(namespaces.MatchLabels)+len(namespaces.MatchExpressions) == 0)
}
