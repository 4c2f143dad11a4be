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

package engine

import (
	"context"
	"encoding/json"
)

// Puller gets images from registries.
type Puller interface {
	// ImagePull begins to pull an image. It returns when the engine has begun to
	// answer, which may be after it asked the registry. The pull ends with ctx.
	ImagePull(ctx context.Context, opts PullOptions) (PullStream, error)
}

// PullOptions say what to pull.
type PullOptions struct {
	// Name is a repository with its host, as in docker.io/library/busybox.
	Name string
	// Tag is a tag or a digest. It is never empty: that would be every tag there is.
	Tag string
	// Platform is os[/arch[/variant]]; empty is the engine's own.
	Platform string
	// RegistryAuth is the value of the API's header X-Registry-Auth, a secret; empty
	// sends none.
	RegistryAuth string
}

// PullStream yields the progress of a pull. It is not safe for concurrent use,
// Close excepted.
type PullStream interface {
	// Next blocks for the next line of progress. io.EOF is the end of a pull that
	// succeeded; each other error that of one that failed.
	Next() (PullProgress, error)
	Close() error
}

// PullProgress is one line of a pull's progress.
type PullProgress struct {
	// ID is the layer's; empty where Status speaks of the whole image.
	ID     string
	Status string
	// Current and Total are bytes, zero where the engine tells none.
	Current, Total int64
}

// ParsePullProgress reads one line, and the failure that it may report in its place.
func ParsePullProgress(raw json.RawMessage) (p PullProgress, failure string, err error) {
	var v struct {
		ID             string
		Status         string
		ProgressDetail struct{ Current, Total int64 }
		Error          string
		ErrorDetail    struct{ Message string }
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return PullProgress{}, "", err
	}
	failure = v.ErrorDetail.Message
	if failure == "" {
		failure = v.Error
	}
	return PullProgress{ID: v.ID, Status: v.Status, Current: v.ProgressDetail.Current, Total: v.ProgressDetail.Total}, failure, nil
}
