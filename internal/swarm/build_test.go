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
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// parse reads a spec as a user writes it, on top of an image.
func parse(t testing.TB, text string) dcv1.SwarmServiceSpec {
	t.Helper()
	spec := dcv1.SwarmServiceSpec{SwarmContainer: dcv1.SwarmContainer{Image: "busybox:1"}}
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return spec
}

// TestFaults: what the CRD may let through, each with its reason and its field.
func TestFaults(t *testing.T) {
	tests := map[string]struct{ spec, reason, says string }{
		"image":                {`image: "Nginx:1"`, dcv1.ReasonImageInvalid, "spec.image: "},
		"image of nothing":     {`image: ""`, dcv1.ReasonImageInvalid, "spec.image: "},
		"image tag":            {`image: "nginx:-"`, dcv1.ReasonImageInvalid, "spec.image: "},
		"image digest":         {`image: "nginx@sha256:abc"`, dcv1.ReasonImageInvalid, "spec.image: "},
		"global replicas":      {"mode: Global\nreplicas: 3", dcv1.ReasonModeInvalid, "spec.replicas: Forbidden: does not go with spec.mode Global"},
		"unknown mode":         {`mode: Often`, dcv1.ReasonModeInvalid, "spec.mode: "},
		"job update":           {"mode: GlobalJob\nupdateConfig: {}", dcv1.ReasonModeInvalid, "spec.updateConfig: "},
		"job rollback":         {"mode: GlobalJob\nrollbackConfig: {}", dcv1.ReasonModeInvalid, "spec.rollbackConfig: "},
		"concurrent":           {"maxConcurrent: 3", dcv1.ReasonModeInvalid, "spec.maxConcurrent: "},
		"per node":             {"mode: Global\nplacement: {maxReplicasPerNode: 1}", dcv1.ReasonModeInvalid, "spec.placement.maxReplicasPerNode: "},
		"negative replicas":    {`replicas: -1`, dcv1.ReasonQuantityOutOfRange, "spec.replicas: "},
		"no concurrency":       {"mode: ReplicatedJob\nmaxConcurrent: 0", dcv1.ReasonQuantityOutOfRange, "spec.maxConcurrent: "},
		"cpu overflow":         {`resources: {limits: {cpu: 10G}}`, dcv1.ReasonQuantityOutOfRange, "spec.resources.limits.cpu: "},
		"cpu beyond all":       {`resources: {limits: {cpu: 1E}}`, dcv1.ReasonQuantityOutOfRange, "spec.resources.limits.cpu: "},
		"memory overflow":      {`resources: {reservations: {memory: 8Ei}}`, dcv1.ReasonQuantityOutOfRange, "spec.resources.reservations.memory: "},
		"memory beyond all":    {`resources: {limits: {memory: 1000000Ei}}`, dcv1.ReasonQuantityOutOfRange, "spec.resources.limits.memory: "},
		"memory too little":    {`resources: {limits: {memory: 1Ki}}`, dcv1.ReasonQuantityOutOfRange, "must be from 4Mi to 4Ei"},
		"pids":                 {`resources: {limits: {pids: -1}}`, dcv1.ReasonQuantityOutOfRange, "spec.resources.limits.pids: "},
		"swap":                 {`resources: {limits: {memory: 1Gi}, memorySwap: -5}`, dcv1.ReasonQuantityOutOfRange, "spec.resources.memorySwap: "},
		"swap alone":           {`resources: {memorySwap: 5Mi}`, dcv1.ReasonFieldInvalid, "spec.resources.memorySwap: "},
		"swappiness":           {`resources: {memorySwappiness: 101}`, dcv1.ReasonQuantityOutOfRange, "spec.resources.memorySwappiness: "},
		"generic":              {`resources: {reservations: {generic: [{kind: GPU}]}}`, dcv1.ReasonQuantityOutOfRange, "spec.resources.reservations.generic[0].count: "},
		"tmpfs":                {`mounts: [{type: Tmpfs, target: /a, tmpfs: {size: 16Ei}}]`, dcv1.ReasonQuantityOutOfRange, "spec.mounts[0].tmpfs.size: "},
		"tmpfs mode":           {`mounts: [{type: Tmpfs, target: /a, tmpfs: {mode: 4096}}]`, dcv1.ReasonQuantityOutOfRange, "spec.mounts[0].tmpfs.mode: "},
		"grace":                {`stopGracePeriod: 10000h`, dcv1.ReasonQuantityOutOfRange, "spec.stopGracePeriod: "},
		"negative delay":       {`restartPolicy: {delay: -1s}`, dcv1.ReasonQuantityOutOfRange, "spec.restartPolicy.delay: "},
		"window":               {`restartPolicy: {window: 10000h}`, dcv1.ReasonQuantityOutOfRange, "spec.restartPolicy.window: "},
		"attempts":             {`restartPolicy: {maxAttempts: -1}`, dcv1.ReasonQuantityOutOfRange, "spec.restartPolicy.maxAttempts: "},
		"interval":             {`healthcheck: {interval: 1us}`, dcv1.ReasonQuantityOutOfRange, "spec.healthcheck.interval: "},
		"retries":              {`healthcheck: {retries: -1}`, dcv1.ReasonQuantityOutOfRange, "spec.healthcheck.retries: "},
		"ratio":                {`updateConfig: {maxFailureRatio: "NaN"}`, dcv1.ReasonQuantityOutOfRange, "spec.updateConfig.maxFailureRatio: "},
		"parallelism":          {`rollbackConfig: {parallelism: -1}`, dcv1.ReasonQuantityOutOfRange, "spec.rollbackConfig.parallelism: "},
		"force":                {`forceUpdate: -1`, dcv1.ReasonQuantityOutOfRange, "spec.forceUpdate: "},
		"ulimit":               {`ulimits: [{name: nofile, soft: 5, hard: 1}]`, dcv1.ReasonQuantityOutOfRange, "spec.ulimits[0]: "},
		"port":                 {`ports: [{targetPort: 70000}]`, dcv1.ReasonQuantityOutOfRange, "spec.ports[0]: "},
		"file mode":            {`secrets: [{target: a, secretName: known, mode: 4096}]`, dcv1.ReasonQuantityOutOfRange, "spec.secrets[0].mode: "},
		"swarm secret":         {`secrets: [{target: b, secretName: gone}]`, dcv1.ReasonSecretNotFound, `spec.secrets[0].secretName: Not found: "gone"`},
		"Kubernetes secret":    {`secrets: [{target: b, secretKeyRef: {name: s, key: k}}]`, dcv1.ReasonSecretNotFound, `spec.secrets[0].secretKeyRef: Not found: "s/k"`},
		"swarm config":         {`configs: [{target: b, configName: gone}]`, dcv1.ReasonConfigNotFound, `spec.configs[0].configName: Not found: "gone"`},
		"ConfigMap":            {`configs: [{target: b, configMapKeyRef: {name: s, key: k}}]`, dcv1.ReasonConfigNotFound, `spec.configs[0].configMapKeyRef: Not found: "s/k"`},
		"secret of env":        {`env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]`, dcv1.ReasonSecretNotFound, `spec.env[0].valueFrom.secretKeyRef: Not found: "s/k"`},
		"ConfigMap of env":     {`env: [{name: A, valueFrom: {configMapKeyRef: {name: s, key: k}}}]`, dcv1.ReasonConfigNotFound, "spec.env[0].valueFrom.configMapKeyRef: "},
		"env from nothing":     {`env: [{name: A, valueFrom: {}}]`, dcv1.ReasonFieldInvalid, "spec.env[0].valueFrom: "},
		"env name":             {`env: [{name: "A=B"}]`, dcv1.ReasonFieldInvalid, "spec.env[0].name: "},
		"credential config":    {`privileges: {credentialSpec: {configName: gone}}`, dcv1.ReasonConfigNotFound, "spec.privileges.credentialSpec.configName: "},
		"credentials":          {`privileges: {credentialSpec: {}}`, dcv1.ReasonFieldInvalid, "spec.privileges.credentialSpec: "},
		"network":              {`networks: [{name: gone}]`, dcv1.ReasonNetworkNotFound, `spec.networks[0].name: Not found: "gone"`},
		"target twice":         {`mounts: [{type: Tmpfs, target: /a}, {type: Tmpfs, target: /a}]`, dcv1.ReasonFieldInvalid, "spec.mounts[1].target: "},
		"mount without a type": {`mounts: [{target: /a}]`, dcv1.ReasonFieldInvalid, "spec.mounts[0].type: "},
		"mount type":           {`mounts: [{type: Image, target: /a}]`, dcv1.ReasonFieldInvalid, "spec.mounts[0].type: "},
		"secret target twice":  {`secrets: [{target: a, secretName: known}, {target: a, secretName: known}]`, dcv1.ReasonFieldInvalid, "spec.secrets[1].target: "},
		"nameserver":           {`dns: {nameservers: [one]}`, dcv1.ReasonFieldInvalid, "spec.dns.nameservers[0]: "},
		"host":                 {`extraHosts: [{ip: 1.2.3.4 5, hostnames: [a]}]`, dcv1.ReasonFieldInvalid, "spec.extraHosts[0].ip: "},
		"host name":            {`extraHosts: [{ip: 1.2.3.4, hostnames: ["a b"]}]`, dcv1.ReasonFieldInvalid, "spec.extraHosts[0].hostnames[0]: "},
		"seccomp profile":      {`privileges: {seccomp: {mode: Default, profile: "{}"}}`, dcv1.ReasonFieldInvalid, "spec.privileges.seccomp.mode: "},
		"oom":                  {`oomScoreAdj: 2000`, dcv1.ReasonQuantityOutOfRange, "spec.oomScoreAdj: "},
		"tmpfs option":         {`mounts: [{type: Tmpfs, target: /a, tmpfs: {options: ["=5"]}}]`, dcv1.ReasonFieldInvalid, "spec.mounts[0].tmpfs.options[0]: "},
		"platform":             {`placement: {platforms: [{architecture: amd64}]}`, dcv1.ReasonFieldInvalid, "spec.placement.platforms[0].os: "},
		"constraint":           {`placement: {constraints: ["node.role == worker", "node.labels.a == b@c"]}`, dcv1.ReasonFieldInvalid, `spec.placement.constraints[1]: Invalid value: "node.labels.a == b@c": must be a key`},
		"constraint quoted":    {`placement: {constraints: ['node.labels.a == "ssd"']}`, dcv1.ReasonFieldInvalid, "without quotes"},
		"constraint key":       {`placement: {constraints: ["node labels == b"]}`, dcv1.ReasonFieldInvalid, "spec.placement.constraints[0]: "},
		"enum":                 {`updateConfig: {order: Sideways}`, dcv1.ReasonFieldInvalid, "spec.updateConfig.order: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			spec := parse(t, tt.spec)
			_, err := Build(&spec, Inputs{ServiceName: "web", Secrets: map[string]Object{"a": {"id", "known"}}})
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("error %v", err)
			}
			if faults.Reason() != tt.reason || !strings.Contains(err.Error(), tt.says) || len(faults) != 1 {
				t.Errorf("%d faults, %s: %v\nwant one, %s that says %s", len(faults), faults.Reason(), err, tt.reason, tt.says)
			}
		})
	}
}

