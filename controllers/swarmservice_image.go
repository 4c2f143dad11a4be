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

package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/distribution/reference"
	engineswarm "github.com/moby/moby/api/types/swarm"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// digestPatience is how long an engine may take to ask a registry for a digest. Without
	// one the nodes go by the tag, as they do after docker service create in that case.
	digestPatience = 5 * time.Second
	// maxDigestAnswer bounds the answer: a digest, and a line for each platform.
	maxDigestAnswer = 1 << 20
)

// pinned is spec.image with the digest that its tag stands for, so that all nodes run the
// same; empty where the spec's own text is to be used. A registry is asked where the text
// of spec.image is another than before, and once only: a service that has the tag with
// another digest is no drift.
func (t *serviceTurn) pinned(ctx context.Context, registryAuth string) string {
	image, status := t.svc.Spec.Image, &t.svc.Status
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil || !reference.IsNameOnly(named) && !isTagged(named) {
		return ""
	}
	named = reference.TagNameOnly(named)
	asked := false
	switch {
	case t.memory.image.text == image:
	case status.Image == image:
		t.memory.image = lookedUp{image, status.ImageDigest}
	case isTrue(t.svc.Spec.Suspend):
		return ""
	default:
		t.memory.image, asked = lookedUp{image, t.lookUp(ctx, named, registryAuth)}, true
	}
	if t.memory.image.digest == "" || !asked && t.view.service != nil && hasTag(t.view.service, named) {
		return ""
	}
	with, err := reference.ParseNormalizedNamed(named.String() + "@" + t.memory.image.digest)
	if err != nil {
		return "" // no digest at all
	}
	return reference.FamiliarString(with)
}

// isTagged reports whether a reference has a tag and no digest.
func isTagged(named reference.Named) bool {
	_, digested := named.(reference.Digested)
	_, tagged := named.(reference.Tagged)
	return tagged && !digested
}

// hasTag reports whether a service runs an image of that name and tag, whatever the digest.
func hasTag(service *engineswarm.Service, want reference.Named) bool {
	container := service.Spec.TaskTemplate.ContainerSpec
	if container == nil {
		return false
	}
	have, err := reference.ParseNormalizedNamed(container.Image)
	if err != nil {
		return false
	}
	tag := "latest"
	if tagged, is := have.(reference.Tagged); is {
		tag = tagged.Tag()
	} else if _, digested := have.(reference.Digested); digested {
		return false
	}
	return have.Name()+":"+tag == want.String()
}

// lookUp asks the image's registry, by way of the engine. No digest is no error: the
// image may be on the nodes alone, and where it is nowhere the tasks will say so.
func (t *serviceTurn) lookUp(ctx context.Context, named reference.Named, registryAuth string) string {
	ctx, cancel := context.WithTimeout(ctx, digestPatience)
	defer cancel()
	u := url.URL{Path: "/v" + t.on.APIVersion + "/distribution/" + named.String() + "/json"}
	found, err := t.digests.of(digestKey{t.on.Swarm, named.String(), sha256.Sum256([]byte(registryAuth))}, t.now, func() (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return "", err
		}
		if registryAuth != "" {
			req.Header.Set("X-Registry-Auth", registryAuth)
		}
		return registryDigest(t.on.Engine, req)
	})
	if err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("No registry tells the digest of the image", "image", named.String(), "message", err.Error())
	}
	return found
}

func registryDigest(eng engine.Engine, req *http.Request) (string, error) {
	resp, err := eng.Forward(req, false)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine answers %s", resp.Status)
	}
	var v struct{ Descriptor struct{ Digest string } }
	err = json.NewDecoder(io.LimitReader(resp.Body, maxDigestAnswer)).Decode(&v)
	return v.Descriptor.Digest, err
}
