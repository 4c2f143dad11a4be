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
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// canary is in every secret value here, and may be nowhere else.
const canary = "canary-7f3a"

// TestObjectsSim and the two of real engines go through the life of the secrets, configs
// and networks of a service.
func TestObjectsSim(t *testing.T) {
	testObjects(t, simBed(t))
}

func TestObjectsDockerd(t *testing.T) {
	for name, modern := range map[string]bool{"debian": false, "modern": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testbed.StartDockerd(t, testbed.DockerdOptions{Swarm: true, Modern: modern})
			d.ImportBusybox(t, bedImage)
			b := newObjectsBed(t, d.Endpoint())
			testObjects(t, b)
			testNetworks(t, b)
			b.testNetworkKinds(t)
		})
	}
}

func webFiles(s *dcv1.SwarmServiceSpec) {
	s.Secrets = []dcv1.SwarmSecretFile{{Target: "key", SecretKeyRef: keyRef("web", "key")}}
	s.Configs = []dcv1.SwarmConfigFile{{Target: "/conf", ConfigMapKeyRef: keyRef("web", "conf")}}
	s.Env = []dcv1.SwarmEnvVar{{Name: "TOKEN", ValueFrom: &dcv1.SwarmEnvSource{SecretKeyRef: keyRef("web", "token")}}}
}

func testObjects(t *testing.T, b *objectsBed) {
	b.secret("web", map[string]string{"key": canary + "-1", "token": canary + "-t"})
	b.must("create a ConfigMap", b.kube.Create(b.ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"}, Data: map[string]string{"conf": "a=1"},
	}))
	svc := b.service("web", webFiles)
	b.apply(svc)
	b.wantWrites("the first time", "create Secret", "create Config")
	first := b.resolve(svc)
	b.restart()
	again := b.resolve(svc)
	if b.wantWrites("again, and after a restart"); again.Secrets["key"] != first.Secrets["key"] || again.Configs["/conf"] != first.Configs["/conf"] {
		t.Errorf("another object for the same content: %+v and %+v", first.Inputs, again.Inputs)
	}
	if first.Env["TOKEN"] != canary+"-t" {
		t.Errorf("the variable is %q", first.Env["TOKEN"])
	}
	one, conf := fileOf(engine.Secrets, first.Secrets["key"]), fileOf(engine.Configs, first.Configs["/conf"])
	b.wantFiles("at first", one, conf)

	// Another content: the old object goes when no task has it any more.
	b.secret("web", map[string]string{"key": canary + "-2", "token": canary + "-t"})
	two := fileOf(engine.Secrets, b.resolve(svc).Secrets["key"])
	b.settle("settle too early", svc)
	b.wantFiles("while tasks have the old secret", one, two, conf)
	b.apply(svc)
	b.wantWrites("for another content", "create Secret")
	b.settle("settle", svc)
	b.wantFiles("after the rollout", two, conf)
	b.wantWrites("settled", "remove Secret")
	b.settle("settle again", svc)
	b.wantWrites("settled again")

	// A process that ended between the secret and the service, before the source changed
	// once more.
	b.secret("web", map[string]string{"key": canary + "-3", "token": canary + "-t"})
	three := fileOf(engine.Secrets, b.resolve(svc).Secrets["key"])
	b.secret("web", map[string]string{"key": canary + "-2", "token": canary + "-t"})
	b.restart()
	b.resolve(svc)
	b.wantFiles("after the process ended", two, three, conf)
	b.settle("settle", svc)
	b.wantFiles("settled after that", two, conf)
	b.records.writes()

	// A new key of the names restarts nothing.
	old := b.keys.list
	b.keys.list = append([]keyring.Key{{ID: "v2", Bytes: []byte(strings.Repeat("2", keyring.KeySize))}}, old...)
	b.resolve(svc)
	b.wantWrites("with a new key")

	b.testStray(svc, two, conf)
	b.testRelease(svc, two, conf)
}

