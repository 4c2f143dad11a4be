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

package v1alpha1

// Prefix of the labels, annotations and finalizers of this project.
const Prefix = "dockercontrol.dev/"

// Labels of what the operator makes on a swarm: services, secrets, configs and
// networks.
const (
	// LabelOwnerUID is the UID of the SwarmService that owns it.
	LabelOwnerUID = Prefix + "owner-uid"
	// LabelOwnerNamespace and LabelOwnerName are for people to read.
	LabelOwnerNamespace = Prefix + "owner-namespace"
	LabelOwnerName      = Prefix + "owner-name"
)

// LabelPullSecret tells, on a service, one content of its pull secret from another. It is a
// keyed hash, which says nothing of the content.
const LabelPullSecret = Prefix + "pull-secret"

// LabelHost is the DockerHost of a SwarmService, in the text of status.selector only.
const LabelHost = Prefix + "host"

// Annotations of a SwarmService.
const (
	// AnnotationAdopt holds the id of a service that another UID owns, to take it over
	// after a restore from a backup; or the cluster id of the swarm that is to have the
	// service, because the one that had it is gone.
	AnnotationAdopt = Prefix + "adopt"
	// AnnotationForceFinalize, when "true", lets the object go without its swarm.
	AnnotationForceFinalize = Prefix + "force-finalize"
)
