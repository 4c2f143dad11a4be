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

package status

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Patch writes the status of obj where it differs from that of before, a deep copy
// taken when obj was read, and reports whether anything was written. obj then is
// what the server answered.
//
// Differences outside status are not sent. An object that changed meanwhile gives
// a conflict (apierrors.IsConflict), to be requeued. One that is gone gives no
// error: nobody is left to read its status.
func Patch(ctx context.Context, c client.Client, obj, before client.Object) (bool, error) {
	if equality.Semantic.DeepEqual(before, obj) {
		return false, nil
	}
	data, err := statusPatch(obj, before)
	if err != nil {
		return false, fmt.Errorf("comparing the status of %s with what it was: %w", client.ObjectKeyFromObject(obj), err)
	}
	if data == nil {
		return false, nil
	}
	if err := c.Status().Patch(ctx, obj, client.RawPatch(types.MergePatchType, data)); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return true, nil
}

// statusPatch returns the JSON merge patch that turns the status of before into
// that of obj on the version of before, or nil where they are the same.
func statusPatch(obj, before client.Object) ([]byte, error) {
	if obj.GetUID() != before.GetUID() || client.ObjectKeyFromObject(obj) != client.ObjectKeyFromObject(before) {
		return nil, fmt.Errorf("%s is another object", client.ObjectKeyFromObject(before))
	}
	all, err := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}).Data(obj)
	if err != nil {
		return nil, err
	}
	var diff struct {
		Status json.RawMessage `json:"status"`
	}
	if err := json.Unmarshal(all, &diff); err != nil || diff.Status == nil {
		return nil, err
	}
	type metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	}
	return json.Marshal(struct {
		Metadata metadata        `json:"metadata"`
		Status   json.RawMessage `json:"status"`
	}{metadata{before.GetResourceVersion()}, diff.Status})
}
