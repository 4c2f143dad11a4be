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

package relay

import (
	"encoding/json"
	"io"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// maxNames bounds the metadata of an object: 256 KiB of annotations, and as much of field
// managers as an object of 1.5 MiB has.
const maxNames = 4 << 20

// answerNames answers with what names an object and nothing that it holds. The metadata as
// it came would not do: the annotation that "kubectl apply" leaves is the whole object.
func answerNames(w http.ResponseWriter, resp *http.Response) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxNames+1))
	if err != nil || len(body) > maxNames {
		apistatus.Write(w, unreadable("it broke off"))
		return
	}
	for _, name := range []string{"Retry-After", "Warning"} {
		if values := resp.Header.Values(name); len(values) > 0 {
			w.Header()[name] = values
		}
	}
	var kind metav1.TypeMeta
	if json.Unmarshal(body, &kind) != nil {
		apistatus.Write(w, unreadable("it is not JSON"))
		return
	}
	switch {
	case kind.Kind == "Status" && kind.APIVersion == "v1":
		var status metav1.Status
		if json.Unmarshal(body, &status) != nil || int(status.Code) != resp.StatusCode {
			apistatus.Write(w, unreadable("its Status is not of the answer's code"))
			return
		}
		apistatus.WriteJSON(w, resp.StatusCode, status)
	case kind.Kind == "PartialObjectMetadata" && resp.StatusCode < http.StatusMultipleChoices:
		var object metav1.PartialObjectMetadata
		if json.Unmarshal(body, &object) != nil {
			apistatus.Write(w, unreadable("it is no metadata"))
			return
		}
		apistatus.WriteJSON(w, resp.StatusCode, metav1.PartialObjectMetadata{TypeMeta: kind, ObjectMeta: metav1.ObjectMeta{
			Name: object.Name, Namespace: object.Namespace, UID: object.UID,
			ResourceVersion: object.ResourceVersion, CreationTimestamp: object.CreationTimestamp,
		}})
	default:
		apistatus.Write(w, unreadable("it is neither metadata nor a Status"))
	}
}

func unreadable(why string) error {
	return apistatus.New(http.StatusBadGateway, metav1.StatusReasonInternalError,
		"the kube-apiserver's answer about a Secret cannot be handed on (%s); the change may have been made", why)
}
