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

package moby

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Logs opens a container's log.
func (c *client) Logs(ctx context.Context, id string, opts engine.LogsOptions) (engine.LogStream, error) {
	if err := checkID(engine.Containers, id); err != nil {
		return engine.LogStream{}, err
	}
	version, err := c.apiVersion(ctx)
	if err != nil {
		return engine.LogStream{}, err
	}
	path := "/containers/" + id + "/logs"
	if opts.Follow && engine.CompareAPIVersions(version, mediaTypeVersion) < 0 {
		return c.lateLogs(ctx, id, path, logsQuery(opts))
	}
	s, err := c.openStream(ctx, path, logsQuery(opts), c.timeout)
	if err != nil {
		return engine.LogStream{}, err
	}
	multiplexed, err := c.multiplexed(ctx, id, s.header)
	if err != nil {
		_ = s.Close()
		return engine.LogStream{}, err
	}
	return engine.LogStream{ReadCloser: s, Multiplexed: multiplexed}, nil
}

// lateHeader is how long a followed log waits for a header that may not come
// before the first line does; dockerd sends it at once.
const lateHeader = 500 * time.Millisecond

// lateLogs is for engines of old API versions, Podman among them, which sends no
// header before the container writes something.
func (c *client) lateLogs(ctx context.Context, id, path string, query url.Values) (engine.LogStream, error) {
	info, err := c.containerConfig(ctx, id)
	if err != nil {
		return engine.LogStream{}, err
	}
	s := c.openLate(ctx, path, query)
	timer := time.NewTimer(lateHeader)
	defer timer.Stop()
	select {
	case <-s.ready:
		if s.err != nil {
			_ = s.Close()
			return engine.LogStream{}, s.err
		}
	case <-timer.C:
	}
	return engine.LogStream{ReadCloser: s, Multiplexed: !info.Config.Tty}, nil
}

func logsQuery(opts engine.LogsOptions) url.Values {
	query := url.Values{}
	for key, on := range map[string]bool{
		"stdout": opts.Stdout, "stderr": opts.Stderr, "follow": opts.Follow, "timestamps": opts.Timestamps,
	} {
		if on {
			query.Set(key, "1")
		}
	}
	if !opts.Since.IsZero() {
		query.Set("since", unixNano(opts.Since))
	}
	if !opts.Until.IsZero() {
		query.Set("until", unixNano(opts.Until))
	}
	if opts.Tail >= 0 {
		query.Set("tail", strconv.Itoa(opts.Tail))
	}
	return query
}

// Media types of a container's output. Engines tell them apart since
// mediaTypeVersion of the API; before, they call both raw.
const (
	multiplexedType  = "application/vnd.docker.multiplexed-stream"
	rawType          = "application/vnd.docker.raw-stream"
	mediaTypeVersion = "1.42"
)

// multiplexed tells the form of a container's output by its media type, or by
// whether the container has a TTY.
func (c *client) multiplexed(ctx context.Context, id string, h http.Header) (bool, error) {
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	a := c.api.Load()
	switch {
	case mediaType == multiplexedType:
		return true, nil
	case mediaType == rawType && a != nil && engine.CompareAPIVersions(a.version, mediaTypeVersion) >= 0:
		return false, nil
	}
	info, err := c.containerConfig(ctx, id)
	return !info.Config.Tty, err
}

// containerConfig is what this package asks about a container.
type containerConfig struct {
	Config struct {
		Tty         bool
		StopTimeout *int
	}
}

func (c *client) containerConfig(ctx context.Context, id string) (containerConfig, error) {
	var info containerConfig
	err := c.get(ctx, "/containers/"+id+"/json", nil, &info)
	return info, err
}
