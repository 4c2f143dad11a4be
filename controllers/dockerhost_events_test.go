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
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func statusWithReady(value metav1.ConditionStatus, reason, message string) *dcv1.DockerHostStatus {
	s := &dcv1.DockerHostStatus{}
	if reason != "" {
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: dcv1.ConditionReady, Status: value, Reason: reason, Message: message})
	}
	return s
}

func TestReadyEvents(t *testing.T) {
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	none := statusWithReady("", "", "")
	connected := statusWithReady(yes, dcv1.ReasonConnected, "Connected to Docker Engine 20.10.24, API 1.41.")
	tests := map[string]struct {
		before, after *dcv1.DockerHostStatus
		want          string
	}{
		"first connect":                  {none, connected, "Normal Connected"},
		"connecting is no news":          {none, statusWithReady(no, dcv1.ReasonConnecting, ""), ""},
		"connected after connecting":     {statusWithReady(no, dcv1.ReasonConnecting, ""), connected, "Normal Connected"},
		"lost":                           {connected, statusWithReady(no, dcv1.ReasonDialFailed, ""), "Warning DialFailed"},
		"back":                           {statusWithReady(no, dcv1.ReasonDialFailed, ""), connected, "Normal Connected"},
		"away in another way":            {statusWithReady(no, dcv1.ReasonDialFailed, ""), statusWithReady(no, dcv1.ReasonTimeout, ""), ""},
		"from away to a host key change": {statusWithReady(no, dcv1.ReasonDialFailed, ""), statusWithReady(no, dcv1.ReasonHostKeyMismatch, ""), "Warning HostKeyMismatch"},
		"another message":                {connected, statusWithReady(yes, dcv1.ReasonConnected, "Connected to Docker Engine 28.0.0, API 1.48."), ""},
		"nothing":                        {connected, connected, ""},
		"suspended":                      {connected, statusWithReady(no, dcv1.ReasonSuspended, ""), "Normal Suspended"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, e := range hostEvents(tt.before, tt.after) {
				got += e.eventType + " " + e.reason
			}
			if got != tt.want {
				t.Errorf("events = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEngineReplacedEvent(t *testing.T) {
	before, after := unixHost(), unixHost()
	setHostStatus(before, connectedState(), "", testNow)
	other := connectedState()
	other.Info.ID = "E2"
	setHostStatus(after, other, "", testNow)
	events := hostEvents(&before.Status, &after.Status)
	if len(events) != 1 || events[0].reason != dcv1.ReasonEngineReplaced {
		t.Errorf("events = %+v, want one EngineReplaced", events)
	}
}

func TestExpiryEventsOnceEach(t *testing.T) {
	host, st := tlsHost(), connectedState()
	st.Credentials = engine.CredentialInfo{Fingerprint: "SHA256:x", NotAfter: testNow.Add(31 * 24 * time.Hour)}
	setHostStatus(host, st, "", testNow)
	got := 0
	for now := testNow; now.Before(st.Credentials.NotAfter); now = now.Add(time.Hour) {
		before := host.DeepCopy()
		setHostStatus(host, st, "", now)
		got += len(hostEvents(&before.Status, &host.Status))
	}
	if got != 3 {
		t.Errorf("%d Events in a certificate's last 31 days, want 3: at 30, 7 and 1 days", got)
	}
}
