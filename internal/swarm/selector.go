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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// Selector is the text of status.selector, which a HorizontalPodAutoscaler wants to be there
// and to be valid. It selects no Pods. The admission policy of the subresource scale reads the
// host in it, since a Scale says nothing else of what is scaled. A host whose name is no
// value of a label is left out.
func Selector(owner types.UID, host string) string {
	text := dcv1.LabelOwnerUID + "=" + string(owner)
	if len(validation.IsValidLabelValue(host)) == 0 {
		text += "," + dcv1.LabelHost + "=" + host
	}
	return text
}
