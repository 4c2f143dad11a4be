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

package testenv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/dockercontrol/dockercontrol/config"
	"github.com/dockercontrol/dockercontrol/internal/manager"
)

// Cluster is a running API server.
type Cluster struct {
	// Config has every right.
	Config *rest.Config
	Client client.Client

	env *envtest.Environment
}

var shared struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

// Run runs a package's tests and stops the API server they shared, for TestMain.
func Run(m *testing.M) int {
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the API server:", err)
			return 1
		}
	}
	return code
}

// Start returns the test binary's API server, starting it the first time.
func Start(t testing.TB) *Cluster {
	t.Helper()
	shared.once.Do(func() { shared.cluster, shared.err = start() })
	if shared.err != nil {
		t.Fatalf("no API server to test against: %v", shared.err)
	}
	return shared.cluster
}

func start() (*Cluster, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, fmt.Errorf("KUBEBUILDER_ASSETS is not set: run `export KUBEBUILDER_ASSETS=$(hack/envtest-assets.sh)` first, or `make test`")
	}
	crds, err := customResourceDefinitions()
	if err != nil {
		return nil, err
	}
	env := environment(crds)
	cfg, err := env.Start()
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	c, err := client.New(cfg, client.Options{Scheme: manager.Scheme()})
	if err != nil {
		return nil, err
	}
	cluster := &Cluster{Config: cfg, Client: c, env: env}
	// What a manager's own namespace is where a test says nothing else.
	own := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: manager.DefaultOptions().Namespace}}
	if err := errors.Join(c.Create(context.Background(), own), cluster.applyPolicies(context.Background())); err != nil {
		return nil, errors.Join(err, env.Stop())
	}
	return cluster, nil
}

// environment starts and stops with patience: envtest's own limits are 20 s, and 10 s for
// the kinds.
func environment(crds []*apiextensionsv1.CustomResourceDefinition) *envtest.Environment {
	return &envtest.Environment{
		CRDs: crds, Scheme: manager.Scheme(),
		ControlPlaneStartTimeout: patience, ControlPlaneStopTimeout: patience,
		CRDInstallOptions: envtest.CRDInstallOptions{MaxTime: patience},
	}
}

func customResourceDefinitions() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := fs.Glob(config.CRDs, "crd/bases/*.yaml")
	if err != nil {
		return nil, err
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, name := range files {
		data, err := fs.ReadFile(config.CRDs, name)
		if err != nil {
			return nil, err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, crd); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		crds = append(crds, crd)
	}
	return crds, nil
}

// Namespace makes a namespace for a test. It stays: there is no controller here
// that would empty it.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Client.Create(t.Context(), ns); err != nil {
		t.Fatalf("making a namespace: %v", err)
	}
	return ns.Name
}

// patience is how long a condition may take on a machine that does other things
// as well: two cores, with the race detector, real engines and other tests beside.
const patience = 2 * time.Minute

// Eventually polls until check returns nil, or fails the test with its last error.
// It is for conditions on the other side of the API. within is how soon they
// should hold: the test's log tells where it was later, but no test fails before
// patience is over, for that would be the machine's fault.
func Eventually(t testing.TB, within time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	began, deadline := time.Now(), max(within, patience)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), deadline) // a cleanup may wait too
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			if took := time.Since(began); took > within {
				t.Logf("it took %s, and should take %s at most", took.Round(time.Millisecond), within)
			}
			return
		}
		if last == nil || ctx.Err() == nil { // what the deadline itself cut says nothing
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", deadline, last)
		}
	}
}

// User returns a client certificate of the cluster, and its key, in PEM.
func (c *Cluster) User(t testing.TB, name string, groups ...string) (cert, key []byte) {
	t.Helper()
	user, err := c.env.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		t.Fatalf("signing a certificate for %s: %v", name, err)
	}
	return user.Config().CertData, user.Config().KeyData
}
