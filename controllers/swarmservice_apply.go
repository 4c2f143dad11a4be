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
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

// Actions of Events.
const (
	actionCreateService = "CreateService"
	actionUpdateService = "UpdateService"
	actionRemoveService = "RemoveService"
	actionWatchService  = "WatchService"
)

// ownership is whose a service is.
type ownership int

const (
	foreign ownership = iota
	ours
	adoptable
)

// ownershipOf says whose a service of the object's name is.
func ownershipOf(svc *dcv1.SwarmService, have *engineswarm.Service) ownership {
	uid, owned := have.Spec.Labels[dcv1.LabelOwnerUID]
	switch {
	case uid == string(svc.UID):
		return ours
	case svc.Annotations[dcv1.AnnotationAdopt] == have.ID:
		return adoptable
	case owned:
		return foreign
	case svc.Status.ServiceID == have.ID:
		return ours // somebody took the label away
	case svc.Spec.AdoptionPolicy == dcv1.SwarmAdoptionIfUnmanaged:
		return adoptable
	}
	return foreign
}

// conflict says what to do about a service that is not the object's.
func conflict(svc *dcv1.SwarmService, have *engineswarm.Service) *SpecFault {
	name := svc.ServiceName()
	if _, owned := have.Spec.Labels[dcv1.LabelOwnerUID]; !owned {
		return &SpecFault{dcv1.ReasonConflict, fmt.Sprintf(
			"spec.serviceName: the swarm has a service %s that nobody owns. Set spec.adoptionPolicy to IfUnmanaged to take it over, or choose another name.", name)}
	}
	return &SpecFault{dcv1.ReasonConflict, fmt.Sprintf(
		"spec.serviceName: the service %s of the swarm belongs to SwarmService %s/%s. Choose another name; or, if that object is gone for good, set the annotation %s to %s to take the service over.",
		name, have.Spec.Labels[dcv1.LabelOwnerNamespace], have.Spec.Labels[dcv1.LabelOwnerName], dcv1.AnnotationAdopt, have.ID)}
}

// apply brings the service to what the spec says, where the spec wants that.
func (t *serviceTurn) apply(ctx context.Context, have *engineswarm.Service) {
	t.view.service = have
	if have != nil && ownershipOf(t.svc, have) == foreign {
		t.leaveAlone(ctx, have)
		return
	}
	if !isTrue(t.svc.Spec.Suspend) {
		if !t.wroteObject(t.hold(ctx)) {
			return
		}
	}
	desired, err := t.desired(ctx)
	if err != nil {
		t.failed(err, "")
		return
	}
	for range maxConflicts {
		again, err := t.bring(ctx, desired)
		if err != nil {
			t.failed(err, t.sumOf(desired))
			return
		}
		if !again {
			return
		}
		if t.view.service, err = inspectService(ctx, t.on.Engine, t.svc.ServiceName()); err != nil {
			t.failed(err, "")
			return
		}
		t.view.listedAt = t.now
	}
	t.outrun(t.sumOf(desired))
}

// outrun says why the service was not written after so many attempts.
func (t *serviceTurn) outrun(sum string) {
	name := t.svc.ServiceName()
	if t.view.service == nil {
		t.refused(sum, &SpecFault{dcv1.ReasonConflict, fmt.Sprintf("spec.serviceName: the swarm says that the name %s is taken, and has no service that is spelled so. "+
			"It takes capital and small letters for the same: choose another name, or remove the service whose name differs in nothing else.", name)})
		return
	}
	t.err = errOutrun(name)
	t.view.fault, t.view.passes = &SpecFault{dcv1.ReasonEngineError, t.err.Error() + "; it is tried again."}, true
}

func errOutrun(name string) error {
	return fmt.Errorf("service %s of the swarm changes as fast as it is written", name)
}

