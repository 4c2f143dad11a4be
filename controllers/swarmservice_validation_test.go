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
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// swarmServiceYAML is a SwarmService as a user writes it: with what spec says, in
// lines without their indent, on top of the least there must be.
func swarmServiceYAML(t *testing.T, ns, name, spec string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	merged := map[string]any{"hostRef": map[string]any{"name": "swarm-01"}, "image": "nginx:1.29"}
	if err := yaml.Unmarshal([]byte(spec), &merged); err != nil {
		t.Fatalf("%v in\n%s", err, spec)
	}
	// Through JSON once more, for numbers as an API client sends them.
	data, err := yaml.Marshal(map[string]any{"spec": merged})
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &u.Object); err != nil {
		t.Fatal(err)
	}
	u.SetGroupVersionKind(dcv1.GroupVersion.WithKind("SwarmService"))
	u.SetNamespace(ns)
	if name == "" {
		u.SetGenerateName("v-")
	} else {
		u.SetName(name)
	}
	return u
}

// TestSwarmServiceValidation applies specs to a real API server: each is refused with
// a sentence that names the field, or taken.
func TestSwarmServiceValidation(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	tests := map[string]struct {
		spec string
		says string // "" for a spec that is taken
	}{
		"least":          {``, ""},
		"zero replicas":  {`replicas: 0`, ""},
		"global":         {`mode: Global`, ""},
		"job":            {"mode: ReplicatedJob\nreplicas: 10\nmaxConcurrent: 2", ""},
		"global job":     {`mode: GlobalJob`, ""},
		"labels":         {`labels: {a: b, traefik.enable: "true"}`, ""},
		"all of cpu":     {`resources: {limits: {cpu: 1, memory: 4Mi}, memorySwap: -1}`, ""},
		"quantities":     {`resources: {limits: {cpu: 1500m, memory: 1Gi}, reservations: {cpu: "0.5", memory: "67108864"}, memorySwap: 0}`, ""},
		"constraints":    {`placement: {constraints: ["node.role == worker", "node.labels.zone!=b", "node.hostname==n1"]}`, ""},
		"odd constraint": {`placement: {constraints: ['engine.labels.a-b_c ==Ab 9:-_.*()?+[]\^$|/ ', "node.ip!=10.0.0.0/8"]}`, ""},
		"host ports":     {"endpointMode: DNSRoundRobin\nports: [{targetPort: 80, publishedPort: 80, publishMode: Host}]", ""},
		"same port":      {"ports: [{targetPort: 53, publishedPort: 53}, {targetPort: 53, publishedPort: 53, protocol: UDP}]", ""},
		"chosen ports":   {"ports: [{targetPort: 80}, {targetPort: 81}]", ""},
		"update":         {`updateConfig: {parallelism: 0, maxFailureRatio: "0.25", failureAction: Rollback, delay: 1m30s}`, ""},
		"env":            {`env: [{name: A}, {name: B, value: ""}, {name: C, unset: true}, {name: D, valueFrom: {secretKeyRef: {name: s, key: k}}}]`, ""},
		"mounts":         {`mounts: [{type: Bind, source: /srv, target: /a}, {type: Volume, target: /b}, {type: Tmpfs, target: /c, tmpfs: {size: 64Mi, mode: 01777, options: [noexec, uid=5]}}, {type: Cluster, source: v, target: /d}]`, ""},
		"files":          {`secrets: [{target: a, secretName: s, mode: 0400}, {target: b, secretKeyRef: {name: s, key: k}, uid: "5"}]`, ""},
		"config files":   {`configs: [{target: /a, configName: s}, {target: /b, configMapKeyRef: {name: s, key: k.conf}}]`, ""},
		"health":         {`healthcheck: {test: [CMD-SHELL, "true"], interval: 1s}`, ""},
		"no health":      {`healthcheck: {test: [NONE]}`, ""},
		"ulimits":        {`ulimits: [{name: nofile, soft: 1024, hard: 4096}, {name: core, soft: 0, hard: -1}, {name: nproc, soft: -1, hard: -1}]`, ""},
		"dns":            {`dns: {nameservers: [1.1.1.1, "2001:db8::1"], searches: [example.com], options: ["ndots:2"]}`, ""},
		"capabilities":   {`capabilities: {add: [NET_ADMIN, CAP_SYS_TIME], drop: [ALL]}`, ""},
		"privileges":     {`privileges: {noNewPrivileges: true, seccomp: {mode: Custom, profile: "{}"}, appArmor: Disabled}`, ""},
		"credentials":    {`privileges: {credentialSpec: {file: a.json}}`, ""},
		"generic":        {`resources: {reservations: {generic: [{kind: GPU, count: 2}, {kind: SSD, count: 1}]}}`, ""},
		"network":        {`networks: [{name: back, aliases: [a], createIfMissing: {subnets: [{subnet: 10.9.0.0/24, ipRange: 10.9.0.128/25, gateway: 10.9.0.1}]}}]`, ""},
		"rollback":       {`rollbackConfig: {failureAction: Continue}`, ""},
		"job no restart": {"mode: ReplicatedJob\nrestartPolicy: {condition: None}", ""},

		"no host":                      {`hostRef: null`, "spec.hostRef"},
		"bad host":                     {`hostRef: {name: "../x"}`, "must be the name of a DockerHost"},
		"no image":                     {`image: ""`, "spec.image"},
		"image with a space":           {`image: "a b"`, "spec.image"},
		"bad service name":             {`serviceName: a.b`, "spec.serviceName"},
		"long service name":            {`serviceName: ` + strings.Repeat("a", 64), "spec.serviceName"},
		"unknown mode":                 {`mode: Sometimes`, "spec.mode"},
		"global with replicas":         {"mode: Global\nreplicas: 3", "spec.replicas goes with mode Replicated or ReplicatedJob only"},
		"global job with replicas":     {"mode: GlobalJob\nreplicas: 0", "spec.replicas goes with mode"},
		"negative replicas":            {`replicas: -1`, "spec.replicas"},
		"too many replicas":            {`replicas: 3000000000`, "spec.replicas"},
		"concurrent without job":       {`maxConcurrent: 2`, "spec.maxConcurrent goes with mode ReplicatedJob only"},
		"concurrent zero":              {"mode: ReplicatedJob\nmaxConcurrent: 0", "spec.maxConcurrent"},
		"job with update":              {"mode: ReplicatedJob\nupdateConfig: {parallelism: 2}", "spec.updateConfig goes with mode Replicated or Global only"},
		"job with rollback":            {"mode: GlobalJob\nrollbackConfig: {parallelism: 2}", "spec.rollbackConfig goes with mode"},
		"global with max per node":     {"mode: Global\nplacement: {maxReplicasPerNode: 2}", "spec.placement.maxReplicasPerNode goes with"},
		"owner label":                  {`labels: {dockercontrol.dev/owner-uid: x}`, "spec.labels"},
		"long label":                   {`labels: {a: ` + strings.Repeat("x", 8193) + `}`, "spec.labels"},
		"ingress without a VIP":        {"endpointMode: DNSRoundRobin\nports: [{targetPort: 80}]", "spec.ports: with spec.endpointMode DNSRoundRobin"},
		"port twice":                   {"ports: [{targetPort: 80, publishedPort: 80}, {targetPort: 81, publishedPort: 80}]", "a publishedPort and its protocol can be used once only"},
		"equal ports":                  {"ports: [{targetPort: 80}, {targetPort: 80}]", "Duplicate value"},
		"port 0":                       {"ports: [{targetPort: 0}]", "targetPort"},
		"port 65536":                   {"ports: [{targetPort: 80, publishedPort: 65536}]", "publishedPort"},
		"rollback of a rollback":       {`rollbackConfig: {failureAction: Rollback}`, "spec.rollbackConfig.failureAction must be Pause or Continue"},
		"ratio over 1":                 {`updateConfig: {maxFailureRatio: "1.5"}`, "maxFailureRatio"},
		"monitor 0":                    {`updateConfig: {monitor: 0s}`, "monitor must be more than 0s"},
		"monitor for ever":             {`updateConfig: {monitor: 9000h}`, "monitor must be more than 0s and at most"},
		"delay for ever":               {`updateConfig: {delay: 9000h}`, "delay must be at most 8760h"},
		"negative delay":               {`restartPolicy: {delay: -1s}`, "spec.restartPolicy.delay"},
		"restart delay for ever":       {`restartPolicy: {delay: 9000h}`, "spec.restartPolicy.delay must be at most"},
		"restart window for ever":      {`restartPolicy: {window: 9000h}`, "spec.restartPolicy.window must be at most"},
		"grace for ever":               {`stopGracePeriod: 9000h`, "spec.stopGracePeriod must be at most"},
		"cpu too small":                {`resources: {limits: {cpu: 100u}}`, "spec.resources.limits.cpu must be from 1m"},
		"cpu overflow":                 {`resources: {limits: {cpu: 10G}}`, "spec.resources.limits.cpu must be from 1m to 1M"},
		"memory too small":             {`resources: {limits: {memory: 4M}}`, "spec.resources.limits.memory must be from 4Mi"},
		"memory overflow":              {`resources: {limits: {memory: 16Ei}}`, "spec.resources.limits.memory must be from 4Mi to 4Ei"},
		"reserved cpu overflow":        {`resources: {reservations: {cpu: 10G}}`, "spec.resources.reservations.cpu"},
		"reserved memory negative":     {`resources: {reservations: {memory: -1}}`, "spec.resources.reservations.memory"},
		"no quantity":                  {`resources: {limits: {memory: lots}}`, "spec.resources.limits.memory"},
		"swap without a limit":         {`resources: {memorySwap: 1Gi}`, "spec.resources.memorySwap goes with spec.resources.limits.memory only"},
		"swap below -1":                {`resources: {limits: {memory: 1Gi}, memorySwap: -2}`, "spec.resources.memorySwap must be -1 or"},
		"generic without":              {`resources: {reservations: {generic: [{kind: GPU}]}}`, "spec.resources.reservations.generic[0].count"},
		"generic of none":              {`resources: {reservations: {generic: [{kind: GPU, count: 0}]}}`, "spec.resources.reservations.generic[0].count"},
		"generic by name":              {`resources: {reservations: {generic: [{kind: SSD, value: sda1}]}}`, "spec.resources.reservations.generic[0].count"},
		"bad constraint":               {`placement: {constraints: ["node.role worker"]}`, "spec.placement.constraints"},
		"constraint with less":         {`placement: {constraints: ["node.labels.x < 3"]}`, "spec.placement.constraints"},
		"constraint with @":            {`placement: {constraints: ["node.labels.a == b@c"]}`, "spec.placement.constraints"},
		"constraint with quotes":       {`placement: {constraints: ['node.labels.a == "ssd"']}`, "spec.placement.constraints"},
		"constraint with a comma":      {`placement: {constraints: ["node.labels.a == b,c"]}`, "spec.placement.constraints"},
		"constraint without a value":   {`placement: {constraints: ["node.labels.a == "]}`, "spec.placement.constraints"},
		"empty platform":               {`placement: {platforms: [{}]}`, "spec.placement.platforms"},
		"env with =":                   {`env: [{name: "A=B"}]`, "spec.env"},
		"env twice":                    {`env: [{name: A}, {name: A}]`, "Duplicate value"},
		"env of two sources":           {`env: [{name: A, value: x, valueFrom: {secretKeyRef: {name: s, key: k}}}]`, "only one of value, valueFrom and unset"},
		"env unset with a value":       {`env: [{name: A, value: x, unset: true}]`, "only one of value, valueFrom and unset"},
		"env from nothing":             {`env: [{name: A, valueFrom: {}}]`, "valueFrom must have one of"},
		"env from two":                 {`env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}, configMapKeyRef: {name: s, key: k}}}]`, "valueFrom must have one of"},
		"bind without a source":        {`mounts: [{type: Bind, target: /a}]`, "source is required with this type"},
		"tmpfs with a source":          {`mounts: [{type: Tmpfs, source: x, target: /a}]`, "source does not go with type Tmpfs"},
		"volume options of a bind":     {`mounts: [{type: Bind, source: /a, target: /a, volume: {noCopy: true}}]`, "volume goes with type Volume only"},
		"bind options of a volume":     {`mounts: [{type: Volume, target: /a, bind: {nonRecursive: true}}]`, "bind goes with type Bind only"},
		"tmpfs options of a volume":    {`mounts: [{type: Volume, target: /a, tmpfs: {size: 1Mi}}]`, "tmpfs goes with type Tmpfs only"},
		"target twice":                 {`mounts: [{type: Tmpfs, target: /a}, {type: Volume, target: /a}]`, "Duplicate value"},
		"image mount":                  {`mounts: [{type: Image, source: x, target: /a}]`, "spec.mounts"},
		"secret of two sources":        {`secrets: [{target: a, secretName: s, secretKeyRef: {name: s, key: k}}]`, "spec.secrets must have one of"},
		"secret of none":               {`secrets: [{target: a}]`, "spec.secrets must have one of"},
		"config of two sources":        {`configs: [{target: a, configName: s, configMapKeyRef: {name: s, key: k}}]`, "spec.configs must have one of"},
		"mode too wide":                {`secrets: [{target: a, secretName: s, mode: 010000}]`, "mode"},
		"health in words":              {`healthcheck: {test: [curl, localhost]}`, "spec.healthcheck.test must be"},
		"health NONE and more":         {`healthcheck: {test: [NONE, x]}`, "spec.healthcheck.test must be"},
		"health of nothing":            {`healthcheck: {test: [CMD]}`, "spec.healthcheck.test must be"},
		"health interval 0":            {`healthcheck: {interval: 0s}`, "spec.healthcheck.interval must be"},
		"health timeout too long":      {`healthcheck: {timeout: 9000h}`, "spec.healthcheck.timeout must be"},
		"health start period too long": {`healthcheck: {startPeriod: 9000h}`, "spec.healthcheck.startPeriod must be"},
		"health start interval 0":      {`healthcheck: {startInterval: 0s}`, "spec.healthcheck.startInterval must be"},
		"soft over hard":               {`ulimits: [{name: nofile, soft: 10, hard: 5}]`, "soft must be at most hard"},
		"soft without a limit":         {`ulimits: [{name: nofile, soft: -1, hard: 5}]`, "soft must be at most hard"},
		"unknown ulimit":               {`ulimits: [{name: files, soft: 1, hard: 5}]`, "spec.ulimits"},
		"no nameserver":                {`dns: {nameservers: [one.one.one.one]}`, "spec.dns.nameservers must be IP addresses"},
		"custom without a profile":     {`privileges: {seccomp: {mode: Custom}}`, "profile is required with mode Custom"},
		"profile without custom":       {`privileges: {seccomp: {mode: Default, profile: "{}"}}`, "profile is required with mode Custom"},
		"credentials of two sources":   {`privileges: {credentialSpec: {file: a, registry: b}}`, "credentialSpec must have one of"},
		"bad subnet":                   {`networks: [{name: net, createIfMissing: {subnets: [{subnet: 10.0.0.0}]}}]`, "subnet must be a range"},
		"bad range":                    {`networks: [{name: net, createIfMissing: {subnets: [{subnet: 10.0.0.0/8, ipRange: 10.0.0.0}]}}]`, "ipRange must be a range"},
		"bad gateway":                  {`networks: [{name: net, createIfMissing: {subnets: [{subnet: 10.0.0.0/8, gateway: gw.example}]}}]`, "gateway must be an IP address"},
		"network twice":                {`networks: [{name: net}, {name: net}]`, "Duplicate value"},
		"endless command":              {`command: ["` + strings.Repeat("x", 65537) + `"]`, "spec.command"},
		"empty log driver":             {`logDriver: {}`, "spec.logDriver"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := cluster.Client.Create(t.Context(), swarmServiceYAML(t, ns, "", tt.spec))
			wantRefusal(t, err, tt.says)
		})
	}
}

