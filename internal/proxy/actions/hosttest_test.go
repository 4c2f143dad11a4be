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

package actions

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/hostspec"
)

const testPath = "/apis/engine.dockercontrol.dev/v1alpha1/namespaces/team/test"

// verbs is a Reviewer that lets users named by a verb do everything but that.
type verbs struct{}

func (verbs) Review(_ context.Context, who user.Info, what authorizationv1.ResourceAttributes) (bool, error) {
	return who.GetName() != "no "+what.Verb && what.Namespace == "team", nil
}

func TestHostTest(t *testing.T) {
	b, _ := simBed(t, sim.Options{Name: "engine"}, func(o *Options) { o.Reviewer = verbs{} })
	endpoint := b.endpoint
	spec := func(text string) string {
		return `{"apiVersion":"dockercontrol.dev/v1alpha1","kind":"DockerHost","metadata":{"name":"new"},"spec":` + text + `}`
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	_ = closed.Close()
	b.cluster.secrets["empty"] = &corev1.Secret{}
	good := spec(`{"endpoint":"` + endpoint + `"}`)
	tls := spec(`{"endpoint":"tcp://10.0.0.5:2376","tls":{"secretRef":{"name":"empty"}}}`)
	b.actions.opts.Secrets = b.cluster
	for _, tt := range []struct {
		who, body string
		code      int
		reason    string
	}{
		{"anyone", good, 200, dcv1.ReasonConnected},
		{"anyone", `{"spec":{"endpoint":"` + endpoint + `"}}`, 200, dcv1.ReasonConnected},
		{"anyone", spec(`{"endpoint":"unix:///no/such.sock"}`), 200, dcv1.ReasonDialFailed},
		{"anyone", spec(`{"endpoint":"tcp://` + nobody + `","insecure":true}`), 200, dcv1.ReasonEndpointForbidden},
		{"anyone", spec(`{"endpoint":"tcp://10.0.0.5:2375"}`), 200, dcv1.ReasonEndpointInvalid},
		{"anyone", spec(`{"endpoint":"nonsense"}`), 200, dcv1.ReasonEndpointInvalid},
		{"anyone", tls, 200, dcv1.ReasonCredentialsMissing},
		{"no create", good, 403, ""},
		{"no grant", good, 403, ""},
		{"no get", tls, 403, ""},
		{"no get", good, 200, dcv1.ReasonConnected},
		{"anyone", `{"spec":{"endpont":"x"}}`, 400, ""},
		{"anyone", `{"kind":"Pod","apiVersion":"v1"}`, 400, ""},
		{"anyone", `{"metadata":{"namespace":"other"}}`, 400, ""},
	} {
		before := len(b.recorder.Records())
		a := b.requestAt(tt.who, http.MethodPost, testPath, tt.body)
		if a.code != tt.code {
			t.Errorf("%s by %s: %d %s; want %d", tt.body, tt.who, a.code, a.body, tt.code)
			continue
		}
		records := b.recorder.Records()[before:]
		if tt.code == 403 && (len(records) != 1 || records[0].Outcome != audit.Denied) {
			t.Errorf("%s by %s: on record is %+v", tt.body, tt.who, records)
		}
		if tt.code != 200 {
			continue
		}
		var result TestResult
		b.decode(a.body, &result)
		if result.Reason != tt.reason || result.Reachable != (tt.reason == dcv1.ReasonConnected) || result.Message == "" {
			t.Errorf("%s: %+v; want %s", tt.body, result, tt.reason)
		}
		if result.Reachable && (result.Engine == nil || result.Engine.Name != "engine" || result.Engine.APIVersion != "1.41") {
			t.Errorf("%s: the engine is %+v", tt.body, result.Engine)
		}
		if len(records) != 2 || records[1].Verb != "test" || (records[1].Outcome == audit.Succeeded) != result.Reachable {
			t.Errorf("%s: on record is %+v", tt.body, records)
		}
	}
	b.actions.opts.Policy = hostspec.EndpointPolicy{}
	var result TestResult
	b.decode(b.requestAt("anyone", http.MethodPost, testPath, good).body, &result)
	if result.Reason != dcv1.ReasonEndpointForbidden || !strings.Contains(result.Message, "--unix-endpoint-namespaces") {
		t.Errorf("where unix endpoints are not allowed it is %+v", result)
	}
}
