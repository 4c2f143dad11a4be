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

package proxy

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
)

// list is a typed list, as far as tests look at it.
type list struct {
	Kind     string
	Metadata struct{ Continue string }
	Items    []item
}

type item struct {
	Kind     string
	Metadata struct{ Name, Namespace, UID string }
	Host     string
	Docker   json.RawMessage
}

// typed is a path of the host's in the typed API.
func (b *bed) typed(rest string) string {
	return engineAPI + "/namespaces/" + b.namespace + "/dockerhosts/" + b.host.Name + "/" + rest
}

// has checks how many items a list has.
func has(n int) func(answer) error {
	return func(a answer) error {
		var l list
		if err := json.Unmarshal(a.body, &l); err != nil {
			return err
		}
		if len(l.Items) != n {
			return fmt.Errorf("the list has %d items, want %d: %.1000s", len(l.Items), n, a.body)
		}
		return nil
	}
}

// hasAll checks that ids are in a list.
func hasAll(ids map[string]bool) func(answer) error {
	return func(a answer) error {
		var l list
		if err := json.Unmarshal(a.body, &l); err != nil {
			return err
		}
		missing := len(ids)
		for _, item := range l.Items {
			if ids[item.Metadata.UID] {
				missing--
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of %v are not in the list", missing, ids)
		}
		return nil
	}
}

// succeeded checks that a job has.
func succeeded(a answer) error {
	var v jobs.View
	if err := json.Unmarshal(a.body, &v); err != nil {
		return err
	}
	if v.State != jobs.Succeeded {
		return fmt.Errorf("the job is %s: %+v", v.State, v.Error)
	}
	return nil
}
