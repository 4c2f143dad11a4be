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
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/audit/audittest"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/hostspec"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// patience bounds the waiting of a test.
const patience = 60 * time.Second

// bed serves actions on one host, named prod in the namespace team.
type bed struct {
	testing.TB
	actions  *Actions
	recorder *audittest.Recorder
	cluster  *cluster
	endpoint string
	// token is the caller's; empty for a caller by certificate.
	token string
}

var prod = hostcache.Key{Namespace: "team", Name: "prod"}

// newBed connects to an engine.
func newBed(t testing.TB, endpoint string, change func(*Options)) *bed {
	t.Helper()
	ep, err := engine.ParseEndpoint(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	cache := hostcache.New(hostcache.Options{Connector: moby.Connector{}, Log: logr.Discard()})
	registry, err := jobs.New(jobs.Options{Replica: "manager-0", Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = cache.Start(ctx) })
	group.Go(func() { _ = registry.Start(ctx) })
	t.Cleanup(func() { cancel(); group.Wait() })
	cache.Set(hostcache.Host{Key: prod, UID: "uid", Config: engine.Config{Endpoint: ep, Timeout: patience}})

	b := &bed{TB: t, endpoint: endpoint, recorder: &audittest.Recorder{}, cluster: &cluster{secrets: map[string]*corev1.Secret{}}}
	opts := Options{
		Authorizer: roles{}, Hosts: cache, Recorder: b.recorder, Jobs: registry, Log: logr.Discard(),
		Reviewer: b.cluster, Secrets: b.cluster, Connector: moby.Connector{},
		Policy: hostspec.EndpointPolicy{UnixNamespaces: []string{"*"}},
	}
	if change != nil {
		change(&opts)
	}
	if b.actions, err = New(opts); err != nil {
		t.Fatal(err)
	}
	b.eventually("the host to be connected, and the jobs to run", func() bool {
		st, _ := cache.State(prod)
		return st.Connected() && b.jobsRun(registry)
	})
	return b
}

// jobsRun says whether the registry takes jobs yet.
func (b *bed) jobsRun(r *jobs.Registry) bool {
	job, err := r.Submit(jobs.Spec{Type: "Probe", Run: func(context.Context, *jobs.Progress) (any, error) { return nil, nil }})
	if err != nil {
		return false
	}
	<-job.Done()
	return true
}

// simBed connects to a simulated engine.
func simBed(t testing.TB, opts sim.Options, change func(*Options)) (*bed, *sim.Engine) {
	t.Helper()
	dir, err := os.MkdirTemp("", "act") // not TempDir, whose paths are too long for a socket's
	if err != nil {
		t.Fatal(err)
	}
	e := sim.New(opts)
	socket := filepath.Join(dir, "e.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { _ = e.Serve(l) })
	t.Cleanup(func() {
		e.Close()
		group.Wait()
		_ = os.RemoveAll(dir)
	})
	return newBed(t, "unix://"+socket, change), e
}

func (b *bed) eventually(what string, f func() bool) {
	b.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// roles is an Authorizer that knows users by the name of their role.
type roles struct{}

func (roles) Allowed(_ context.Context, who user.Info, _ authz.Host, right access.Right) (bool, error) {
	if who.GetName() == "puller" { // recreates, but may not pull
		return right.Subresource == access.Containers, nil
	}
	return access.Grants(access.Role(who.GetName()), right), nil
}

func (r roles) Authorize(ctx context.Context, who user.Info, host authz.Host, right access.Right) error {
	if ok, _ := r.Allowed(ctx, who, host, right); !ok {
		return apistatus.Forbidden(who.GetName(), host, right)
	}
	return nil
}

// cluster has Secrets, and lets only Admins do anything.
type cluster struct{ secrets map[string]*corev1.Secret }

func (*cluster) Review(_ context.Context, who user.Info, _ authorizationv1.ResourceAttributes) (bool, error) {
	return who.GetName() == "Admin", nil
}

func (c *cluster) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	if s, ok := c.secrets[name]; ok {
		return s, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
}

// answer is what a request gets.
type answer struct {
	code   int
	header http.Header
	body   []byte
	status metav1.Status
}

const hostPath = "/apis/engine.dockercontrol.dev/v1alpha1/namespaces/team/dockerhosts/prod/"

// request asks as a role. The path is below the host's.
func (b *bed) request(role, method, path string, body any) answer {
	b.Helper()
	return b.requestAt(role, method, hostPath+path, body)
}

func (b *bed) requestAt(role, method, path string, body any) answer {
	b.Helper()
	var reader io.Reader
	switch v := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(v)
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			b.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	r := httptest.NewRequest(method, path, reader)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	rt, ok, err := route.Parse(r.URL.EscapedPath())
	if !ok || err != nil {
		b.Fatalf("%s is no path of the proxy's: %v", path, err)
	}
	who := &caller.Caller{User: &user.DefaultInfo{Name: role, UID: "uid of " + role}, Source: "192.0.2.1", RequestID: "request", BearerToken: b.token, Means: caller.Certificate}
	if b.token != "" {
		who.Means = caller.Token
	}
	w := httptest.NewRecorder()
	b.actions.ServeHTTP(w, r.WithContext(route.With(caller.With(r.Context(), who), rt)))
	a := answer{code: w.Code, header: w.Header(), body: w.Body.Bytes()}
	_ = json.Unmarshal(a.body, &a.status) // where it is one
	return a
}

// must asks as an Admin and wants a code.
func (b *bed) must(code int, method, path string, body any) answer {
	b.Helper()
	return b.as("Admin", code, method, path, body)
}

func (b *bed) as(role string, code int, method, path string, body any) answer {
	b.Helper()
	a := b.request(role, method, path, body)
	if a.code != code {
		b.Fatalf("%s %s as %s: %d %s; want %d", method, path, role, a.code, a.body, code)
	}
	return a
}

// job asks as an Admin for something that is a job, and waits for its end.
func (b *bed) job(path string, body any) jobs.View {
	b.Helper()
	return b.wait(b.must(http.StatusAccepted, http.MethodPost, path, body))
}

func (b *bed) wait(begun answer) jobs.View {
	b.Helper()
	var v jobs.View
	b.decode(begun.body, &v)
	b.eventually("the job "+v.Type+" to end", func() bool {
		b.decode(b.must(http.StatusOK, http.MethodGet, "jobs/"+v.Metadata.Name, nil).body, &v)
		return v.State != jobs.Running
	})
	return v
}

func (b *bed) decode(raw []byte, v any) {
	b.Helper()
	if err := json.Unmarshal(raw, v); err != nil {
		b.Fatalf("decode %s: %v", raw, err)
	}
}

// inspect is an object's JSON as an Admin gets it.
func (b *bed) inspect(segment, id string, v any) {
	b.Helper()
	b.decode(b.must(http.StatusOK, http.MethodGet, segment+"/"+url.PathEscape(id)+"/inspect", nil).body, v)
}

// lastRecord is the newest record.
func (b *bed) lastRecord() audit.Record {
	b.Helper()
	all := b.recorder.Records()
	if len(all) == 0 {
		b.Fatal("nothing is on record")
	}
	return all[len(all)-1]
}
