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
	"net/http"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// patience bounds the calls of a test: two busy cores, other engines beside.
const patience = 10 * time.Minute

// manager is a real swarm of one node.
type manager struct {
	testing.TB
	docker  *testbed.Dockerd
	ctx     context.Context
	engine  engine.Engine
	version string // of the API, as negotiated
	ids     ids
}

// TestDockerd is against Debian's engine, which speaks an old API, TestModernDockerd against
// the newest.
func TestDockerd(t *testing.T) { testManager(t, false) }

func TestModernDockerd(t *testing.T) { testManager(t, true) }

func testManager(t *testing.T, modern bool) {
	t.Parallel()
	m := startManager(t, modern)
	for _, test := range []struct {
		name string
		run  func(*manager)
	}{
		{"no drift after creation", (*manager).testNoDrift},
		{"every change is seen", (*manager).testEveryChange},
		{"versions", (*manager).testVersions},
		{"what the docker CLI makes", (*manager).testCLI},
		{"a rename is refused", (*manager).testRename},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := *m
			in.TB = t
			test.run(&in)
		})
	}
}

func startManager(t *testing.T, modern bool) *manager {
	t.Helper()
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Swarm: true, Modern: modern})
	d.ImportBusybox(t, "busybox:1")
	ep, err := engine.ParseEndpoint(d.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	p, err := moby.Connector{}.Prepare(engine.Config{Endpoint: ep, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	m := &manager{TB: t, docker: d, ctx: ctx, engine: p.Open()}
	t.Cleanup(func() { _ = m.engine.Close() })
	ping, err := m.engine.Ping(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m.version = ping.APIVersion
	if engine.CompareAPIVersions(m.version, engine.MaxAPIVersion) > 0 {
		m.version = engine.MaxAPIVersion
	}
	object := func(path string, body map[string]any) string {
		var v struct{ ID, Id string }
		if err := json.Unmarshal(d.Call(t, http.MethodPost, path, body), &v); err != nil {
			t.Fatal(err)
		}
		return v.ID + v.Id
	}
	data := base64.StdEncoding.EncodeToString([]byte("x"))
	m.ids = ids{
		secret:  object("/secrets/create", map[string]any{"Name": "s1", "Data": data}),
		config:  object("/configs/create", map[string]any{"Name": "c1", "Data": data}),
		network: object("/networks/create", map[string]any{"Name": "back", "Driver": "overlay"}),
	}
	return m
}

// must ends the test where something unexpected went wrong.
func (m *manager) must(what string, err error) {
	m.Helper()
	if err != nil {
		m.Fatalf("%s: %v", what, err)
	}
}

func (m *manager) service(id string) swarm.Service {
	m.Helper()
	raw, err := m.engine.Inspect(m.ctx, engine.Services, id)
	m.must("inspect", err)
	var v swarm.Service
	m.must("inspect", json.Unmarshal(raw, &v))
	return v
}

func (m *manager) create(spec swarm.ServiceSpec) string {
	m.Helper()
	id, err := m.engine.ServiceCreate(m.ctx, spec)
	m.must("create "+spec.Name, err)
	m.Cleanup(func() {
		if err := m.engine.ServiceRemove(context.WithoutCancel(m.ctx), id); err != nil {
			m.Errorf("remove: %v", err)
		}
	})
	return id
}

func (m *manager) update(what, id string, spec swarm.ServiceSpec) {
	m.Helper()
	m.must(what, m.tryUpdate(id, spec))
}

// tryUpdate writes a spec. The swarm itself writes to a service, its addresses for one, so a
// version may be old by the time it is used.
func (m *manager) tryUpdate(id string, spec swarm.ServiceSpec) error {
	m.Helper()
	for {
		err := m.engine.ServiceUpdate(m.ctx, id, m.service(id).Version.Index, spec)
		if !engine.IsConflict(err) || m.ctx.Err() != nil {
			return err
		}
	}
}

// testNoDrift: what was just created is what the spec says, whatever the engine makes of it.
func (m *manager) testNoDrift() {
	specs := map[string]string{
		"least":      ``,
		"replicas":   `{replicas: 2, command: [sleep, "1000"]}`,
		"global":     `{mode: Global, command: [sleep, "1000"]}`,
		"job":        `{mode: ReplicatedJob, replicas: 2, command: ["true"], restartPolicy: {condition: None}}`,
		"global-job": `{mode: GlobalJob, command: ["true"]}`,
		"env":        `{env: [{name: B, value: b}, {name: A}, {name: PATH, unset: true}]}`,
		"labels":     `{labels: {z: "1", a: "2"}, containerLabels: {z: "1", a: "2"}}`,
		"mounts":     `{mounts: [{type: Volume, target: /v, source: v, volume: {}}, {type: Bind, source: /tmp, target: /t, bind: {}}, {type: Tmpfs, target: /r, tmpfs: {}}, {type: Volume, target: /anonymous}]}`,
		"ports":      `{endpointMode: DNSRoundRobin, ports: [{targetPort: 81, publishMode: Host}, {targetPort: 80, publishedPort: 8080, publishMode: Host}, {targetPort: 80, publishedPort: 8080, protocol: UDP, publishMode: Host}]}`,
		"ingress":    `{replicas: 0, ports: [{targetPort: 81}, {targetPort: 80, publishedPort: 8081}]}`,
		"empty":      `{resources: {limits: {}, reservations: {}}, placement: {}, restartPolicy: {}, updateConfig: {}, rollbackConfig: {}, healthcheck: {}, dns: {}, capabilities: {}, privileges: {}}`,
		"zero":       `{stopGracePeriod: 0s, restartPolicy: {delay: 0s}, updateConfig: {parallelism: 0, delay: 0s}, init: false, forceUpdate: 0}`,
		"update":     `{updateConfig: {maxFailureRatio: "0.1", monitor: 1ms}, rollbackConfig: {maxFailureRatio: "0.3333333"}}`,
		"resources":  `{resources: {limits: {cpu: 1m, memory: 5M}, reservations: {cpu: 333m, generic: [{kind: GPU, count: 1}]}}}`,
		"placement":  `{placement: {constraints: ["node.role==manager", "  node.labels.b   !=  c "], platforms: [{os: linux, architecture: aarch64}]}}`,
		"network":    `{replicas: 0, networks: [{name: back, aliases: [b, a], driverOptions: {k: v}}]}`,
		"files":      `{replicas: 0, secrets: [{target: a, secretName: s1}, {target: b, secretName: s1, uid: "5", mode: 0400}], configs: [{target: /c, configName: c1}]}`,
		"dns":        `{dns: {nameservers: ["2001:DB8::0:1", 1.1.1.1], options: ["ndots:1"]}, extraHosts: [{ip: 10.0.0.1, hostnames: [b, a]}]}`,
		"security":   `{capabilities: {add: [net_admin], drop: [ALL]}, ulimits: [{name: core, soft: 0, hard: -1}], sysctls: {net.core.somaxconn: "10"}}`,
		"log":        `{logDriver: {options: {max-size: 1m}}}`,
	}
	for name, text := range specs {
		spec := parse(m, text)
		in := Inputs{
			ServiceName: name, APIVersion: m.version, Owner: Owner{UID: "u", Namespace: "ns", Name: name},
			Networks: map[string]string{"back": m.ids.network},
			Secrets:  map[string]Object{"a": {m.ids.secret, "s1"}, "b": {m.ids.secret, "s1"}},
			Configs:  map[string]Object{"/c": {m.ids.config, "c1"}},
		}
		d := mustBuild(m, spec, in)
		got := m.service(m.create(d.Spec))
		if diff := d.Diff(got.Spec); !diff.Empty() {
			m.Errorf("%s: drift right after creation: %s", name, diff)
		}
		// And the other way round: adopted as it is, there is nothing to change.
		read, notes := Read(got.Spec, Names{Networks: map[string]string{m.ids.network: "back"}})
		if len(notes) > 0 {
			m.Errorf("%s: notes %q", name, notes)
		}
		if diff := mustBuild(m, read, in).Diff(got.Spec); !diff.Empty() {
			m.Errorf("%s: drift from what was read: %s", name, diff)
		}
	}
}

// testVersions: the table of what engines lack is true. What this one lacks by the table, it
// drops or refuses; and what it has by the table comes back as it was written.
func (m *manager) testVersions() {
	for path, tt := range newerSpecs {
		spec := parse(m, tt.spec+"\n")
		if spec.Mode == "" {
			spec.Replicas = new(int32)
		}
		name := "v" + strings.Map(func(r rune) rune {
			if strings.ContainsRune(".[]*", r) {
				return '-'
			}
			return r
		}, strings.TrimPrefix(path, "spec")) + "x"
		d := mustBuild(m, spec, Inputs{ServiceName: name})
		id, err := m.engine.ServiceCreate(m.ctx, d.Spec)
		kept := err == nil
		if kept {
			kept = d.Diff(m.service(id).Spec).Empty()
			m.must("remove", m.engine.ServiceRemove(m.ctx, id))
		}
		if has := engine.CompareAPIVersions(m.version, tt.since) >= 0; has != kept {
			m.Errorf("%s is of API %s, the engine speaks %s: it keeps it: %v (%v)", path, tt.since, m.version, kept, err)
		}
	}
}

// cli runs the docker CLI.
func (m *manager) cli(args ...string) {
	m.Helper()
	for {
		cmd := exec.CommandContext(m.ctx, "docker", append([]string{"--host", m.docker.Endpoint()}, args...)...)
		out, err := cmd.CombinedOutput()
		if err == nil {
			return
		}
		// As in tryUpdate: the CLI does not try again.
		if !strings.Contains(string(out), "update out of sequence") || m.ctx.Err() != nil {
			m.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// testCLI: a service that was made by hand, and changed by hand.
func (m *manager) testCLI() {
	tests := map[string]struct{ flags, spec string }{
		"cli-least": {``, ``},
		"cli-full": {`--env A=b --env C= --label x=y --container-label z=1 --mount type=volume,source=v,target=/v --mount type=bind,source=/tmp,target=/t,readonly
			--publish mode=host,target=80,published=8089 --limit-memory 64M --limit-cpu 0.5 --reserve-memory 32M --limit-pids 50
			--constraint node.role==manager --placement-pref spread=node.labels.zone --health-cmd true --health-interval 5s --cap-add NET_ADMIN
			--cap-drop all --host one:10.0.0.1 --dns 1.1.1.1 --dns-search example.com --dns-option ndots:2 --update-order start-first
			--update-failure-action rollback --update-max-failure-ratio 0.25 --rollback-parallelism 0 --restart-condition on-failure --restart-max-attempts 3
			--stop-grace-period 20s --stop-signal SIGINT --hostname h --ulimit nofile=1:2 --sysctl net.core.somaxconn=5 --user 5:6 --group 7
			--workdir /srv --read-only --tty --init --log-driver json-file --log-opt max-size=1m --endpoint-mode dnsrr --replicas-max-per-node 3
			--network name=back,alias=www --secret source=s1,target=key,uid=5,mode=0400 --config source=c1,target=/conf --entrypoint sleep`,
			`
env: [{name: A, value: b}, {name: C}]
labels: {x: "y"}
containerLabels: {z: "1"}
mounts: [{type: Volume, source: v, target: /v}, {type: Bind, source: /tmp, target: /t, readOnly: true}]
ports: [{targetPort: 80, publishedPort: 8089, publishMode: Host}]
endpointMode: DNSRoundRobin
resources: {limits: {cpu: 500m, memory: 64Mi, pids: 50}, reservations: {memory: 32Mi}}
placement: {constraints: [node.role == manager], spread: [node.labels.zone], maxReplicasPerNode: 3}
healthcheck: {test: [CMD-SHELL, "true"], interval: 5s}
capabilities: {add: [NET_ADMIN], drop: [ALL]}
extraHosts: [{ip: 10.0.0.1, hostnames: [one]}]
dns: {nameservers: [1.1.1.1], searches: [example.com], options: ["ndots:2"]}
updateConfig: {order: StartFirst, failureAction: Rollback, maxFailureRatio: "0.25"}
rollbackConfig: {parallelism: 0}
restartPolicy: {condition: OnFailure, maxAttempts: 3}
stopGracePeriod: 20s
stopSignal: SIGINT
hostname: h
ulimits: [{name: nofile, soft: 1, hard: 2}]
sysctls: {net.core.somaxconn: "5"}
user: "5:6"
groups: ["7"]
workingDir: /srv
readOnlyRootFilesystem: true
tty: true
init: true
logDriver: {name: json-file, options: {max-size: 1m}}
networks: [{name: back, aliases: [www]}]
secrets: [{target: key, secretName: s1, uid: "5", mode: 0400}]
configs: [{target: /conf, configName: c1}]
command: [sleep]
`},
	}
	for name, tt := range tests {
		args := []string{"service", "create", "--detach", "--no-resolve-image", "--replicas", "0", "--name", name}
		m.cli(append(append(args, strings.Fields(tt.flags)...), "busybox:1")...)
		m.Cleanup(func() { m.cli("service", "rm", name) })
		d := mustBuild(m, parse(m, "replicas: 0\n"+tt.spec), Inputs{
			ServiceName: name, APIVersion: m.version, Networks: map[string]string{"back": m.ids.network},
			Secrets: map[string]Object{"key": {m.ids.secret, "s1"}}, Configs: map[string]Object{"/conf": {m.ids.config, "c1"}},
		})
		if diff := d.Diff(m.service(name).Spec); !diff.Empty() {
			m.Errorf("%s: drift: %s", name, diff)
		}
		m.cli("service", "update", "--detach", "--force", name)
		if diff := d.Diff(m.service(name).Spec); !diff.Empty() {
			m.Errorf("%s: forced, drift: %s", name, diff)
		}
		m.cli("service", "update", "--detach", "--env-add", "TOKEN=hunter2", "--replicas", "1", "--constraint-add", "node.role==worker", name)
		got := m.service(name).Spec
		want := []string{"spec.env[TOKEN]", "spec.placement.constraints", "spec.replicas"}
		if diff := d.Diff(got); !slices.Equal(diff.paths, want) {
			m.Errorf("%s: changed by hand, drift: %s", name, diff)
		}
	}
}

// supported takes out of a full spec what the engine's API lacks.
func (m *manager) supported(s swarm.ServiceSpec) swarm.ServiceSpec {
	c := s.TaskTemplate.ContainerSpec
	lacks := func(version string) bool { return engine.CompareAPIVersions(m.version, version) < 0 }
	if lacks("1.44") {
		c.Healthcheck.StartInterval = 0
		c.Privileges.Seccomp, c.Privileges.AppArmor, c.Privileges.NoNewPrivileges = nil, nil, false
	}
	if lacks("1.45") {
		c.Mounts[1].VolumeOptions.Subpath = ""
	}
	if lacks("1.46") {
		c.Mounts[2].TmpfsOptions.Options = nil
		c.OomScoreAdj = 0
	}
	if lacks("1.52") {
		s.TaskTemplate.Resources.SwapBytes, s.TaskTemplate.Resources.MemorySwappiness = nil, nil
	}
	return s
}

// engineRefuses are changes that the engine does not take.
var engineRefuses = []string{
	"Name", "Mode.Global", "Mode.GlobalJob",
	"EndpointSpec.Ports[].PublishMode",                     // no routing mesh without a virtual IP
	"TaskTemplate.ContainerSpec.Privileges.CredentialSpec", // one of three
	"TaskTemplate.ContainerSpec.Secrets[].SecretID", "TaskTemplate.ContainerSpec.Secrets[].SecretName",
	"TaskTemplate.ContainerSpec.Configs[].ConfigID", "TaskTemplate.ContainerSpec.Configs[].ConfigName",
	"TaskTemplate.Networks[].Target",
}

// noDriftAtAll is a change that is meant to go unnoticed: a counter above the spec's.
const noDriftAtAll = "TaskTemplate.ForceUpdate"

// testEveryChange changes each field of a service behind the spec's back: the difference names
// that field, and one write puts it right.
func (m *manager) testEveryChange() {
	for _, variant := range []string{"full", "global", "job"} {
		base := m.supported(variants(m.ids)[variant])
		base.Name = "change-" + strings.ReplaceAll(variant, " ", "-")
		d := rebuild(m, base)
		id := m.create(d.Spec)
		if diff := d.Diff(m.service(id).Spec); !diff.Empty() {
			m.Fatalf("%s: drift right after creation: %s", variant, diff)
		}
		changed := 0
		for i, f := range fields(reflect.ValueOf(&base), "") {
			if !slices.ContainsFunc(engineRefuses, func(p string) bool { return below(f.path, p) }) && !excluded(f.path) {
				m.change(d, id, variant, i)
				changed++
			}
		}
		if changed < 80 {
			m.Errorf("%s: only %d fields changed", variant, changed)
		}
	}
}

// change changes the field number i of a variant on the engine.
func (m *manager) change(d Desired, id, variant string, i int) {
	m.Helper()
	s := m.supported(variants(m.ids)[variant])
	s.Name = d.Spec.Name
	f := fields(reflect.ValueOf(&s), "")[i]
	f.set()
	companions(f.path, &s)
	if m.lacking(s) {
		return // a change to what this engine does not know
	}
	// What the change means is known without the engine.
	want := d.Diff(s)
	if want.Empty() != (f.path == noDriftAtAll) {
		m.Errorf("%s: with %s changed, the drift is %q", variant, f.path, want)
		return
	}
	m.update("change "+f.path, id, s)
	live := m.service(id)
	got := d.Diff(live.Spec)
	if !slices.Equal(got.paths, want.paths) {
		m.Errorf("%s: with %s changed, the drift is %s; want %s", variant, f.path, got, want)
	}
	if got.Empty() {
		return
	}
	merged, err := d.Merge(live.Spec, got)
	m.must("merge", err)
	m.update("correct "+f.path, id, merged)
	if left := d.Diff(m.service(id).Spec); !left.Empty() {
		m.Errorf("%s: with %s put right, there is still %s", variant, f.path, left)
	}
}

// lacking tells whether a spec says what the engine would drop.
func (m *manager) lacking(s swarm.ServiceSpec) bool {
	b := &builder{in: Inputs{APIVersion: m.version}}
	b.checkVersion(s)
	return len(b.faults) > 0
}

func (m *manager) testRename() {
	spec := parse(m, `replicas: 0`)
	d := mustBuild(m, spec, Inputs{ServiceName: "before"})
	id := m.create(d.Spec)
	renamed := d.Spec
	renamed.Name = "after"
	if err := m.tryUpdate(id, renamed); err == nil {
		m.Error("the engine renamed a service: spec.serviceName need not be immutable")
	}
	global := d.Spec
	global.Mode = swarm.ServiceMode{Global: &swarm.GlobalService{}}
	if err := m.tryUpdate(id, global); err == nil {
		m.Error("the engine changed a mode: spec.mode need not be immutable")
	}
}