func TestServiceNames(t *testing.T) {
	for name, good := range map[string]bool{
		"web": true, "Web_1-x": true, strings.Repeat("x", 63): true,
		"": false, "a.b": false, "-a": false, "a-": false, "_a": false, "ä": false, strings.Repeat("x", 64): false,
	} {
		spec := parse(t, "")
		_, err := Build(&spec, Inputs{ServiceName: name})
		var faults Faults
		if errors.As(err, &faults) == good || !good && faults.Reason() != dcv1.ReasonServiceNameInvalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestAllFaultsAtOnce: a user learns of every fault, within bounds.
func TestAllFaultsAtOnce(t *testing.T) {
	spec := parse(t, `{image: "", networks: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}], replicas: -1}`)
	_, err := Build(&spec, Inputs{ServiceName: "web"})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 7 || len(faults.List()) != 7 || !strings.HasSuffix(err.Error(), "; and 2 more") {
		t.Errorf("%d faults: %v", len(faults), err)
	}
}

// TestOptionalSources: what is missing and may be is left out.
func TestOptionalSources(t *testing.T) {
	spec := parse(t, `
env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k, optional: true}}}, {name: B, value: x}]
secrets: [{target: a, secretKeyRef: {name: s, key: k, optional: true}}]
configs: [{target: a, configMapKeyRef: {name: s, key: k, optional: true}}]
`)
	c := mustBuild(t, spec, Inputs{ServiceName: "web"}).Spec.TaskTemplate.ContainerSpec
	if len(c.Env) != 1 || c.Env[0] != "B=x" || len(c.Secrets)+len(c.Configs) > 0 {
		t.Errorf("env %q, %d secrets, %d configs", c.Env, len(c.Secrets), len(c.Configs))
	}
}

// TestBuild: a spec as a user writes it, and what goes to the engine.
func TestBuild(t *testing.T) {
	spec := parse(t, `
mode: ReplicatedJob
replicas: 10
maxConcurrent: 2
labels: {a: b}
env: [{name: PLAIN, value: x}, {name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}, {name: HOME, unset: true}]
secrets: [{target: key, secretKeyRef: {name: s, key: k}}]
networks: [{name: back, aliases: [www]}]
capabilities: {add: [net_admin, CAP_SYS_TIME, ALL]}
mounts: [{type: Tmpfs, target: /t, tmpfs: {size: 1Mi, options: [noexec, uid=5]}}]
extraHosts: [{ip: 10.0.0.1, hostnames: [a, b]}]
`)
	d := mustBuild(t, spec, Inputs{
		ServiceName: "web", Image: "busybox:1" + digest, Owner: Owner{UID: "u1", Namespace: "shop", Name: "web"},
		Env: map[string]string{"TOKEN": "t=1"}, Secrets: map[string]Object{"key": {"sid", "web-x"}}, Networks: map[string]string{"back": "nid"},
	})
	want := swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: "web", Labels: map[string]string{"a": "b", "dockercontrol.dev/owner-uid": "u1",
			"dockercontrol.dev/owner-namespace": "shop", "dockercontrol.dev/owner-name": "web"}},
		Mode: swarm.ServiceMode{ReplicatedJob: &swarm.ReplicatedJob{MaxConcurrent: ptr.To[uint64](2), TotalCompletions: ptr.To[uint64](10)}},
	}
	if diff := cmp.Diff(want.Annotations, d.Spec.Annotations); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want.Mode, d.Spec.Mode); diff != "" {
		t.Error(diff)
	}
	c := d.Spec.TaskTemplate.ContainerSpec
	for what, pair := range map[string][2]any{
		"image":        {c.Image, "busybox:1" + digest},
		"env":          {c.Env, []string{"PLAIN=x", "TOKEN=t=1", "HOME"}},
		"capabilities": {c.CapabilityAdd, []string{"CAP_NET_ADMIN", "CAP_SYS_TIME", "ALL"}},
		"hosts":        {c.Hosts, []string{"10.0.0.1 a", "10.0.0.1 b"}},
		"tmpfs":        {c.Mounts[0].TmpfsOptions.Options, [][]string{{"noexec"}, {"uid", "5"}}},
		"networks":     {d.Spec.TaskTemplate.Networks, []swarm.NetworkAttachmentConfig{{Target: "nid", Aliases: []string{"www"}}}},
		"secret": {*c.Secrets[0], swarm.SecretReference{SecretID: "sid", SecretName: "web-x",
			File: &swarm.SecretReferenceFileTarget{Name: "key", UID: "0", GID: "0", Mode: 0o444}}},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
	}
}

