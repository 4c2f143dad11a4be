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

// Reasons of a SwarmService's conditions and Events. Those of a fault name what the
// user can change; the message names the field.
const (
	// ReasonConverged: the service is as the spec says, and all its tasks run.
	ReasonConverged = "Converged"
	// ReasonJobComplete: every task of the job has completed.
	ReasonJobComplete = "JobComplete"
	// ReasonJobRunning: tasks of the job have yet to complete.
	ReasonJobRunning = "JobRunning"
	// ReasonUpdating: the engine is rolling a change out.
	ReasonUpdating = "Updating"
	// ReasonScaling: tasks are being started or stopped.
	ReasonScaling = "Scaling"
	// ReasonNotEnoughReplicas: fewer tasks run than the spec asks for, and no rollout is
	// under way.
	ReasonNotEnoughReplicas = "NotEnoughReplicas"
	// ReasonRolloutComplete: the last rollout has ended well, or there was none.
	ReasonRolloutComplete = "RolloutComplete"

	// ReasonUpdatePaused: a rollout failed, and the engine paused it.
	ReasonUpdatePaused = "UpdatePaused"
	// ReasonRollingBack: a rollout failed, and the engine is undoing it.
	ReasonRollingBack = "RollingBack"
	// ReasonRolledBack: a rollout failed, and the engine undid it: the service is what
	// it was before. It is tried again when the spec changes.
	ReasonRolledBack = "RolledBack"
	// ReasonRollbackPaused: a rollout failed, and so did undoing it.
	ReasonRollbackPaused = "RollbackPaused"

	// ReasonImagePullFailed: a node cannot get the image.
	ReasonImagePullFailed = "ImagePullFailed"
	// ReasonNoSuitableNode: no node fits spec.placement and spec.resources.
	ReasonNoSuitableNode = "NoSuitableNode"
	// ReasonHealthcheckFailed: containers start, and are not healthy.
	ReasonHealthcheckFailed = "HealthcheckFailed"
	// ReasonTaskRejected: a node does not take a task.
	ReasonTaskRejected = "TaskRejected"
	// ReasonTaskFailed: containers start, and end.
	ReasonTaskFailed = "TaskFailed"

	// ReasonInSync: the service is what the spec says.
	ReasonInSync = "InSync"
	// ReasonDriftFound: the service is not what the spec says, and spec.driftPolicy is
	// Report.
	ReasonDriftFound = "DriftFound"
	// ReasonDriftCorrected: the service was changed behind the operator's back, and is
	// what the spec says again.
	ReasonDriftCorrected = "DriftCorrected"
	// ReasonSurplusTasks: the swarm did not end all tasks of a service that was scaled down,
	// and was asked again.
	ReasonSurplusTasks = "SurplusTasks"

	// ReasonHostNotFound: spec.hostRef names no DockerHost of the namespace.
	ReasonHostNotFound = "HostNotFound"
	// ReasonHostNotReady: neither the DockerHost nor another manager of its swarm is
	// Ready.
	ReasonHostNotReady = "HostNotReady"
	// ReasonHostNotManager: the DockerHost is a worker of its swarm.
	ReasonHostNotManager = "HostNotManager"
	// ReasonHostNotInSwarm: the DockerHost is in no swarm.
	ReasonHostNotInSwarm = "HostNotInSwarm"
	// ReasonQuorumLost: the managers of the swarm have lost their majority.
	ReasonQuorumLost = "QuorumLost"
	// ReasonSwarmChanged: spec.hostRef moved to another swarm while the old one has the
	// service.
	ReasonSwarmChanged = "SwarmChanged"
	// ReasonConflict: the swarm has a service of the name that this object does not own.
	ReasonConflict = "Conflict"

	// ReasonImageInvalid: spec.image is no reference to an image.
	ReasonImageInvalid = "ImageInvalid"
	// ReasonServiceNameInvalid: the name cannot be that of a service.
	ReasonServiceNameInvalid = "ServiceNameInvalid"
	// ReasonModeInvalid: spec.mode does not go with another field, such as spec.replicas.
	ReasonModeInvalid = "ModeInvalid"
	// ReasonQuantityOutOfRange: a quantity, number or duration is more than the engine
	// can count, or less than it allows.
	ReasonQuantityOutOfRange = "QuantityOutOfRange"
	// ReasonFieldInvalid: a field says something that the engine cannot do.
	ReasonFieldInvalid = "FieldInvalid"
	// ReasonSecretNotFound: a Kubernetes Secret, a key of it, or a secret of the swarm
	// is missing.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonConfigNotFound: a ConfigMap, a key of it, or a config of the swarm is missing.
	ReasonConfigNotFound = "ConfigNotFound"
	// ReasonNetworkNotFound: the swarm has no network of the name.
	ReasonNetworkNotFound = "NetworkNotFound"
	// ReasonPortConflict: another service has published the port.
	ReasonPortConflict = "PortConflict"
	// ReasonEngineTooOld: the engine's API knows no such field and would drop it.
	ReasonEngineTooOld = "EngineTooOld"
	// ReasonSpecRejected: the engine refused the spec for another reason.
	ReasonSpecRejected = "SpecRejected"
	// ReasonAuditTrailFailed: the manager cannot write its audit trail, and so writes
	// nothing to the swarm. It tries again.
	ReasonAuditTrailFailed = "AuditTrailFailed"

	// ReasonCreated: the service was created.
	ReasonCreated = "Created"
	// ReasonUpdated: the service was changed to what the spec says.
	ReasonUpdated = "Updated"
	// ReasonDeleted: the service was removed.
	ReasonDeleted = "Deleted"
	// ReasonAdopted: a service that nobody owned is this object's now.
	ReasonAdopted = "Adopted"
	// ReasonOrphaned: the object goes, and leaves the service running.
	ReasonOrphaned = "Orphaned"
	// ReasonReleased: the object goes without its swarm, which could not be reached.
	ReasonReleased = "Released"
)