// testStray leaves a secret of an object of the same name, as a restore does.
func (b *objectsBed) testStray(svc *dcv1.SwarmService, two, conf string) {
	b.Helper()
	before := svc.DeepCopy()
	before.UID = "uid-before-the-restore"
	stray := fileOf(engine.Secrets, b.resolve(before).Secrets["key"])
	strayConf := fileOf(engine.Configs, b.resolve(before).Configs["/conf"])
	b.restart()
	b.resolve(svc)
	b.settle("settle", svc)
	b.wantFiles("while it may be another's", two, conf, stray, strayConf)
	b.clock.SetTime(b.clock.Now().Add(strayAge + time.Minute))
	b.restart()
	b.resolve(svc)
	b.settle("settle", svc)
	b.wantFiles("when it is old", two, conf)
}

// testRelease orphans the service, then removes it.
func (b *objectsBed) testRelease(svc *dcv1.SwarmService, two, conf string) {
	b.Helper()
	b.must("release an orphan", b.objects.Release(b.ctx, svc, b.access(svc), true))
	b.wantFiles("with the orphan", two, conf)
	have, err := inspectService(b.ctx, b.engine, svc.Name)
	b.must("inspect", err)
	b.must("remove the service", b.engine.ServiceRemove(b.ctx, have.ID))
	b.must("release", b.objects.Release(b.ctx, svc, b.access(svc), false))
	b.wantFiles("at the end")
	b.must("release again", b.objects.Release(b.ctx, svc, b.access(svc), false))
}

// testNetworks makes a network that two services share.
func testNetworks(t *testing.T, b *objectsBed) {
	b.records.writes()
	name := "shared-net"
	on := func(s *dcv1.SwarmServiceSpec) {
		s.Networks = []dcv1.SwarmNetwork{{Name: name, CreateIfMissing: &dcv1.SwarmNetworkTemplate{
			Driver: "overlay", Attachable: ptr.To(true), Labels: map[string]string{"team": "web"}, DriverOptions: map[string]string{"encrypted": ""},
			Subnets: []dcv1.SwarmSubnet{{Subnet: "10.77.0.0/24", Gateway: "10.77.0.1"}},
		}}}
	}
	one, two := b.service("one", on), b.service("two", on)
	b.apply(one)
	b.wantWrites("the first of two", "create Network")
	b.apply(two)
	b.restart()
	b.resolve(two)
	b.wantWrites("the second of two")
	raw, err := b.engine.Inspect(b.ctx, engine.Networks, name)
	b.must("inspect", err)
	var n struct {
		Driver, Scope   string
		Attachable      bool
		Labels, Options map[string]string
		IPAM            struct{ Config []struct{ Subnet string } }
	}
	b.must("read", json.Unmarshal(raw, &n))
	_, encrypted := n.Options["encrypted"]
	if n.Driver != "overlay" || n.Scope != "swarm" || !n.Attachable || n.Labels["team"] != "web" || n.Labels[dcv1.LabelOwnerName] != "one" ||
		!encrypted || len(n.IPAM.Config) != 1 || n.IPAM.Config[0].Subnet != "10.77.0.0/24" {
		t.Errorf("the network is %s", raw)
	}
	remove := func(svc *dcv1.SwarmService) {
		t.Helper()
		have, err := inspectService(b.ctx, b.engine, svc.Name)
		b.must("inspect", err)
		b.must("remove the service", b.engine.ServiceRemove(b.ctx, have.ID))
		b.must("delete the object", b.kube.Delete(b.ctx, svc))
	}
	remove(one)
	b.must("release the first", b.objects.Release(b.ctx, one, b.access(one), false))
	if n, err := findNetwork(b.ctx, b.engine, name); err != nil || n == nil {
		t.Fatalf("the network went while a service is on it (%v)", err)
	}
	remove(two)
	two.DeletionTimestamp = ptr.To(metav1.NewTime(b.clock.Now()))
	b.eventually("the last task to let go of the network", func() bool {
		return b.objects.Release(b.ctx, two, b.access(two), false) == nil
	})
	b.eventually("the network to go", func() bool { // a node has it a moment longer than the swarm
		n, err := findNetwork(b.ctx, b.engine, name)
		b.must("inspect", err)
		return n == nil
	})
	bad := b.service("bad", func(s *dcv1.SwarmServiceSpec) {
		s.Networks = []dcv1.SwarmNetwork{{Name: "badnet", CreateIfMissing: &dcv1.SwarmNetworkTemplate{Driver: "no-such-driver"}}}
	})
	b.wantFault(bad, dcv1.ReasonFieldInvalid, "spec.networks[badnet].createIfMissing", "no-such-driver")
}

