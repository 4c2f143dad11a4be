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
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostspec"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// testTimeout bounds the connection to a host that is tested.
const testTimeout = 10 * time.Second

// testName stands for the name of a host that has none yet.
const testName = "unnamed"

// TestResult is the answer to POST .../namespaces/{namespace}/test: what the status of
// the DockerHost in the body would soon be. Nothing of it is kept.
type TestResult struct {
	metav1.TypeMeta `json:",inline"`
	Reachable       bool   `json:"reachable"`
	Reason          string `json:"reason"`
	Message         string `json:"message"`
	// Latency is that of a ping, in seconds.
	Latency float64     `json:"latencySeconds,omitempty"`
	Engine  *TestEngine `json:"engine,omitempty"`
}

// TestEngine is what an engine says of itself.
type TestEngine struct {
	ID              string `json:"id,omitempty"`
	Name            string `json:"name"`
	Version         string `json:"version"`
	APIVersion      string `json:"apiVersion"`
	OS              string `json:"os"`
	OperatingSystem string `json:"operatingSystem,omitempty"`
	Architecture    string `json:"architecture"`
	CPUs            int    `json:"cpus"`
	Memory          int64  `json:"memory"`
	Containers      int    `json:"containers"`
	Images          int    `json:"images"`
	SwarmManager    bool   `json:"swarmManager"`
}

// test connects to a host that is not saved. It takes what saving it takes: the right to
// create DockerHosts, to grant them, and to read Secrets where it names one.
func (a *Actions) test(c *call) error {
	if a.opts.Connector == nil || a.opts.Reviewer == nil {
		return apistatus.NoRoute(c.r.URL.Path)
	}
	for _, verb := range []string{"create", "grant"} {
		err := c.review(authorizationv1.ResourceAttributes{
			Group: access.Group, Version: route.Version, Resource: access.Resource, Namespace: c.route.Namespace, Verb: verb,
		}, "whoever tests a DockerHost must be allowed to create it and to grant it")
		if err != nil {
			return err
		}
	}
	host := &dcv1.DockerHost{}
	if err := c.read(&bodyOnly[dcv1.DockerHost]{host}); err != nil {
		return err
	}
	if err := c.prepare(host); err != nil {
		return err
	}
	secret, err := c.hostSecret(host)
	if err != nil {
		return err
	}
	if err := c.dryRun(host); err != nil {
		return err
	}
	var result TestResult
	record := c.record(host.Name)
	record.Host = audit.Host{Namespace: host.Namespace, Name: host.Name}
	err = audit.Do(c.ctx, a.opts.Recorder, record, func(ctx context.Context) error {
		h := hostspec.FromSpec(host, secret, a.opts.Policy)
		var err error = h.ConfigErr
		if h.ConfigErr == nil { // a nil of its type would not be nil
			err = a.dial(ctx, h.Config, &result)
		}
		var failure *engine.Error
		if !errors.As(err, &failure) {
			if err == nil {
				result.Reachable, result.Reason, result.Message = true, dcv1.ReasonConnected, "the engine answers"
				return nil
			}
			return err
		}
		result.Reason, result.Message = hostspec.Reason(failure), failure.Error()
		return failure
	})
	// An engine that cannot be reached is a result. It failed as far as the audit trail goes.
	if err != nil && (result.Reason == "" || errors.Is(err, audit.ErrOutcomeNotRecorded) || errors.Is(err, audit.ErrRefused)) {
		return err
	}
	result.TypeMeta = metav1.TypeMeta{APIVersion: access.EngineGroup + "/" + route.Version, Kind: "DockerHostTest"}
	apistatus.WriteJSON(c.w, http.StatusOK, result)
	return nil
}

// review asks for a right in the cluster; a refusal is recorded.
func (c *call) review(what authorizationv1.ResourceAttributes, why string) error {
	allowed, err := c.a.opts.Reviewer.Review(c.ctx, c.who.User, what)
	if err != nil || allowed {
		return err
	}
	resource := what.Resource
	if what.Group != "" {
		resource += "." + what.Group
	}
	return c.denied(apistatus.New(http.StatusForbidden, metav1.StatusReasonForbidden, "user %q cannot %s %s in the namespace %q: %s",
		c.who.User.GetName(), what.Verb, resource, what.Namespace, why))
}

