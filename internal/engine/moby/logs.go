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

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Logs opens a container's log.
func (c *client) Logs(ctx context.Context, id string, opts engine.LogsOptions) (engine.LogStream, error) {
	if err := checkID(engine.Containers, id); err != nil {
		return engine.LogStream{}, err
	}
	s, err := c.openStream(ctx, "/containers/"+id+"/logs", logsQuery(opts))
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

// Media types of a container's output; engines send the first since API 1.42.
const (
	multiplexedType = "application/vnd.docker.multiplexed-stream"
	rawType         = "application/vnd.docker.raw-stream"
)

// multiplexed tells the form of a container's output. Before API 1.42 engines
// call both forms raw, and the container must be asked whether it has a TTY.
func (c *client) multiplexed(ctx context.Context, id string, h http.Header) (bool, error) {
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	a := c.api.Load()
	switch {
	case mediaType == multiplexedType:
		return true, nil
	case mediaType == rawType && a != nil && engine.CompareAPIVersions(a.version, "1.42") >= 0:
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
