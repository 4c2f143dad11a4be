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

package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/controllers"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

func (e mortalEngine) List(ctx context.Context, kind engine.Kind, opts engine.ListOptions) (objects []engine.Object, err error) {
	err = e.killer.do(func() error { objects, err = e.Engine.List(ctx, kind, opts); return err })
	return objects, err
}

func (e mortalEngine) SecretCreate(ctx context.Context, spec engineswarm.SecretSpec) (id string, err error) {
	err = e.killer.do(func() error { id, err = e.Engine.SecretCreate(ctx, spec); return err })
	return id, err
}

func (e mortalEngine) SecretRemove(ctx context.Context, id string) error {
	return e.killer.do(func() error { return e.Engine.SecretRemove(ctx, id) })
}

func (e mortalEngine) ConfigCreate(ctx context.Context, spec engineswarm.ConfigSpec) (id string, err error) {
	err = e.killer.do(func() error { id, err = e.Engine.ConfigCreate(ctx, spec); return err })
	return id, err
}

func (e mortalEngine) ConfigRemove(ctx context.Context, id string) error {
	return e.killer.do(func() error { return e.Engine.ConfigRemove(ctx, id) })
}

// oneKey is a keyring that never changes.
type oneKey struct{}

func (oneKey) Current(keyring.Purpose) keyring.Key {
	return keyring.Key{ID: "v1", Bytes: make([]byte, keyring.KeySize)}
}
func (k oneKey) All(p keyring.Purpose) []keyring.Key {
	return []keyring.Key{k.Current(p)}
}

// TestSwarmServiceKilledWithSecrets: wherever a manager is killed, in the end the swarm has
// the secrets and configs that the service names, and no others.
func TestSwarmServiceKilledWithSecrets(t *testing.T) {
	t.Parallel()
	p := startProcesses(t)
	p.inputs = func() controllers.SwarmInputs {
		return &controllers.SwarmObjects{Live: p.Client, Keys: oneKey{}, Clock: clock.RealClock{}}
	}
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			if !p.killedWithSecrets(fmt.Sprintf("web-%t-%d", after, at), at, after) {
				break
			}
			if at > 100 {
				t.Fatal("the process never comes to its end")
			}
		}
	}
}

// killedWithSecrets is killedAt for a service with a secret and a config.
func (p *processes) killedWithSecrets(name string, at int, after bool) (killedAny bool) {
	p.t.Helper()
	secret := p.secret(name, map[string]string{"key": "one"})
	p.Create(p.t, secret)
	conf := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: p.ns, Name: name}, Data: map[string]string{"conf": "one"}}
	p.Create(p.t, conf)
	svc := p.newService(name, func(s *dcv1.SwarmServiceSpec) {
		s.Secrets = []dcv1.SwarmSecretFile{{Target: "key", SecretKeyRef: &dcv1.LocalKeyReference{Name: name, Key: "key"}}}
		s.Configs = []dcv1.SwarmConfigFile{{Target: "/conf", ConfigMapKeyRef: &dcv1.LocalKeyReference{Name: name, Key: "conf"}}}
	})
	p.Create(p.t, svc)
	step := func(what string, done func(*dcv1.SwarmService, error) error) {
		p.t.Helper()
		killed := p.live(&killer{at: at, after: after}, svc, done)
		killedAny = killedAny || killed
		p.live(&killer{}, svc, done)
		if err := p.exactFiles(svc); err != nil {
			p.t.Fatalf("%s, killed at call %d (after: %t): %v", what, at, after, err)
		}
	}
	exact := func(now *dcv1.SwarmService, err error) error {
		if err := converged(now, err); err != nil {
			return err
		}
		return p.exactFiles(now)
	}
	step("creation", exact)
	testenv.Update(p.t, p.Cluster, secret, func(s *corev1.Secret) { s.Data["key"] = []byte("two") })
	p.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Image = "app-1:1" })
	step("update", exact)
	p.Delete(p.t, svc)
	step("deletion", gone)
	return killedAny
}

// exactFiles reports where the swarm's secrets and configs of an object are not those that
// its service names.
func (p *processes) exactFiles(svc *dcv1.SwarmService) error {
	used := map[string]bool{}
	if v := p.onEngine(svc.Name); v != nil {
		c := v.Spec.TaskTemplate.ContainerSpec
		for _, ref := range c.Secrets {
			used[ref.SecretID] = true
		}
		for _, ref := range c.Configs {
			used[ref.ConfigID] = true
		}
		if len(used) != 2 {
			return fmt.Errorf("the service names %v", used)
		}
	}
	for _, kind := range []string{"secrets", "configs"} {
		var list []struct {
			ID   string
			Spec engineswarm.Annotations
		}
		if err := json.Unmarshal([]byte(unixCall(p.t, p.nodes[0].socket, http.MethodGet, "/"+kind, "")), &list); err != nil {
			return err
		}
		for _, o := range list {
			switch {
			case o.Spec.Labels[dcv1.LabelOwnerName] != svc.Name:
			case !used[o.ID]:
				return fmt.Errorf("%s %s is left over", kind, o.Spec.Name)
			default:
				delete(used, o.ID)
			}
		}
	}
	if len(used) > 0 {
		return fmt.Errorf("the service names what the swarm does not have: %v", used)
	}
	return nil
}
