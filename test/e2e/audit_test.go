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
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/audit/auditcmd"
	"github.com/dockercontrol/dockercontrol/internal/audit/heads"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestAuditVerify checks the trail of a manager by the keys and the heads that it left
// in the cluster: whole at first, and then cut.
func TestAuditVerify(t *testing.T) {
	c := testenv.Start(t)
	ns := c.Namespace(t)
	o := testenv.ManagerOptions(ns)
	o.Namespace = ns
	o.AuditFile = filepath.Join(t.TempDir(), "audit.jsonl")
	for starts := 1; starts <= 2; starts++ {
		m := c.StartManager(t, o)
		testenv.Eventually(t, 30*time.Second, func(ctx context.Context) error {
			leases := &coordinationv1.LeaseList{}
			err := c.Client.List(ctx, leases, client.InNamespace(ns), client.MatchingLabels{heads.Label: "true"})
			if err == nil && len(leases.Items) != starts {
				err = fmt.Errorf("%d Leases with heads at start %d", len(leases.Items), starts)
			}
			return err
		})
		m.Stop(t)
	}

	kubeconfig := kubeconfigOf(t, c)
	verify := func() (string, error) {
		var out strings.Builder
		err := auditcmd.Run(t.Context(), []string{"verify", o.AuditFile, "--kubeconfig", kubeconfig, "--namespace", ns},
			auditcmd.Streams{Out: &out, Err: &out})
		return out.String(), err
	}
	out, err := verify()
	if err != nil || !strings.Contains(out, "Nothing is wrong") {
		t.Fatalf("%v\n%s", err, out)
	}
	trail, err := os.ReadFile(o.AuditFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(trail), "\n")
	if len(lines) < 3 { // each start has a line, and the split leaves an empty end
		t.Fatalf("the second start wrote nothing: %q", lines)
	}
	if err := os.WriteFile(o.AuditFile, []byte(lines[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := verify(); !errors.Is(err, auditcmd.ErrProblems) || !strings.Contains(out, "is not here") {
		t.Errorf("the second start was cut off: %v\n%s", err, out)
	}
}

// kubeconfigOf writes what leads to the cluster into a file.
func kubeconfigOf(t *testing.T, c *testenv.Cluster) string {
	t.Helper()
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters["c"] = &clientcmdapi.Cluster{Server: c.Config.Host, CertificateAuthorityData: c.Config.CAData}
	cfg.AuthInfos["u"] = &clientcmdapi.AuthInfo{ClientCertificateData: c.Config.CertData, ClientKeyData: c.Config.KeyData}
	cfg.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	cfg.CurrentContext = "x"
	name := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*cfg, name); err != nil {
		t.Fatal(err)
	}
	return name
}
