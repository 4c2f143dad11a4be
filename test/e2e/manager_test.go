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

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
	"github.com/dockercontrol/dockercontrol/internal/manager"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// get returns the status and the body of a request, without checking who serves.
func get(ctx context.Context, url string) (int, string, error) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return resp.StatusCode, string(body), err
}

func waitGet(t *testing.T, url string, code int, says string) string {
	t.Helper()
	var body string
	testenv.Eventually(t, 20*time.Second, func(ctx context.Context) error {
		got, b, err := get(ctx, url)
		if err != nil {
			return err
		}
		if body = b; got != code || !strings.Contains(b, says) {
			return fmt.Errorf("%s: %d %.300q, want %d and %q", url, got, b, code, says)
		}
		return nil
	})
	return body
}

// TestServers asks a manager for its health, metrics, console and API.
func TestServers(t *testing.T) {
	c := testenv.Start(t)
	ns := c.Namespace(t)
	o := testenv.ManagerOptions(ns)
	o.HealthAddress, o.MetricsAddress, o.ProxyAddress = testenv.FreeAddress(t, "127.0.0.1"), testenv.FreeAddress(t, "127.0.0.1"), testenv.FreeAddress(t, "127.0.0.1")
	o.MetricsSecure = false
	c.StartManager(t, o)
	waitGet(t, "http://"+o.HealthAddress+"/healthz", 200, "ok")
	waitGet(t, "http://"+o.HealthAddress+"/readyz", 200, "ok")
	waitGet(t, "https://"+o.ProxyAddress+"/readyz", 200, "ok")
	waitGet(t, "https://"+o.ProxyAddress+"/", 200, "Docker Control Platform")
	waitGet(t, "https://"+o.ProxyAddress+"/apis/engine.dockercontrol.dev/v1alpha1", 401, `"kind":"Status"`)

	host := testenv.NewHost(ns, "box", serveSim(t, sim.Options{Name: "box", Containers: 4, Images: 1}))
	c.Create(t, host)
	c.WaitReady(t, host, "True/Connected", promptly)
	labels := fmt.Sprintf(`{name="box",namespace=%q}`, ns)
	metrics := waitGet(t, "http://"+o.MetricsAddress+"/metrics", 200, "dockercontrol_host_up"+labels+" 1")
	for _, series := range []string{
		"dockercontrol_host_containers{name=\"box\",namespace=\"" + ns + "\",state=\"running\"} 4",
		"dockercontrol_host_connections" + labels, "dockercontrol_inventory_age_seconds" + labels, "dockercontrol_host_connects_total", "dockercontrol_host_probe_duration_seconds",
	} {
		if !strings.Contains(metrics, series) {
			t.Errorf("metrics lack %s", series)
		}
	}
	c.Delete(t, host)
	testenv.Eventually(t, 5*time.Second, func(ctx context.Context) error {
		_, body, err := get(ctx, "http://"+o.MetricsAddress+"/metrics")
		if err == nil && strings.Contains(body, fmt.Sprintf("namespace=%q", ns)) {
			err = fmt.Errorf("series of a deleted host are still there")
		}
		return err
	})
}

func serveSim(t *testing.T, opts sim.Options) string {
	t.Helper()
	e := sim.New(opts)
	t.Cleanup(e.Close)
	return serve(t, e)
}