// TestObjectsFaults: what cannot be names the field, and makes nothing.
func TestObjectsFaults(t *testing.T) {
	b := simBed(t)
	b.secret("s", map[string]string{"good": canary, "empty": "", "binary": "\xff\xfe" + canary, "large": strings.Repeat("x", maxSecretBytes+1)})
	secretFile := func(name, key string) func(*dcv1.SwarmServiceSpec) {
		return func(s *dcv1.SwarmServiceSpec) {
			s.Secrets = []dcv1.SwarmSecretFile{
				{Target: "good", SecretKeyRef: keyRef("s", "good")}, {Target: "f", SecretKeyRef: keyRef(name, key)},
			}
		}
	}
	variable := func(from dcv1.SwarmEnvSource) func(*dcv1.SwarmServiceSpec) {
		return func(s *dcv1.SwarmServiceSpec) { s.Env = []dcv1.SwarmEnvVar{{Name: "A", ValueFrom: &from}} }
	}
	i := 0
	for what, tt := range map[string]struct {
		change func(*dcv1.SwarmServiceSpec)
		reason string
		says   []string
	}{
		"no Secret":         {secretFile("none", "k"), dcv1.ReasonSecretNotFound, []string{"spec.secrets[f].secretKeyRef", `no Secret "none" in namespace "ns"`}},
		"no key":            {secretFile("s", "none"), dcv1.ReasonSecretNotFound, []string{"spec.secrets[f].secretKeyRef", `the Secret "s" has no key "none"`}},
		"empty":             {secretFile("s", "empty"), dcv1.ReasonFieldInvalid, []string{"spec.secrets[f].secretKeyRef", "0 bytes"}},
		"too large":         {secretFile("s", "large"), dcv1.ReasonFieldInvalid, []string{"spec.secrets[f].secretKeyRef", "1 to 512000"}},
		"no text":           {variable(dcv1.SwarmEnvSource{SecretKeyRef: keyRef("s", "binary")}), dcv1.ReasonFieldInvalid, []string{"spec.env[A].valueFrom", "UTF-8"}},
		"variable's Secret": {variable(dcv1.SwarmEnvSource{SecretKeyRef: keyRef("none", "k")}), dcv1.ReasonSecretNotFound, []string{"spec.env[A].valueFrom.secretKeyRef"}},
		"variable's map":    {variable(dcv1.SwarmEnvSource{ConfigMapKeyRef: keyRef("none", "k")}), dcv1.ReasonConfigNotFound, []string{"spec.env[A].valueFrom.configMapKeyRef"}},
		"swarm's secret":    {func(s *dcv1.SwarmServiceSpec) { s.Secrets = []dcv1.SwarmSecretFile{{Target: "f", SecretName: "none"}} }, dcv1.ReasonSecretNotFound, []string{"spec.secrets[f].secretName", `no secret "none"`}},
		"swarm's config":    {func(s *dcv1.SwarmServiceSpec) { s.Configs = []dcv1.SwarmConfigFile{{Target: "f", ConfigName: "none"}} }, dcv1.ReasonConfigNotFound, []string{"spec.configs[f].configName"}},
		"ConfigMap": {func(s *dcv1.SwarmServiceSpec) {
			s.Configs = []dcv1.SwarmConfigFile{{Target: "f", ConfigMapKeyRef: keyRef("none", "k")}}
		}, dcv1.ReasonConfigNotFound, []string{"spec.configs[f].configMapKeyRef", `no ConfigMap "none"`}},
		"network":            {func(s *dcv1.SwarmServiceSpec) { s.Networks = []dcv1.SwarmNetwork{{Name: "no-such-net"}} }, dcv1.ReasonNetworkNotFound, []string{"spec.networks[no-such-net]", "createIfMissing"}},
		"pull secret":        {func(s *dcv1.SwarmServiceSpec) { s.PullSecretRef = &dcv1.LocalSecretReference{Name: "none"} }, dcv1.ReasonSecretNotFound, []string{"spec.pullSecretRef"}},
		"no pull secret":     {func(s *dcv1.SwarmServiceSpec) { s.PullSecretRef = &dcv1.LocalSecretReference{Name: "s"} }, dcv1.ReasonFieldInvalid, []string{"spec.pullSecretRef", "kubernetes.io/dockerconfigjson"}},
		"a spec that is bad": {func(s *dcv1.SwarmServiceSpec) { secretFile("s", "good")(s); s.Image = "not an image" }, dcv1.ReasonImageInvalid, []string{"spec.image"}},
	} {
		i++
		t.Run(what, func(t *testing.T) {
			b := *b
			b.TB = t
			b.wantFault(b.service(fmt.Sprint("bad-", i), tt.change), tt.reason, tt.says...)
			b.wantFiles("for a service that cannot be")
		})
	}
	optional := b.service("optional", func(s *dcv1.SwarmServiceSpec) {
		ref := &dcv1.LocalKeyReference{Name: "none", Key: "k", Optional: ptr.To(true)}
		s.Secrets = []dcv1.SwarmSecretFile{{Target: "f", SecretKeyRef: ref}}
		s.Configs = []dcv1.SwarmConfigFile{{Target: "f", ConfigMapKeyRef: ref}}
		s.Env = []dcv1.SwarmEnvVar{{Name: "A", ValueFrom: &dcv1.SwarmEnvSource{SecretKeyRef: ref}}, {Name: "B", ValueFrom: &dcv1.SwarmEnvSource{ConfigMapKeyRef: ref}}}
	})
	desired, err := swarm.Build(&optional.Spec, b.resolve(optional).Inputs)
	b.must("build without what is optional", err)
	if c := desired.Spec.TaskTemplate.ContainerSpec; len(c.Secrets)+len(c.Configs)+len(c.Env) > 0 {
		t.Errorf("what is missing is there: %+v", c)
	}
	b.testSuspended()
}