// prepare makes the host an object of the path's namespace that was never saved.
func (c *call) prepare(host *dcv1.DockerHost) error {
	if kind := host.GroupVersionKind(); host.Kind != "" && (host.Kind != "DockerHost" || kind.Group != access.Group) {
		return apistatus.BadRequest("the body must be a DockerHost of %s, not a %s", access.Group, host.Kind)
	}
	if host.Namespace != "" && host.Namespace != c.route.Namespace {
		return apistatus.BadRequest("the DockerHost's namespace is not the path's")
	}
	host.Namespace = c.route.Namespace
	host.UID, host.ResourceVersion, host.Generation, host.ManagedFields = "", "", 0, nil
	host.Status = dcv1.DockerHostStatus{}
	if host.Name == "" {
		host.Name = testName
	}
	return nil
}

// hostSecret reads the Secret that a host names, for a caller who may read Secrets of the
// namespace: the admission policy asks for the same when the host is saved.
func (c *call) hostSecret(host *dcv1.DockerHost) (hostspec.Secret, error) {
	name := hostspec.SecretName(&host.Spec)
	if name == "" {
		return hostspec.Secret{}, nil
	}
	err := c.review(authorizationv1.ResourceAttributes{Version: "v1", Resource: "secrets", Namespace: host.Namespace, Verb: "get"},
		"whoever names a Secret in a DockerHost must be allowed to read Secrets there")
	if err != nil {
		return hostspec.Secret{}, err
	}
	if c.a.opts.Secrets == nil {
		return hostspec.Secret{}, apistatus.BadRequest("Secrets are not read here")
	}
	secret, err := c.a.opts.Secrets.Secret(c.ctx, host.Namespace, name)
	switch {
	case apierrors.IsNotFound(err):
		return hostspec.Secret{}, nil
	case err != nil:
		c.a.opts.Log.Error(err, "The Secret of a host under test could not be read", "requestID", c.who.RequestID)
		return hostspec.Secret{}, apistatus.Unavailable("the Secret %q cannot be read now; try again", name)
	}
	return hostspec.Secret{Found: true, Data: secret.Data}, nil
}

// dryRun has the kube-apiserver judge the host, where the caller has a token to ask with.
// Others are judged by hostspec's rules, which are the same but for what an admission policy
// of the cluster's own may add. That a host of the name exists is no matter.
func (c *call) dryRun(host *dcv1.DockerHost) error {
	if c.a.opts.DryRunner == nil || c.who.BearerToken == "" {
		return nil
	}
	copied := host.DeepCopy()
	// A name of its own, for an object that is there would end the dry run before its rules.
	copied.Name, copied.GenerateName = "", "test-"
	err := c.a.opts.DryRunner.DryRunCreate(c.ctx, c.who.BearerToken, copied)
	var status *apierrors.StatusError
	if errors.As(err, &status) && apierrors.IsForbidden(err) {
		return c.denied(err)
	}
	return err
}

// dial connects, within bounds, and says what is there.
func (a *Actions) dial(ctx context.Context, cfg engine.Config, result *TestResult) (err error) {
	// An answer that breaks its client breaks no more than this test.
	defer func() {
		if p := recover(); p != nil {
			err = engine.Errorf(engine.ClassServer, engine.CauseEngineError, "an answer of the engine could not be handled")
			a.opts.Log.Error(fmt.Errorf("panic: %v", p), "An answer of an engine under test broke its client")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	cfg.Timeout = min(cfg.Timeout, testTimeout)
	prepared, err := a.opts.Connector.Prepare(cfg)
	if err != nil {
		return err
	}
	if _, err := prepared.CheckCredentials(time.Now()); err != nil {
		return err
	}
	eng := prepared.Open()
	defer func() { _ = eng.Close() }()
	ping, err := eng.Ping(ctx)
	if err != nil {
		return err
	}
	version, err := eng.Version(ctx)
	if err != nil {
		return err
	}
	info, err := eng.Info(ctx)
	if err != nil {
		return err
	}
	result.Latency = ping.Latency.Seconds()
	result.Engine = &TestEngine{
		ID: info.ID, Name: info.Name, Version: version.Version, APIVersion: version.APIVersion, OS: version.Os,
		OperatingSystem: info.OperatingSystem, Architecture: version.Arch, CPUs: info.NCPU, Memory: info.MemTotal,
		Containers: info.Containers, Images: info.Images, SwarmManager: info.Swarm.ControlAvailable,
	}
	return nil
}
