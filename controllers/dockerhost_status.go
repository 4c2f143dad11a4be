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
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/hostspec"
	"github.com/dockercontrol/dockercontrol/internal/status"
)

// expiryWarnings are how long before a client certificate's end its holder is
// warned, each once.
var expiryWarnings = []time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour}

// setHostStatus brings host.Status to what the host cache knows. It touches
// nothing that says the same already, and depends on its arguments only.
// defaultHost is the name of the namespace's default host, or "".
func setHostStatus(host *dcv1.DockerHost, st hostcache.State, defaultHost string, now time.Time) {
	s := &host.Status
	heard := st.Version != (engine.Version{})
	if s.ObservedGeneration != st.Generation && !heard {
		// Another spec, and its engine was not heard yet: what is known is another
		// engine's.
		s.Engine, s.Capacity, s.Swarm = nil, nil, nil
	}
	s.ObservedGeneration = st.Generation
	if heard {
		s.Engine, s.Capacity, s.Swarm = engineStatus(st), engineCapacity(st.Info), swarmStatus(st.Info.Swarm)
	}
	// Counts of an engine that cannot be asked are not known, and old ones would
	// be taken for true.
	s.Containers, s.Images = nil, nil
	if st.Connected() {
		s.Containers, s.Images = containerCounts(st.Counts), count(st.Counts.Images)
	}
	s.Credentials = credentialStatus(st.Credentials)
	setHostConditions(host, st, now)
	setDefaultCondition(host, defaultHost)
}

func setHostConditions(host *dcv1.DockerHost, st hostcache.State, now time.Time) {
	set := func(conditionType string, value metav1.ConditionStatus, reason, message string) {
		status.SetCondition(&host.Status.Conditions, metav1.Condition{
			Type: conditionType, Status: value, Reason: reason, Message: message, ObservedGeneration: st.Generation,
		})
	}
	conditions := &host.Status.Conditions

	credentials := credentialsCondition(host, st, now)
	set(dcv1.ConditionCredentialsValid, credentials.Status, credentials.Reason, credentials.Message)

	switch {
	case st.Phase == hostcache.PhaseSuspended:
		const message = "spec.suspend is true: the engine is neither connected nor watched."
		set(dcv1.ConditionReady, metav1.ConditionFalse, dcv1.ReasonSuspended, message)
		set(dcv1.ConditionReachable, metav1.ConditionUnknown, dcv1.ReasonSuspended, message)
		status.SetSettled(conditions)
	case st.Connected():
		message := connectedMessage(st)
		set(dcv1.ConditionReady, metav1.ConditionTrue, dcv1.ReasonConnected, message)
		set(dcv1.ConditionReachable, metav1.ConditionTrue, dcv1.ReasonConnected, "The engine answers.")
		status.SetSettled(conditions)
	case st.Err == nil:
		const message = "Connecting to the engine for the first time with this spec."
		set(dcv1.ConditionReady, metav1.ConditionFalse, dcv1.ReasonConnecting, message)
		set(dcv1.ConditionReachable, metav1.ConditionUnknown, dcv1.ReasonConnecting, message)
		status.SetReconciling(conditions, st.Generation, dcv1.ReasonConnecting, message)
	default:
		reason, message := hostspec.Reason(st.Err), st.Err.Error()
		set(dcv1.ConditionReady, metav1.ConditionFalse, reason, message)
		if neverDialled(st) {
			set(dcv1.ConditionReachable, metav1.ConditionUnknown, dcv1.ReasonNotChecked, "Not dialled: "+message)
		} else {
			set(dcv1.ConditionReachable, metav1.ConditionFalse, reason, message)
		}
		status.SetStalled(conditions, st.Generation, reason, message)
	}
}

func connectedMessage(st hostcache.State) string {
	return fmt.Sprintf("Connected to Docker Engine %s, API %s.", orUnknown(st.Version.Version), orUnknown(st.Version.APIVersion))
}

func orUnknown(s string) string { return cmp.Or(s, "of unknown version") }

// neverDialled reports whether the fault was found before anything was dialled.
func neverDialled(st hostcache.State) bool {
	if st.CredentialsErr != nil {
		return true
	}
	switch st.Err.Cause {
	case engine.CauseEndpointInvalid, engine.CauseEndpointForbidden, engine.CauseCredentialsMissing, engine.CauseCredentialsInvalid:
		return true
	}
	return false
}

// credentialsCondition judges the credentials alone, whatever else is wrong.
func credentialsCondition(host *dcv1.DockerHost, st hostcache.State, now time.Time) metav1.Condition {
	secret := hostspec.SecretName(&host.Spec)
	switch {
	case secret == "":
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: dcv1.ReasonNotRequired, Message: "The endpoint needs no credentials."}
	case st.CredentialsErr != nil:
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: hostspec.Reason(st.CredentialsErr), Message: st.CredentialsErr.Error()}
	case st.Err != nil && isCredentialCause(st.Err.Cause):
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: hostspec.Reason(st.Err), Message: st.Err.Error()}
	case st.Credentials.Fingerprint == "":
		return metav1.Condition{Status: metav1.ConditionUnknown, Reason: dcv1.ReasonNotChecked, Message: "The credentials have not been looked at yet."}
	}
	if within, ok := expiryWarning(st.Credentials.NotAfter, now); ok {
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: dcv1.ReasonCertificateExpiring,
			Message: fmt.Sprintf("The client certificate in Secret %q expires on %s, in less than %s: renew it.",
				secret, st.Credentials.NotAfter.UTC().Format(time.DateOnly), days(within)),
		}
	}
	return metav1.Condition{Status: metav1.ConditionTrue, Reason: dcv1.ReasonValid, Message: fmt.Sprintf("The credentials in Secret %q are usable.", secret)}
}