// newerSpecs use each of the fields that engines may lack.
var newerSpecs = map[string]struct{ spec, since string }{
	"spec.mode":                       {`mode: GlobalJob`, "1.41"},
	"spec.capabilities":               {`capabilities: {add: [ALL]}`, "1.41"},
	"spec.ulimits":                    {`ulimits: [{name: nofile, soft: 1, hard: 2}]`, "1.41"},
	"spec.resources.limits.pids":      {`resources: {limits: {pids: 5}}`, "1.41"},
	"spec.mounts":                     {`mounts: [{type: Cluster, source: v, target: /v}]`, "1.42"},
	"spec.healthcheck.startInterval":  {`healthcheck: {startInterval: 5s}`, "1.44"},
	"spec.privileges.seccomp":         {`privileges: {seccomp: {mode: Unconfined}}`, "1.44"},
	"spec.privileges.appArmor":        {`privileges: {appArmor: Disabled}`, "1.44"},
	"spec.privileges.noNewPrivileges": {`privileges: {noNewPrivileges: true}`, "1.44"},
	"spec.mounts[*].volume.subpath":   {`mounts: [{type: Volume, source: v, target: /v, volume: {subpath: x}}]`, "1.45"},
	"spec.mounts[*].tmpfs.options":    {`mounts: [{type: Tmpfs, target: /v, tmpfs: {options: [noexec]}}]`, "1.46"},
	"spec.oomScoreAdj":                {`oomScoreAdj: 5`, "1.46"},
	"spec.resources.memorySwap":       {`resources: {limits: {memory: 1Gi}, memorySwap: 0}`, "1.52"},
	"spec.resources.memorySwappiness": {`resources: {memorySwappiness: 0}`, "1.52"},
}

// TestOldEngines: what an engine would drop is refused, each with its version.
func TestOldEngines(t *testing.T) {
	if len(newerSpecs) != len(newer) {
		t.Errorf("%d tests of %d fields", len(newerSpecs), len(newer))
	}
	for path, tt := range newerSpecs {
		t.Run(path, func(t *testing.T) {
			spec := parse(t, tt.spec)
			_, err := Build(&spec, Inputs{ServiceName: "web", APIVersion: "1.40"})
			want := path + ": Forbidden: needs version " + tt.since + " of the Docker API, and the engine speaks 1.40: leave it out, or update the engine"
			var faults Faults
			if !errors.As(err, &faults) || faults.Reason() != dcv1.ReasonEngineTooOld || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
			for _, version := range []string{tt.since, "1.100", "2.0", ""} {
				if _, err := Build(&spec, Inputs{ServiceName: "web", APIVersion: version}); err != nil {
					t.Errorf("version %q: %v", version, err)
				}
			}
		})
	}
}