// desired is what the spec asks for, with what it refers to.
func (t *serviceTurn) desired(ctx context.Context) (swarm.Desired, error) {
	if isTrue(t.svc.Spec.Suspend) && t.view.service == nil {
		return swarm.Desired{}, &SpecFault{dcv1.ReasonSuspended, "spec.suspend is true: there is no service yet, and none is created."}
	}
	in, err := t.Inputs.Resolve(ctx, t.svc, t.on)
	if err != nil {
		return swarm.Desired{}, err
	}
	t.registryAuth, t.appliedHashes = in.RegistryAuth, in.Applied
	if have := t.view.service; have != nil {
		if label := have.Spec.Labels[dcv1.LabelPullSecret]; slices.Contains(in.PullSecrets, label) {
			in.PullSecret = label // the same credentials, under an older key
		}
	}
	in.Image = t.pinned(ctx, in.RegistryAuth)
	desired, err := swarm.Build(&t.svc.Spec, in.Inputs)
	var faults swarm.Faults
	if errors.As(err, &faults) {
		return swarm.Desired{}, &SpecFault{faults.Reason(), faults.Error()}
	}
	return desired, err
}

// bring does what there is to do with the service as it was found: nothing where it is
// what the spec says. again tells that somebody else was first.
func (t *serviceTurn) bring(ctx context.Context, desired swarm.Desired) (again bool, err error) {
	have, sum := t.view.service, t.sumOf(desired)
	if have == nil {
		return t.bringBack(ctx, desired, sum)
	}
	whose := ownershipOf(t.svc, have)
	if whose == foreign {
		// It was made a moment ago: the listing that lacks it would have it created again.
		t.memory.written = writtenService{have.ID, have.Version.Index - 1, t.now}
		t.leaveAlone(ctx, have)
		return false, nil
	}
	if fault := otherMode(desired.Spec.Mode, have.Spec.Mode); fault != nil {
		return false, fault
	}
	t.view.diff = desired.Diff(have.Spec)
	if t.view.diff.PullSecretOnly() && t.spares(have) {
		t.view.diff = swarm.Differences{}
	}
	wrote := t.asked(sum)
	// Who took the service over has it, and may lose it to the next who does.
	had := whose == ours || t.svc.Status.ServiceID == have.ID
	switch {
	case t.view.diff.Empty():
		t.memory.refused, t.view.checked = refusal{}, true
		t.applies(sum)
		return false, nil
	case isTrue(t.svc.Spec.Suspend):
		t.view.checked = wrote
		return false, nil
	case wrote && rolledBack(have), wrote && whose == ours && t.svc.Spec.DriftPolicy == dcv1.SwarmDriftReport:
		t.view.checked = true
		t.applies(sum)
		return false, nil
	}
	if held := t.held(sum); held != nil {
		return false, held
	}
	if wrote && had && t.fought() {
		t.view.checked = true
		return false, nil
	}
	again, err = t.update(ctx, desired, have)
	if err != nil || again {
		return again, err
	}
	t.told(had, wrote)
	t.wrote(sum, have.ID, have.Version.Index)
	return false, nil
}

// spares reports whether a job is left with the credentials that it has: each write runs a
// job anew, and a finished one needs none. One that cannot pull its image does.
func (t *serviceTurn) spares(have *engineswarm.Service) bool {
	return isJob(have) && !saysReady(t.svc, dcv1.ReasonImagePullFailed)
}

// asked reports whether the swarm was asked for this before, by us or by the process before
// this one: where the service is something else, somebody changed it.
func (t *serviceTurn) asked(sum string) bool {
	if t.memory.applied != (applied{}) {
		return t.memory.applied == applied{sum, t.svc.Generation}
	}
	if !writtenGeneration(t.svc) {
		return false
	}
	hash := t.svc.Status.AppliedHash
	return hash == "" || t.appliedHashes == nil || slices.Contains(t.appliedHashes([]byte(sum)), hash)
}

// applies notes what the swarm was asked for, for the next reconciliation and, in the
// status, for the next process. A hash under an older key stays: it is as good.
func (t *serviceTurn) applies(sum string) {
	t.memory.applied = applied{sum, t.svc.Generation}
	if t.appliedHashes == nil {
		return
	}
	if hashes := t.appliedHashes([]byte(sum)); !slices.Contains(hashes, t.svc.Status.AppliedHash) {
		t.svc.Status.AppliedHash = hashes[0]
	}
}