func wantRefusal(t *testing.T, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("refused: %v", err)
	case says != "" && err == nil:
		t.Errorf("taken, want a refusal that says %q", says)
	case says != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), says)):
		t.Errorf("error = %v, want Invalid that says %q", err, says)
	}
}

// TestSwarmServiceNames: an object whose name cannot be a service's has to name one.
func TestSwarmServiceNames(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	long := strings.Repeat("n", 64)
	tests := map[string]struct{ name, spec, says string }{
		"plain":             {"web", ``, ""},
		"dot":               {"web.shop", ``, "spec.serviceName is required"},
		"long":              {long, ``, "spec.serviceName is required"},
		"dot with a name":   {"web.store", `serviceName: web_store`, ""},
		"long with a name":  {long, `serviceName: short`, ""},
		"longest that goes": {long[:63], ``, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, cluster.Client.Create(t.Context(), swarmServiceYAML(t, ns, tt.name, tt.spec)), tt.says)
		})
	}
}

// TestSwarmServiceImmutable: the engine can change neither name nor mode.
func TestSwarmServiceImmutable(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	tests := map[string]struct{ before, after, says string }{
		"mode":               {``, `mode: Global`, "spec.mode cannot change"},
		"mode of a job":      {`mode: ReplicatedJob`, `mode: Replicated`, "spec.mode cannot change"},
		"service name":       {`serviceName: a`, `serviceName: b`, "spec.serviceName cannot change"},
		"name taken away":    {`serviceName: a`, ``, "spec.serviceName cannot change"},
		"name given":         {``, `serviceName: b`, "spec.serviceName cannot change"},
		"its own name given": {``, `serviceName: own`, ""},
		"host":               {``, `hostRef: {name: swarm-02}`, ""},
		"replicas":           {``, `replicas: 7`, ""},
		"image":              {``, `image: nginx:1.30`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			own := "own"
			if tt.after != `serviceName: own` {
				own = "im-" + strings.ReplaceAll(name, " ", "-")
			}
			before := swarmServiceYAML(t, ns, own, tt.before)
			cluster.Create(t, before)
			after := swarmServiceYAML(t, ns, own, tt.after)
			after.SetResourceVersion(before.GetResourceVersion())
			wantRefusal(t, cluster.Client.Update(t.Context(), after), tt.says)
		})
	}
}

