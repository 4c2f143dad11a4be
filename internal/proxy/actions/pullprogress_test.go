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
	"encoding/json"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestPullProgress(t *testing.T) {
	var told []PullProgress
	p := newPullProgress("app:1", func(v PullProgress) { told = append(told, v) })
	p.add(engine.PullProgress{ID: "1", Status: "Pulling from app"})
	p.add(engine.PullProgress{ID: "aaa", Status: "Downloading", Current: 5, Total: 10})
	p.add(engine.PullProgress{ID: "bbb", Status: "Already exists"})
	p.add(engine.PullProgress{ID: "aaa", Status: "Pull complete"})
	p.add(engine.PullProgress{Status: strings.Repeat("x", 1000)})
	for range maxLayers {
		p.add(engine.PullProgress{ID: strings.Repeat("c", len(p.index)+4), Status: "Waiting"})
	}
	p.flush()
	p.flush()
	last := told[len(told)-1]
	if last.Current != 10 || last.Total != 10 || last.Layers[0].Status != "Pull complete" || len(last.Status) != maxStatus || last.Omitted == 0 || len(last.Layers) > maxLayers {
		t.Errorf("the progress is %+v", last)
	}
	if len(told) > 3 {
		t.Errorf("it was told %d times within a moment", len(told))
	}
	if raw, err := json.Marshal(last); err != nil || len(raw) > 64<<10 {
		t.Errorf("the progress takes %d bytes, %v", len(raw), err)
	}
}
