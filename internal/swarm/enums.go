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
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/util/validation/field"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// enum are the spellings of the values of one field, ours and the engine's.
type enum[K, E ~string] struct {
	engine map[K]E
	kube   map[E]K
}

func newEnum[K, E ~string](spellings map[K]E) enum[K, E] {
	e := enum[K, E]{engine: spellings, kube: make(map[E]K, len(spellings))}
	for k, v := range spellings {
		e.kube[v] = k
	}
	return e
}

var (
	mountTypes = newEnum(map[dcv1.SwarmMountType]mount.Type{
		dcv1.SwarmMountBind: mount.TypeBind, dcv1.SwarmMountVolume: mount.TypeVolume, dcv1.SwarmMountTmpfs: mount.TypeTmpfs,
		dcv1.SwarmMountNamedPipe: mount.TypeNamedPipe, dcv1.SwarmMountCluster: mount.TypeCluster,
	})
	propagations = newEnum(map[dcv1.SwarmPropagation]mount.Propagation{
		dcv1.SwarmPropagationRPrivate: mount.PropagationRPrivate, dcv1.SwarmPropagationPrivate: mount.PropagationPrivate,
		dcv1.SwarmPropagationRShared: mount.PropagationRShared, dcv1.SwarmPropagationShared: mount.PropagationShared,
		dcv1.SwarmPropagationRSlave: mount.PropagationRSlave, dcv1.SwarmPropagationSlave: mount.PropagationSlave,
	})
	isolations = newEnum(map[dcv1.SwarmIsolation]container.Isolation{
		dcv1.SwarmIsolationDefault: container.IsolationDefault, dcv1.SwarmIsolationProcess: container.IsolationProcess,
		dcv1.SwarmIsolationHyperV: container.IsolationHyperV,
	})
	seccompModes = newEnum(map[dcv1.SwarmSeccompMode]swarm.SeccompMode{
		dcv1.SwarmSeccompDefault: swarm.SeccompModeDefault, dcv1.SwarmSeccompUnconfined: swarm.SeccompModeUnconfined,
		dcv1.SwarmSeccompCustom: swarm.SeccompModeCustom,
	})
	appArmorModes = newEnum(map[dcv1.SwarmAppArmorMode]swarm.AppArmorMode{
		dcv1.SwarmAppArmorDefault: swarm.AppArmorModeDefault, dcv1.SwarmAppArmorDisabled: swarm.AppArmorModeDisabled,
	})
	restartConditions = newEnum(map[dcv1.SwarmRestartCondition]swarm.RestartPolicyCondition{
		dcv1.SwarmRestartNone: swarm.RestartPolicyConditionNone, dcv1.SwarmRestartOnFailure: swarm.RestartPolicyConditionOnFailure,
		dcv1.SwarmRestartAny: swarm.RestartPolicyConditionAny,
	})
	failureActions = newEnum(map[dcv1.SwarmFailureAction]swarm.FailureAction{
		dcv1.SwarmFailurePause: swarm.UpdateFailureActionPause, dcv1.SwarmFailureContinue: swarm.UpdateFailureActionContinue,
		dcv1.SwarmFailureRollback: swarm.UpdateFailureActionRollback,
	})
	updateOrders = newEnum(map[dcv1.SwarmUpdateOrder]swarm.UpdateOrder{
		dcv1.SwarmStopFirst: swarm.UpdateOrderStopFirst, dcv1.SwarmStartFirst: swarm.UpdateOrderStartFirst,
	})
	endpointModes = newEnum(map[dcv1.SwarmEndpointMode]swarm.ResolutionMode{
		dcv1.SwarmEndpointVIP: swarm.ResolutionModeVIP, dcv1.SwarmEndpointDNSRoundRobin: swarm.ResolutionModeDNSRR,
	})
	protocols = newEnum(map[dcv1.SwarmProtocol]network.IPProtocol{
		dcv1.SwarmTCP: network.TCP, dcv1.SwarmUDP: network.UDP, dcv1.SwarmSCTP: network.SCTP,
	})
	publishModes = newEnum(map[dcv1.SwarmPublishMode]swarm.PortConfigPublishMode{
		dcv1.SwarmPublishIngress: swarm.PortConfigPublishModeIngress, dcv1.SwarmPublishHost: swarm.PortConfigPublishModeHost,
	})
)

// spell gives the engine's spelling of a value, "" for none.
func spell[K, E ~string](b *builder, path *field.Path, e enum[K, E], value K) E {
	if value == "" {
		return ""
	}
	v, ok := e.engine[value]
	if !ok {
		b.invalid(path, string(value), "there is no such value")
	}
	return v
}

// show gives our spelling of the engine's value, the engine's own where we have none.
func show[K, E ~string](e enum[K, E], value E) string {
	if k, ok := e.kube[value]; ok {
		return string(k)
	}
	return string(value)
}