func TestSwarmServiceDefaults(t *testing.T) {
	cluster := testenv.Start(t)
	u := swarmServiceYAML(t, cluster.Namespace(t), "plain", `
updateConfig: {}
restartPolicy: {}
ports: [{targetPort: 80}]
secrets: [{target: a, secretName: s}]
networks: [{name: net, createIfMissing: {}}]
`)
	cluster.Create(t, u)
	s := getSwarmService(t, cluster, u)
	spec := s.Spec
	if spec.Mode != dcv1.SwarmReplicated || *spec.Replicas != 1 || spec.DeletionPolicy != dcv1.SwarmDeletionDelete ||
		spec.AdoptionPolicy != dcv1.SwarmAdoptionNever || spec.DriftPolicy != dcv1.SwarmDriftCorrect {
		t.Errorf("spec = %+v", spec)
	}
	if u := spec.UpdateConfig; *u.Parallelism != 1 || u.FailureAction != dcv1.SwarmFailurePause || u.Order != dcv1.SwarmStopFirst ||
		u.MaxFailureRatio != "0" || u.Monitor.Seconds() != 5 {
		t.Errorf("updateConfig = %+v", u)
	}
	if spec.RestartPolicy.Condition != dcv1.SwarmRestartAny {
		t.Errorf("restartPolicy = %+v", spec.RestartPolicy)
	}
	if p := spec.Ports[0]; p.Protocol != dcv1.SwarmTCP || *p.PublishedPort != 0 || p.PublishMode != dcv1.SwarmPublishIngress {
		t.Errorf("port = %+v", p)
	}
	if f := spec.Secrets[0]; f.UID != "0" || f.GID != "0" || *f.Mode != 0o444 {
		t.Errorf("secret = %+v", f)
	}
	if d := spec.Networks[0].CreateIfMissing.Driver; d != "overlay" {
		t.Errorf("driver = %q", d)
	}
}
