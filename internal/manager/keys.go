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

package manager

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/keyring"
)

// addKeys loads the keys that replicas share, or makes them, and adds what keeps them
// current. direct is the client it does so with, which has no cache.
func addKeys(ctx context.Context, mgr ctrl.Manager, namespace string) (keys *keyring.Keyring, direct client.Client, err error) {
	direct, err = client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, nil, fmt.Errorf("making a client for the replicas' keys: %w", err)
	}
	keys, err = keyring.Load(ctx, keyring.Options{Client: direct, Namespace: namespace, Log: ctrl.Log.WithName("keys")})
	if err != nil {
		return nil, nil, fmt.Errorf("loading the replicas' keys: %w", err)
	}
	if err := mgr.Add(keys); err != nil {
		return nil, nil, fmt.Errorf("adding the reading of the replicas' keys: %w", err)
	}
	return keys, direct, nil
}