// testSuspended: nothing is written, and what is to come shows as a difference.
func (b *objectsBed) testSuspended() {
	b.Helper()
	b.records.writes()
	svc := b.service("suspended", func(s *dcv1.SwarmServiceSpec) {
		s.Suspend = ptr.To(true)
		s.Secrets = []dcv1.SwarmSecretFile{{Target: "f", SecretKeyRef: keyRef("s", "good")}}
	})
	if in := b.resolve(svc); in.Secrets["f"].Name == "" {
		b.Error("the secret to come has no name")
	}
	b.wantWrites("suspended")
}

// TestObjectsSameContent: two files of one content are one secret, and of two services
// two, whose names tell nothing.
func TestObjectsSameContent(t *testing.T) {
	b := simBed(t)
	b.secret("s", map[string]string{"a": canary, "b": canary})
	files := func(s *dcv1.SwarmServiceSpec) {
		s.Secrets = []dcv1.SwarmSecretFile{{Target: "a", SecretKeyRef: keyRef("s", "a")}, {Target: "b", SecretKeyRef: keyRef("s", "b")}}
	}
	one, two := b.resolve(b.service("one", files)), b.resolve(b.service("two", files))
	if one.Secrets["a"] != one.Secrets["b"] || len(b.files()) != 2 {
		t.Errorf("%+v, %v", one.Secrets, b.files())
	}
	hash := func(o swarm.Object) string { return o.Name[strings.LastIndex(o.Name, "-"):] }
	if hash(one.Secrets["a"]) == hash(two.Secrets["a"]) {
		t.Error("the names tell that two services have the same password")
	}
}

