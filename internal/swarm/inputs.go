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
)

// Inputs are what a spec refers to, looked up by the caller.
type Inputs struct {
	// ServiceName is the name on the swarm, SwarmService.ServiceName.
	ServiceName string
	// Owner is the SwarmService.
	Owner Owner
	// Image, when set, is spec.image with the digest that its tag stands for.
	Image string
	// Env are the values of the variables with a valueFrom, by the variable's name. Where
	// one is missing, the variable must be optional.
	Env map[string]string
	// Secrets and Configs are what the files of spec.secrets and spec.configs are on the
	// swarm, by target. Where one is missing, its reference must be optional.
	Secrets, Configs map[string]Object
	// CredentialSpec is the config that spec.privileges.credentialSpec names.
	CredentialSpec Object
	// Networks are the ids of networks, by name.
	Networks map[string]string
	// PullSecret is PullSecretHash of the credentials that are written with the service,
	// empty where there are none. The engine never tells those, so that this is how a
	// change of them is seen.
	PullSecret string
	// APIVersion is what is spoken to the engine; fields that it lacks are refused. Empty
	// checks nothing.
	APIVersion string
}

// Owner is the SwarmService that a service belongs to.
type Owner struct {
	UID             types.UID
	Namespace, Name string
}

// Object is a secret or config of the swarm.
type Object struct{ ID, Name string }
