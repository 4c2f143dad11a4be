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

package auditcmd

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/audit/heads"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var version = bytes.Repeat([]byte("v"), keyring.KeySize)

func derive(t *testing.T, p keyring.Purpose) []byte {
	t.Helper()
	key, err := keyring.Derive(version, p)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// evidence is a trail of two starts, rotated, with its key and its heads in files.
type evidence struct {
	dir, path, keyFile, headFile string
	heads                        []audit.SignedHead
}

func newEvidence(t *testing.T) *evidence {
	t.Helper()
	dir := t.TempDir()
	e := &evidence{dir: dir, path: filepath.Join(dir, "audit.jsonl"), keyFile: filepath.Join(dir, "v1.key"), headFile: filepath.Join(dir, "heads")}
	for range 2 {
		trail, err := audit.OpenTrail(audit.TrailOptions{Path: e.path, Key: derive(t, keyring.AuditChain), Replica: "replica", MaxSize: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 150 {
			if err := trail.Record(t.Context(), audit.Record{
				Actor: audit.Actor{User: "alice"}, Verb: "start",
				Object: audit.Object{Kind: "Container", Name: fmt.Sprint("web-", i)}, Outcome: audit.Succeeded,
			}); err != nil {
				t.Fatal(err)
			}
		}
		e.heads = append(e.heads, audit.SignHead(derive(t, keyring.AuditHeads), trail.Head(), time.Now()))
		if err := trail.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(t, e.keyFile, version)
	write(t, e.headFile, fmt.Appendf(nil, "# kept\n%s\n\n%s\n", e.heads[0], e.heads[1]))
	return e
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out, usage strings.Builder
	err := Run(t.Context(), args, Streams{In: strings.NewReader(stdin), Out: &out, Err: &usage})
	return out.String() + usage.String(), err
}

// verify runs the command as somebody without a cluster does.
func (e *evidence) verify(t *testing.T) (string, error) {
	t.Helper()
	return run(t, "", "verify", e.path, "--key-file", e.keyFile, "--head", e.headFile)
}

// change changes the lines of a file of the trail.
func change(t *testing.T, name string, how func(lines []string) []string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n")
	lines[len(lines)-1] += "\n"
	write(t, name, []byte(strings.Join(how(lines), "")))
}

func TestVerifyOfAWholeTrail(t *testing.T) {
	e := newEvidence(t)
	out, err := e.verify(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"300 records in 2 chains, in 2 files.", "records 1 to 150", "its head of 20", "Nothing is wrong"} {
		if !strings.Contains(out, want) {
			t.Errorf("missing %q in\n%s", want, out)
		}
	}
	// Files by name, the key in base64, the heads from standard input.
	write(t, e.keyFile, []byte(base64.StdEncoding.EncodeToString(version)+"\n"))
	if out, err := run(t, e.heads[1].Head.String(), "verify", e.path+".1", e.path, "--key-file="+e.keyFile, "--head=-"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(e.path + ".1")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, string(b), "verify", "-", "--key-file="+e.keyFile); err != nil || !strings.Contains(out, "a cut end would not show") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestVerifyFinds does what somebody does who hides something.
func TestVerifyFinds(t *testing.T) {
	drop := func(i int) func([]string) []string {
		return func(l []string) []string { return slices.Delete(l, i, i+1) }
	}
	for name, tc := range map[string]struct {
		tamper func(t *testing.T, e *evidence)
		want   string
	}{
		"a record removed": {func(t *testing.T, e *evidence) { change(t, e.path+".1", drop(20)) }, "audit.jsonl.1 line 21: record 20 of chain"},
		"a record edited": {func(t *testing.T, e *evidence) {
			change(t, e.path, func(l []string) []string { l[3] = strings.Replace(l[3], "alice", "mallory", 1); return l })
		}, "audit.jsonl line 4: record"},
		"records reordered": {func(t *testing.T, e *evidence) {
			change(t, e.path, func(l []string) []string { l[3], l[4] = l[4], l[3]; return l })
		}, "reordered"},
		"the last record cut": {func(t *testing.T, e *evidence) {
			change(t, e.path, func(l []string) []string { return l[:len(l)-1] })
		}, "ends with record 149, and had 150"},
		"the last start cut": {func(t *testing.T, e *evidence) {
			change(t, e.path+".1", func(l []string) []string {
				return l[:1+slices.IndexFunc(l[1:], func(s string) bool { return strings.Contains(s, `"start":`) })]
			})
			write(t, e.path, nil)
		}, "is not here, and had 150 records"},
		"the newest file removed": {func(t *testing.T, e *evidence) {
			if err := os.Rename(e.path+".1", e.path); err != nil {
				t.Fatal(err)
			}
		}, ", and had 150: the last were cut off"},
		"everything cut": {func(t *testing.T, e *evidence) {
			write(t, e.path, nil)
			write(t, e.path+".1", nil)
		}, "there is no record at all"},
		"written with another key": {func(t *testing.T, e *evidence) { write(t, e.keyFile, bytes.Repeat([]byte("x"), 32)) }, "was written with another key"},
		"a head forged": {func(t *testing.T, e *evidence) {
			write(t, e.headFile, []byte(strings.Replace(e.heads[1].String(), ":150:", ":140:", 1)))
		}, "is not signed with any of the keys"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEvidence(t)
			tc.tamper(t, e)
			out, err := e.verify(t)
			if !errors.Is(err, ErrProblems) || !strings.Contains(out, "PROBLEM ") || !strings.Contains(out, tc.want) {
				t.Errorf("got %v, want %q in\n%s", err, tc.want, out)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	e := newEvidence(t)
	short := filepath.Join(e.dir, "short")
	write(t, short, []byte("hunter2"))
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "want"},
		{[]string{"verify"}, "name the audit trail's file"},
		{[]string{"heads", "x"}, "want"},
		{[]string{"verify", e.path, "--no-such-flag"}, "no-such-flag"},
		{[]string{"verify", e.path + ".none", "--key-file", e.keyFile}, "audit.jsonl.none"},
		{[]string{"verify", e.path, "--key-file", short}, "not a key: want 32 bytes"},
		{[]string{"verify", e.path, "--key-file", e.keyFile, "--head", short}, "line 1"},
		{[]string{"verify", e.path, "--key-file", e.keyFile, "--head", short + ".none"}, "reading heads"},
		{[]string{"verify", "-", "--key-file", e.keyFile, "--head", "-"}, "not both"},
		{[]string{"verify", e.path, "--kubeconfig", short + ".none"}, "give --key-file"},
	} {
		_, err := run(t, "", tc.args...)
		if err == nil || errors.Is(err, ErrProblems) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %q", tc.args, err, tc.want)
		}
	}
	if out, err := run(t, "", "--help"); err != nil || !strings.Contains(out, "manager audit verify FILE") {
		t.Errorf("--help: %v\n%s", err, out)
	}
}

// TestFromTheCluster has keys and heads in a Secret and Leases; one of these is forged.
func TestFromTheCluster(t *testing.T) {
	e := newEvidence(t)
	lease := func(name string, head audit.SignedHead) client.Object {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, Labels: map[string]string{heads.Label: "true"}, Annotations: map[string]string{heads.Annotation: head.String()},
		}}
	}
	name := func(head audit.SignedHead) string {
		return "dockercontrol-audit-" + head.Chain[strings.LastIndex(head.Chain, "-")+1:]
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: keyring.SecretName}, Data: map[string][]byte{
		"v1": version, "v2": bytes.Repeat([]byte("2"), 32),
	}}
	objects := []client.Object{secret, lease(name(e.heads[0]), e.heads[0]), lease(name(e.heads[1]), e.heads[1])}
	in := &inputs{}
	if err := in.fromClient(t.Context(), fake.NewClientBuilder().WithObjects(objects...).Build(), "ns"); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := in.verify([]string{e.path}, Streams{Out: &out}); err != nil || len(in.published) != 2 {
		t.Errorf("%v\n%s", err, out.String())
	}
	forged := audit.SignHead(bytes.Repeat([]byte("x"), 32), e.heads[1].Head, time.Now())
	in = &inputs{}
	if err := in.fromClient(t.Context(), fake.NewClientBuilder().WithObjects(append(objects, lease("dockercontrol-audit-00", forged))...).Build(), "ns"); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := in.verify([]string{e.path}, Streams{Out: &out}); !errors.Is(err, ErrProblems) || !strings.Contains(out.String(), "PROBLEM the Lease dockercontrol-audit-00") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := (&inputs{}).fromClient(t.Context(), fake.NewClientBuilder().Build(), "ns"); err == nil {
		t.Error("no Secret, and no error")
	}
}