func isCredentialCause(c engine.Cause) bool {
	switch c {
	case engine.CauseCredentialsMissing, engine.CauseCredentialsInvalid, engine.CauseAuthenticationFailed:
		return true
	}
	return false
}

// expiryWarning returns the narrowest warning that applies.
func expiryWarning(notAfter, now time.Time) (within time.Duration, ok bool) {
	if notAfter.IsZero() {
		return 0, false
	}
	for _, w := range expiryWarnings {
		if notAfter.Sub(now) < w {
			return w, true
		}
	}
	return 0, false
}

// nextExpiryWarning is how long it is until another warning applies; 0 for never.
func nextExpiryWarning(notAfter, now time.Time) time.Duration {
	if notAfter.IsZero() {
		return 0
	}
	for _, w := range slices.Backward(expiryWarnings) {
		if d := notAfter.Add(-w).Sub(now); d > 0 {
			return d
		}
	}
	return 0
}

func days(d time.Duration) string {
	if d == 24*time.Hour {
		return "1 day"
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

func setDefaultCondition(host *dcv1.DockerHost, defaultHost string) {
	if !isTrue(host.Spec.Default) {
		status.RemoveCondition(&host.Status.Conditions, dcv1.ConditionDefault)
		return
	}
	c := metav1.Condition{
		Type: dcv1.ConditionDefault, Status: metav1.ConditionTrue, Reason: dcv1.ReasonNamespaceDefault,
		Message: "This host is the namespace's default.", ObservedGeneration: host.Generation,
	}
	if defaultHost != host.Name {
		c.Status, c.Reason = metav1.ConditionFalse, dcv1.ReasonAnotherDefault
		c.Message = fmt.Sprintf("DockerHost %q is older and is the namespace's default: set spec.default on one of them only.", defaultHost)
	}
	status.SetCondition(&host.Status.Conditions, c)
}

// defaultHostOf picks a namespace's default: the oldest that asks to be it, and
// the first by name of those as old.
func defaultHostOf(hosts []dcv1.DockerHost) string {
	var best *dcv1.DockerHost
	for i := range hosts {
		h := &hosts[i]
		if !isTrue(h.Spec.Default) {
			continue
		}
		if best == nil || h.CreationTimestamp.Before(&best.CreationTimestamp) ||
			(h.CreationTimestamp.Equal(&best.CreationTimestamp) && h.Name < best.Name) {
			best = h
		}
	}
	if best == nil {
		return ""
	}
	return best.Name
}

func engineStatus(st hostcache.State) *dcv1.EngineStatus {
	rootless := st.Info.Rootless()
	return &dcv1.EngineStatus{
		ID:            text(st.Info.ID, 256),
		Name:          text(st.Info.Name, 256),
		Version:       text(cmp.Or(st.Version.Version, st.Info.ServerVersion), 256),
		APIVersion:    text(st.Version.APIVersion, 32),
		MinAPIVersion: text(st.Version.MinAPIVersion, 32),
		OS:            text(st.Info.OSType, 64),
		OSImage:       text(st.Info.OperatingSystem, 256),
		Arch:          text(st.Info.Architecture, 64),
		Kernel:        text(st.Info.KernelVersion, 256),
		StorageDriver: text(st.Info.Driver, 64),
		CgroupVersion: text(st.Info.CgroupVersion, 16),
		Rootless:      &rootless,
	}
}

func engineCapacity(info engine.Info) *dcv1.EngineCapacity {
	return &dcv1.EngineCapacity{
		CPUs:   *count(info.NCPU),
		Memory: *resource.NewQuantity(max(info.MemTotal, 0), resource.BinarySI),
	}
}

func swarmStatus(s engine.SwarmInfo) *dcv1.SwarmStatus {
	if s.LocalNodeState == "" || s.LocalNodeState == "inactive" {
		return nil
	}
	out := &dcv1.SwarmStatus{
		Role:             dcv1.SwarmWorker,
		NodeID:           text(s.NodeID, 256),
		ClusterID:        text(s.ClusterID(), 256),
		ControlAvailable: &s.ControlAvailable,
		Error:            text(s.Error, 1024),
	}
	// A manager that lost its quorum still knows the cluster, and is one.
	if s.ControlAvailable || s.ClusterID() != "" {
		out.Role = dcv1.SwarmManager
		out.Managers, out.Nodes = count(s.Managers), count(s.Nodes)
	}
	if s.LocalNodeState != "active" && out.Error == "" {
		out.Error = text("the node is "+s.LocalNodeState, 1024)
	}
	return out
}

func containerCounts(c hostcache.Counts) *dcv1.ContainerCounts {
	return &dcv1.ContainerCounts{Running: count(c.Running), Paused: count(c.Paused), Stopped: count(c.Stopped), Total: count(c.Total)}
}

func credentialStatus(info engine.CredentialInfo) *dcv1.CredentialStatus {
	if info.Fingerprint == "" {
		return nil
	}
	out := &dcv1.CredentialStatus{Fingerprint: text(info.Fingerprint, 128)}
	if !info.NotAfter.IsZero() {
		out.NotAfter = &metav1.Time{Time: info.NotAfter.UTC().Truncate(time.Second)}
	}
	return out
}

// count fits an engine's number into the API's field.
func count(n int) *int32 {
	v := int32(min(max(n, 0), math.MaxInt32))
	return &v
}

// text fits an engine's text into the API's field: at most limit characters,
// none of them a control character.
func text(s string, limit int) string { return status.CleanText(s, limit) }
