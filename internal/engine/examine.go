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

// Examiner reads what no list has. The answers are the engine's own JSON.
type Examiner interface {
	// Top lists the processes of a running container; psArgs are those of ps, empty
	// for the engine's default.
	Top(ctx context.Context, id, psArgs string) (json.RawMessage, error)
	// Changes lists the files that differ from a container's image; null where none
	// does.
	Changes(ctx context.Context, id string) (json.RawMessage, error)
	// ConfiguredMAC returns the MAC address that a container was made with; empty where
	// the engine makes up one at each start. Newer forms of Inspect cannot tell them apart.
	ConfiguredMAC(ctx context.Context, id string) (string, error)
	// ImageHistory lists the layers of an image, the newest first.
	ImageHistory(ctx context.Context, id string) (json.RawMessage, error)
}