// told makes the Event of an update.
func (t *serviceTurn) told(had, wrote bool) {
	text := t.view.diff.String()
	switch {
	case !had:
		t.event(corev1.EventTypeNormal, dcv1.ReasonAdopted, actionUpdateService, "The service was taken over. It differed: "+text)
	case wrote:
		t.corrected()
		t.event(corev1.EventTypeWarning, dcv1.ReasonDriftCorrected, actionUpdateService, "The service was changed behind the operator's back, and corrected: "+text)
	default:
		t.event(corev1.EventTypeNormal, dcv1.ReasonUpdated, actionUpdateService, "The service was updated: "+text)
	}
}

// bringBack creates the service, for the first time or because somebody removed it.
func (t *serviceTurn) bringBack(ctx context.Context, desired swarm.Desired, sum string) (again bool, err error) {
	removed := t.svc.Status.ServiceID != "" && t.svc.Status.ClusterID == t.on.Swarm.ClusterID
	report := t.svc.Spec.DriftPolicy == dcv1.SwarmDriftReport
	if removed && (report && writtenGeneration(t.svc) || isTrue(t.svc.Spec.Suspend)) {
		t.view.missing, t.view.checked = true, true
		return false, nil
	}
	if held := t.held(sum); held != nil {
		return false, held
	}
	if removed && t.fought() {
		t.view.missing, t.view.checked = true, true
		return false, nil
	}
	id, again, err := t.create(ctx, desired)
	if err != nil || again {
		return again, err
	}
	if removed {
		t.corrected()
		t.event(corev1.EventTypeWarning, dcv1.ReasonDriftCorrected, actionCreateService, "The service was removed behind the operator's back, and created again.")
	} else {
		t.event(corev1.EventTypeNormal, dcv1.ReasonCreated, actionCreateService, "The service was created.")
	}
	t.view.created = true
	t.svc.Status.ServiceID, t.svc.Status.ClusterID = id, t.on.Swarm.ClusterID
	t.wrote(sum, id, 0)
	return false, nil
}

// wrote notes what was written, for the next reconciliation.
func (t *serviceTurn) wrote(sum, id string, above uint64) {
	t.view.written, t.view.diff = true, swarm.Differences{}
	t.memory.refused = refusal{}
	t.applies(sum)
	t.memory.written = writtenService{id, above, t.now}
	t.memory.made = madeService{t.svc.UID, id, t.on.Swarm.ClusterID}
	t.svc.Status.Image, t.svc.Status.ImageDigest = t.svc.Spec.Image, ""
	if t.memory.image.text == t.svc.Spec.Image {
		t.svc.Status.ImageDigest = t.memory.image.digest
	}
	t.soon(listingPatience)
}

// held is the engine's last refusal of the same spec, until it is time to ask again.
func (t *serviceTurn) held(sum string) error {
	r := t.memory.refused
	if r.sum != sum || !t.now.Before(r.until) {
		return nil
	}
	t.soon(r.until.Sub(t.now))
	return r.fault
}

// sumOf tells one desired state from another, whatever the digest of its image. It holds
// no value.
func (t *serviceTurn) sumOf(d swarm.Desired) string {
	if d.Spec.TaskTemplate.ContainerSpec == nil {
		return ""
	}
	container := *d.Spec.TaskTemplate.ContainerSpec
	container.Image = t.svc.Spec.Image
	d.Spec.TaskTemplate.ContainerSpec = &container
	data, err := json.Marshal(d.Spec)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// otherMode refuses to turn a service of one mode into one of another, which the engine
// cannot do.
func otherMode(want, have engineswarm.ServiceMode) *SpecFault {
	w, h := modeName(want), modeName(have)
	if w == h {
		return nil
	}
	return &SpecFault{dcv1.ReasonModeInvalid, fmt.Sprintf(
		"spec.mode is %s, and the swarm has a service of that name and mode %s: the engine cannot change it; remove the service, or choose another name.", w, h)}
}

func modeName(m engineswarm.ServiceMode) dcv1.SwarmServiceMode {
	switch {
	case m.Global != nil:
		return dcv1.SwarmGlobal
	case m.ReplicatedJob != nil:
		return dcv1.SwarmReplicatedJob
	case m.GlobalJob != nil:
		return dcv1.SwarmGlobalJob
	}
	return dcv1.SwarmReplicated
}
