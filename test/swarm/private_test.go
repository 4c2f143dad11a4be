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
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// dockerConfig is a dockerconfigjson with the password of one registry.
func dockerConfig(registry, password string) []byte {
	auth := base64.StdEncoding.EncodeToString([]byte("puller:" + password))
	return fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, registry, auth)
}

// testPrivateRegistry: every node pulls with the credentials of a Secret, and nothing shows
// them.
func testPrivateRegistry(t *testing.T, b *bed) {
	const wrong, right = secretValue + "WrongPassword", secretValue + "RightPassword"
	registry := b.network.StartRegistry(t)
	registry.Push(t, "private:1", map[string]any{"Cmd": []string{"sh"}}, testbed.BusyboxTar(t))
	registry.Protect("puller", right)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "pull"}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: dockerConfig(registry.Address, wrong)},
	}
	b.Create(t, secret)
	svc := b.create(t, "private", func(s *dcv1.SwarmServiceSpec) {
		spread(s)
		s.Image, s.PullSecretRef = registry.Address+"/private:1", &dcv1.LocalSecretReference{Name: "pull"}
	})
	b.wantStalled(t, svc, dcv1.ReasonImagePullFailed, "0 of 3 tasks run", "No such image: "+svc.Spec.Image)
	if errors := svc.Status.TaskErrors; len(errors) == 0 || errors[0].Node == "" || errors[0].State != "rejected" {
		t.Errorf("task errors are %+v", errors)
	}
	id := svc.Status.ServiceID

	testenv.Update(t, b.Cluster, secret, func(s *corev1.Secret) {
		s.Data[corev1.DockerConfigJsonKey] = dockerConfig(registry.Address, right)
	})
	b.wait(t, svc, "True/Converged")
	wantReplicas(t, svc, 3)
	if err := wantDistribution(svc, onEach); err != nil || svc.Status.ServiceID != id {
		t.Errorf("service %s became %s: %v", id, svc.Status.ServiceID, err)
	}
	// Tasks that were rejected before may be listed once more after the change: the engine
	// does not tell whose credentials a task had.
	testenv.Eventually(t, soon, func(context.Context) error {
		if e := b.eventCounts(t, svc); e["Normal Created"] != 1 || e["Normal Updated"] != 1 || e["Warning ImagePullFailed"] < 1 {
			return fmt.Errorf("%s has the events %v", svc.Name, e)
		}
		return nil
	})
	for what, text := range b.readable(t, svc) {
		for _, password := range []string{wrong, right} {
			if !strings.Contains(text, svc.Name) || shows(text, password) {
				t.Errorf("%s does not speak of the service, or shows the password %s: %s", what, password, text)
			}
		}
	}
}

// readable is all that those may read who may read a service, and no Secret.
func (b *bed) readable(t *testing.T, svc *dcv1.SwarmService) map[string]string {
	t.Helper()
	text := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	var events eventsv1.EventList
	if err := b.Client.List(t.Context(), &events, client.InNamespace(b.ns)); err != nil {
		t.Fatal(err)
	}
	trail, err := os.ReadFile(b.trail)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"the object": text(svc), "an Event": text(events), "the audit trail": string(trail),
		"the service": text(b.service(t, svc.Name)),
		"a task":      text(get[[]engineswarm.Task](t, b, "/tasks"+filter("service", svc.Status.ServiceID))) + svc.Name,
	}
}

// shows reports whether a text has a secret, as it is or somewhere in base64.
func shows(text, secret string) bool {
	forms := []string{secret}
	for before := range 3 {
		coded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat(" ", before) + secret))
		// Without the characters that hold bits of what stands beside it.
		forms = append(forms, coded[(before*8+5)/6:(before+len(secret))*8/6])
	}
	return slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) })
}