// TestSecondReplicaTakesOver runs two managers and stops the one that leads: the
// other one goes on writing, and the change of leaders itself writes no status.
func TestSecondReplicaTakesOver(t *testing.T) {
	c := testenv.Start(t)
	ns := c.Namespace(t)
	o := testenv.ManagerOptions(ns)
	o.LeaderElect, o.Namespace = true, ns
	first := c.StartManager(t, o)
	box := sim.New(sim.Options{Name: "box", Containers: 1, Images: 1})
	t.Cleanup(box.Close)
	host := testenv.NewHost(ns, "box", serve(t, box))
	c.Create(t, host)
	c.WaitReady(t, host, "True/Connected", 10*time.Second)
	c.WaitEvents(t, host, "Normal Connected")

	streams := func() int64 { return box.Calls()["GET /events"] }
	before := streams()
	second := c.StartManager(t, o)
	// A leader that is still connecting would say so, and tell of the connection once more.
	testenv.Eventually(t, 10*time.Second, func(context.Context) error {
		if streams() == before {
			return errors.New("the second replica has not connected")
		}
		return nil
	})
	version := host.ResourceVersion
	first.Stop(t)
	if n := second.Writes(); n != 0 {
		t.Errorf("the replica that did not lead wrote %d times", n)
	}
	testenv.Update(t, c, host, func(h *dcv1.DockerHost) { h.Spec.HealthCheck.FailureThreshold = 7 })
	c.WaitReady(t, host, "True/Connected", 30*time.Second)
	if host.ResourceVersion == version || second.Writes() == 0 {
		t.Error("nobody observed the new generation")
	}
	c.WaitEvents(t, host, "Normal Connected")
}

// TestStopLeavesNothingBehind compares the goroutines before and after a manager
// with connected hosts.
func TestStopLeavesNothingBehind(t *testing.T) {
	c := testenv.Start(t)
	ns := c.Namespace(t)
	host := testenv.NewHost(ns, "box", serveSim(t, sim.Options{Name: "box", Containers: 2, Images: 1}))
	dead := testenv.NewHost(ns, "dead", "unix:///nowhere/docker.sock")
	c.Create(t, host)
	c.Create(t, dead)
	before := goleak.IgnoreCurrent()
	o := testenv.ManagerOptions(ns)
	o.ProxyAddress = "127.0.0.1:0"
	m := c.StartManager(t, o)
	c.WaitReady(t, host, "True/Connected", 5*time.Second)
	c.WaitReady(t, dead, "False/DialFailed", 5*time.Second)
	m.Stop(t)
	// controller-runtime's informers stop a filtered watch whose goroutine may be
	// sending just then, and stays so: one at most a kind and stop, not ours.
	notOurs := goleak.IgnoreTopFunction("k8s.io/apimachinery/pkg/watch.(*filteredWatch).loop")
	testenv.Eventually(t, 2*time.Second, func(context.Context) error { return goleak.Find(before, notOurs) })
}

// TestAuditTrailIsOpened starts a manager with a trail: it begins a chain, and
// its key is kept in a Secret that is made once.
func TestAuditTrailIsOpened(t *testing.T) {
	c := testenv.Start(t)
	ns := c.Namespace(t)
	o := testenv.ManagerOptions(ns)
	o.Namespace = ns
	o.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	for starts := range 2 {
		m := c.StartManager(t, o)
		testenv.Eventually(t, 10*time.Second, func(context.Context) error {
			trail, err := os.ReadFile(o.AuditFile)
			if lines := bytes.Count(trail, []byte("\n")); err == nil && lines <= starts {
				err = fmt.Errorf("the trail has %d lines at start %d", lines, starts+1)
			}
			return err
		})
		m.Stop(t)
	}
	keys := &corev1.Secret{}
	if err := c.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "dockercontrol-keys"}, keys); err != nil {
		t.Fatal(err)
	}
	trail, err := os.ReadFile(o.AuditFile)
	if err != nil {
		t.Fatal(err)
	}
	chainKey, err := keyring.Derive(keys.Data["v1"], keyring.AuditChain)
	if err != nil {
		t.Fatal(err)
	}
	if summary, err := audit.Verify(bytes.NewReader(trail), [][]byte{chainKey}); err != nil || len(summary.Chains) != 2 {
		t.Errorf("Verify = %+v, %v; want two chains", summary, err)
	}
	info, err := os.Stat(o.AuditFile)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode = %v, want 0600", mode)
	}
}

// TestManagerWithoutRights ends with what the API server said.
func TestManagerWithoutRights(t *testing.T) {
	c := testenv.Start(t)
	cfg := rest.AnonymousClientConfig(c.Config)
	cfg.BearerToken = "no-such-token"
	o := testenv.ManagerOptions(c.Namespace(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := manager.Run(ctx, cfg, o)
	if err == nil || !apierrors.IsUnauthorized(err) {
		t.Errorf("Run = %v, want what the API server said", err)
	}
}
