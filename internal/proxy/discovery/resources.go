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

package discovery

import (
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
)

// segment is what follows a DockerHost in a path.
type segment struct {
	name access.Subresource
	// kind is what an answer is, for clients that have to name it.
	kind  string
	verbs []string
}

var (
	look       = []string{"get"}
	lookAndAct = []string{"create", "get"}
)

// segments are those of the paths: some of the rights, and the doors.
var segments = []segment{
	{access.Attach, "AttachOptions", lookAndAct}, // a WebSocket is opened with GET
	{access.Containers, "ContainerList", lookAndAct},
	{access.Events, "EngineEvent", look},
	{access.Exec, "ExecOptions", lookAndAct}, // a WebSocket is opened with GET
	{access.Images, "ImageList", lookAndAct},
	{access.Info, "HostInfo", look},
	{access.JobsDoor, "JobList", look},
	{access.Log, "LogOptions", look},
	{access.Networks, "NetworkList", lookAndAct},
	{access.Nodes, "NodeList", lookAndAct},
	{access.Proxy, "ProxyOptions", lookAndAct},
	{access.PruneDoor, "PrunePreview", []string{"create"}},
	{access.Services, "ServiceList", lookAndAct},
	{access.Stats, "ContainerStats", look},
	{access.SystemDoor, "DiskUsage", look},
	{access.Tasks, "TaskList", look},
	{access.Volumes, "VolumeList", lookAndAct},
}

// resources is the document that a kube-apiserver must have.
func resources() *metav1.APIResourceList {
	list := &metav1.APIResourceList{
		TypeMeta:     metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"},
		GroupVersion: access.EngineGroup + "/" + version,
	}
	for _, s := range segments {
		list.APIResources = append(list.APIResources, metav1.APIResource{
			Name: access.Resource + "/" + string(s.name), Namespaced: true, Kind: s.kind, Verbs: s.verbs,
		})
	}
	return list
}

// aggregated says the same in one document. Its form has subresources below a resource
// only, so there is one that has no verbs and no kind.
func aggregated() *apidiscoveryv2.APIGroupDiscoveryList {
	host := apidiscoveryv2.APIResourceDiscovery{
		Resource: access.Resource, Scope: apidiscoveryv2.ScopeNamespace, ResponseKind: &metav1.GroupVersionKind{}, Verbs: []string{},
	}
	for _, s := range segments {
		host.Subresources = append(host.Subresources, apidiscoveryv2.APISubresourceDiscovery{
			Subresource:  string(s.name),
			ResponseKind: &metav1.GroupVersionKind{Group: access.EngineGroup, Version: version, Kind: s.kind},
			Verbs:        s.verbs,
		})
	}
	return &apidiscoveryv2.APIGroupDiscoveryList{
		TypeMeta: metav1.TypeMeta{APIVersion: apidiscoveryv2.SchemeGroupVersion.String(), Kind: "APIGroupDiscoveryList"},
		Items: []apidiscoveryv2.APIGroupDiscovery{{
			ObjectMeta: metav1.ObjectMeta{Name: access.EngineGroup},
			Versions: []apidiscoveryv2.APIVersionDiscovery{{
				Version: version, Resources: []apidiscoveryv2.APIResourceDiscovery{host}, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent,
			}},
		}},
	}
}