// TestObjectsPullSecret: credentials go with the service, and a change of them is a
// difference.
func TestObjectsPullSecret(t *testing.T) {
	b := simBed(t)
	svc := b.service("private", func(s *dcv1.SwarmServiceSpec) {
		s.Image, s.PullSecretRef = "r.example.com/app:1", &dcv1.LocalSecretReference{Name: "pull"}
	})
	pull := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pull"}, Type: corev1.SecretTypeDockerConfigJson}
	b.must("create a Secret", b.kube.Create(b.ctx, pull))
	set := func(password string) ResolvedInputs {
		pull.Data = map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"r.example.com":{"username":"u","password":"` + password + `"}}}`)}
		b.must("update the Secret", b.kube.Update(b.ctx, pull))
		return b.resolve(svc)
	}
	one, same, two := set(canary), set(canary), set(canary+"2")
	header, err := base64.URLEncoding.DecodeString(one.RegistryAuth)
	if err != nil || !strings.Contains(string(header), canary) {
		t.Errorf("the header is %q (%v)", header, err)
	}
	build := func(in ResolvedInputs) swarm.Desired {
		d, err := swarm.Build(&svc.Spec, in.Inputs)
		b.must("build", err)
		return d
	}
	first := build(one)
	if diff := build(same).Diff(first.Spec); !diff.Empty() {
		t.Errorf("the same credentials differ: %s", diff)
	}
	diff := build(two).Diff(first.Spec)
	if diff.Empty() || strings.Contains(diff.String(), canary) {
		t.Errorf("other credentials: %q", diff)
	}
	if text, err := json.Marshal(first.Spec); err != nil || strings.Contains(string(text), canary) {
		t.Errorf("the spec holds the password (%v)", err)
	}
}

// TestObjectsCanary looks for secret values wherever somebody may read them.
func TestObjectsCanary(t *testing.T) {
	b := simBed(t)
	b.secret("web", map[string]string{"key": canary + "-1", "token": canary + "-t"})
	b.must("create a ConfigMap", b.kube.Create(b.ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"}, Data: map[string]string{"conf": "x"},
	}))
	svc := b.service("web", webFiles)
	b.apply(svc)
	b.secret("web", map[string]string{"key": canary + "-2", "token": canary + "-u"})
	in := b.resolve(svc)
	desired, err := swarm.Build(&svc.Spec, in.Inputs)
	b.must("build", err)
	have, err := inspectService(b.ctx, b.engine, svc.Name)
	b.must("inspect", err)
	diff := desired.Diff(have.Spec)
	if diff.Empty() {
		t.Error("a rotation is no difference")
	}
	read := []string{diff.String(), strings.Join(b.files(), " "), fmt.Sprint(have.Spec.Labels)}
	for _, kind := range []engine.Kind{engine.Secrets, engine.Configs} {
		objects, err := b.engine.List(b.ctx, kind, engine.ListOptions{})
		b.must("list", err)
		for _, o := range objects {
			read = append(read, string(o.Raw))
		}
	}
	b.records.mu.Lock()
	defer b.records.mu.Unlock()
	for _, record := range b.records.list {
		text, err := json.Marshal(record)
		b.must("write a record", err)
		read = append(read, string(text))
	}
	if i := slices.IndexFunc(read, func(s string) bool {
		return strings.Contains(s, canary) || strings.Contains(s, base64.StdEncoding.EncodeToString([]byte(canary))[:12])
	}); i >= 0 || len(read) < 8 {
		t.Errorf("%d texts, of which %d shows a secret value", len(read), i)
	}
}
