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

package app

import (
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/dockercontrol/dockercontrol/standalone/internal/pki"
)

const clusterName = "dockercontrol"

// writeAccess writes ca.crt and admin.kubeconfig from what the store has now. server is the API's URL.
func writeAccess(dir *dataDir, store *pki.Store, server string) error {
	ca, err := os.ReadFile(store.CA().Cert)
	if err != nil {
		return err
	}
	if err := pki.WriteFile(dir.file("ca.crt"), ca, 0o644); err != nil {
		return err
	}
	cert, err := os.ReadFile(store.Admin().Cert)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(store.Admin().Key)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[clusterName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[adminUser] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts[clusterName] = &clientcmdapi.Context{Cluster: clusterName, AuthInfo: adminUser, Namespace: "default"}
	config.CurrentContext = clusterName
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encode admin.kubeconfig: %w", err)
	}
	return pki.WriteFile(dir.file("admin.kubeconfig"), data, 0o600)
}
