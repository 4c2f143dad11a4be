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
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"time"

	"github.com/distribution/reference"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
)

// pullOptions are the body of POST images/pull.
type pullOptions struct {
	Ref string `json:"ref"`
	// Platform is os[/arch[/variant]]; the engine's own by default.
	Platform string `json:"platform"`
	// PullSecret is a Secret of type kubernetes.io/dockerconfigjson in the host's namespace.
	PullSecret string `json:"pullSecret"`
}

// PullResult is the result of an ImagePull.
type PullResult struct {
	Ref     string   `json:"ref"`
	Image   string   `json:"image"`
	Digests []string `json:"digests,omitempty"`
	// Status is the engine's last word: whether the image was newer or there already.
	Status string `json:"status,omitempty"`
}

// platforms are what containerd and dockerd take.
var platforms = regexp.MustCompile(`^[a-z0-9_]{1,20}(/[a-z0-9_]{1,20}(/[a-z0-9_.]{1,20})?)?$`)

func (a *Actions) pull(c *call) error {
	var o pullOptions
	if err := c.read(&o); err != nil {
		return err
	}
	p, err := c.puller(o)
	if err != nil {
		return err
	}
	return c.submit(jobPull, reference.FamiliarString(p.ref), func(ctx context.Context, progress *jobs.Progress) (any, error) {
		result, err := p.run(ctx, func(v PullProgress) { progress.Set(v) })
		if err != nil {
			return nil, err
		}
		return result, nil
	})
}

// puller pulls one image.
type puller struct {
	live     live
	ref      reference.Named
	platform string
	auth     string // a secret
}

// puller checks the options and reads the pull secret.
func (c *call) puller(o pullOptions) (*puller, error) {
	if o.Ref == "" {
		return nil, apistatus.BadRequest("ref is missing: the image to pull")
	}
	named, err := parseRef(o.Ref)
	if err != nil {
		return nil, err
	}
	if o.Platform != "" && !platforms.MatchString(o.Platform) {
		return nil, apistatus.BadRequest("platform is os[/arch[/variant]], such as linux/arm64")
	}
	p := &puller{live: c.live(), ref: named, platform: o.Platform}
	if o.PullSecret != "" {
		p.auth, err = c.registryAuth(o.PullSecret, named)
	}
	return p, err
}

// run pulls to the end.
func (p *puller) run(ctx context.Context, tell func(PullProgress)) (*PullResult, error) {
	eng, err := p.live.engine()
	if err != nil {
		return nil, err
	}
	opts := engine.PullOptions{Name: p.ref.Name(), Platform: p.platform, RegistryAuth: p.auth}
	switch ref := p.ref.(type) {
	case reference.Digested:
		opts.Tag = ref.Digest().String()
	case reference.Tagged:
		opts.Tag = ref.Tag()
	}
	stream, err := eng.ImagePull(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }()
	progress := newPullProgress(reference.FamiliarString(p.ref), tell)
	for {
		line, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			progress.flush()
			return nil, err
		}
		progress.add(line)
	}
	progress.flush()
	return p.result(ctx, eng, progress.last)
}

func (p *puller) result(ctx context.Context, eng engine.Engine, status string) (*PullResult, error) {
	raw, err := eng.Inspect(ctx, engine.Images, p.ref.String())
	if err != nil {
		return nil, err
	}
	var image struct {
		ID          string `json:"Id"`
		RepoDigests []string
	}
	if err := json.Unmarshal(raw, &image); err != nil {
		return nil, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's description of the image cannot be read")
	}
	return &PullResult{Ref: reference.FamiliarString(p.ref), Image: image.ID, Digests: image.RepoDigests, Status: status}, nil
}

// PullProgress is the progress of an ImagePull.
type PullProgress struct {
	Ref string `json:"ref"`
	// Status is the last word on the image as a whole.
	Status string      `json:"status,omitempty"`
	Layers []PullLayer `json:"layers"`
	// Omitted layers are beyond the bound.
	Omitted int `json:"omitted,omitempty"`
	// Current and Total are bytes of the layers whose size is known.
	Current int64 `json:"current"`
	Total   int64 `json:"total"`
}

// PullLayer is one layer's progress.
type PullLayer struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Current int64  `json:"current,omitempty"`
	Total   int64  `json:"total,omitempty"`
}

const (
	// maxLayers: overlayfs stacks 127.
	maxLayers = 256
	// maxStatus bounds an engine's words on one layer.
	maxStatus = 100
	// progressInterval is how often progress is told: as often as eyes follow.
	progressInterval = 250 * time.Millisecond
)

// pullProgress adds up lines of progress.
type pullProgress struct {
	now    PullProgress
	index  map[string]int
	tell   func(PullProgress)
	told   time.Time
	last   string
	unsaid bool
}

func newPullProgress(ref string, tell func(PullProgress)) *pullProgress {
	return &pullProgress{now: PullProgress{Ref: ref, Layers: []PullLayer{}}, index: map[string]int{}, tell: tell}
}

func (p *pullProgress) add(line engine.PullProgress) {
	status := line.Status[:min(len(line.Status), maxStatus)]
	p.unsaid = true
	if line.ID == "" || line.ID == tagOf(p.now.Ref) {
		// "Pulling from …" has the tag in the place of a layer.
		p.now.Status, p.last = status, status
	} else {
		p.layer(line, status)
	}
	if time.Since(p.told) >= progressInterval {
		p.flush()
	}
}

func (p *pullProgress) layer(line engine.PullProgress, status string) {
	i, known := p.index[line.ID]
	if !known {
		if len(p.now.Layers) >= maxLayers || len(line.ID) > maxStatus {
			p.now.Omitted++
			return
		}
		i = len(p.now.Layers)
		p.index[line.ID] = i
		p.now.Layers = append(p.now.Layers, PullLayer{ID: line.ID})
	}
	l := &p.now.Layers[i]
	l.Status = status
	switch {
	case line.Total > 0:
		l.Current, l.Total = line.Current, line.Total
	case layerDone[status]:
		l.Current = l.Total
	}
}

// layerDone are the engine's words for a layer of which nothing is left to do.
var layerDone = map[string]bool{"Pull complete": true, "Already exists": true, "Download complete": true}

// flush tells what was not told yet.
func (p *pullProgress) flush() {
	if !p.unsaid {
		return
	}
	p.now.Current, p.now.Total = 0, 0
	for _, l := range p.now.Layers {
		p.now.Current += l.Current
		p.now.Total += l.Total
	}
	p.told, p.unsaid = time.Now(), false
	p.tell(p.now)
}

func tagOf(ref string) string {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return ""
	}
	if tagged, ok := named.(reference.Tagged); ok {
		return tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		return digested.Digest().String()
	}
	return ""
}
