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
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/standalone/internal/bootstrap"
)

// Manager is the program that the control plane is for.
type Manager struct {
	// Run runs it against the API server that config leads to, until ctx is done.
	Run func(ctx context.Context, config *rest.Config, at Place) error
	// HealthAddress is where the user wants its /readyz; NoAddress picks a free port on loopback.
	HealthAddress string
	// StopTimeout is how long it may take to stop.
	StopTimeout time.Duration
}

// Place says where a manager serves and with what.
type Place struct {
	ProxyAddress                string // host:port, or NoAddress
	ProxyCertFile, ProxyKeyFile string
	HealthAddress               string // host:port, plain HTTP
}

// managerUser is the manager's ServiceAccount as RBAC sees it: the manager is the same user here as in a cluster.
const managerUser = "system:serviceaccount:" + bootstrap.Namespace + ":" + bootstrap.ManagerAccount

// managerGroups are those that RBAC gives every ServiceAccount of the namespace.
var managerGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + bootstrap.Namespace}

// runningManager is a manager under way.
type runningManager struct {
	cancel context.CancelFunc
	limit  time.Duration
	done   chan struct{}
	err    error // once done is closed
}

// start runs the manager and waits until it says it is ready. ctx bounds the wait only. failed is called when the
// manager ends by itself.
func (m Manager) start(ctx context.Context, config *rest.Config, at Place, failed func(error)) (*runningManager, error) {
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &runningManager{cancel: cancel, limit: m.StopTimeout + time.Second, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = m.Run(runCtx, config, at)
		if runCtx.Err() == nil {
			failed(errors.Join(errors.New("the manager ended"), r.err))
		}
	}()
	if err := r.waitReady(ctx, at.HealthAddress); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for the manager: %w", err), r.stop())
	}
	return r, nil
}

// waitReady asks the manager's /readyz until it answers ok, or that there is no such thing: a manager without anything
// to wait for has none.
func (r *runningManager) waitReady(ctx context.Context, address string) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	last := errors.New("no answer yet")
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		select {
		case <-r.done:
			return false, errors.New("it ended")
		default:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
		if err != nil {
			return false, err
		}
		response, failed := client.Do(request)
		if failed != nil {
			last = failed
			return false, nil
		}
		last = fmt.Errorf("/readyz says %s", response.Status)
		ready := response.StatusCode == http.StatusOK || response.StatusCode == http.StatusNotFound
		return ready, response.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("%w; %w", err, last)
	}
	return nil
}

// stop ends the manager and waits for it, as long as it may take.
func (r *runningManager) stop() error {
	r.cancel()
	select {
	case <-r.done:
		return r.err
	case <-time.After(r.limit):
		return fmt.Errorf("the manager has not stopped within %s", r.limit)
	}
}

// place resolves the manager's addresses.
func (m Manager) place(ctx context.Context, opts Options, cert, key string) (Place, error) {
	at := Place{ProxyAddress: opts.ProxyAddress, ProxyCertFile: cert, ProxyKeyFile: key}
	var err error
	if at.ProxyAddress != NoAddress {
		if at.ProxyAddress, err = reserve(ctx, "--proxy-address", opts.ProxyAddress); err != nil {
			return Place{}, err
		}
	}
	health := m.HealthAddress
	if slices.Contains([]string{"", NoAddress}, health) {
		health = "127.0.0.1:0"
	}
	at.HealthAddress, err = reserve(ctx, "the health address", health)
	return at, err
}
