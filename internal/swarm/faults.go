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

package swarm

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// maxFaultsShown bounds an error's text: nobody mends more at once.
const maxFaultsShown = 5

// Fault is one thing that Build cannot make of a spec.
type Fault struct {
	// Reason is one of the reasons of api/v1alpha1.
	Reason string
	// Err names the field.
	Err *field.Error
}

// Faults are an error that names every field at fault.
type Faults []Fault

// Error names the first fields at fault.
func (f Faults) Error() string {
	texts := make([]string, 0, maxFaultsShown+1)
	for i, fault := range f {
		if i == maxFaultsShown {
			texts = append(texts, fmt.Sprintf("and %d more", len(f)-i))
			break
		}
		texts = append(texts, fault.Err.Error())
	}
	return strings.Join(texts, "; ")
}

// Reason is the first fault's.
func (f Faults) Reason() string {
	if len(f) == 0 {
		return ""
	}
	return f[0].Reason
}

// List are the faults without their reasons.
func (f Faults) List() field.ErrorList {
	list := make(field.ErrorList, len(f))
	for i, fault := range f {
		list[i] = fault.Err
	}
	return list
}

func (b *builder) fault(reason string, err *field.Error) {
	b.faults = append(b.faults, Fault{Reason: reason, Err: err})
}

// invalid is for what the CRD refuses too, where nothing better describes it.
func (b *builder) invalid(path *field.Path, value any, why string) {
	b.fault(dcv1.ReasonFieldInvalid, field.Invalid(path, value, why))
}
