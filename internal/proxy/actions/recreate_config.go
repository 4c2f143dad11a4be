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
	"reflect"
	"slices"
)

// object is a JSON object whose members stay as they came.
type object map[string]json.RawMessage

// text, list and members read a member; what is missing or of another type is empty.
func (o object) text(key string) (s string) {
	_ = json.Unmarshal(o[key], &s)
	return s
}

func (o object) list(key string) (l []string) {
	_ = json.Unmarshal(o[key], &l)
	return l
}

func (o object) members(key string) (m object) {
	_ = json.Unmarshal(o[key], &m)
	return m
}

// set replaces a member. The values given here always encode.
func (o object) set(key string, value any) {
	raw, err := json.Marshal(value)
	if err == nil {
		o[key] = raw
	}
}

func (o object) clone() object {
	c := make(object, len(o))
	for k, v := range o {
		c[k] = v
	}
	return c
}

// same compares two JSON values by what they mean. A missing one is null.
func same(a, b json.RawMessage) bool {
	var x, y any
	if len(a) > 0 && json.Unmarshal(a, &x) != nil || len(b) > 0 && json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// userConfig takes from a container's config what its image gave, so that another image
// gives its own. An engine fills in from the image what the user left empty, and tells only
// the sum: what equals the image's is taken for the image's. A user who said by hand what
// the image says too will follow the image from then on.
func userConfig(config, image object) object {
	user := config.clone()
	for _, key := range []string{"User", "WorkingDir", "StopSignal", "Shell", "OnBuild", "ArgsEscaped"} {
		if same(config[key], image[key]) {
			delete(user, key)
		}
	}
	fromImage := image.list("Env")
	user.set("Env", slices.DeleteFunc(config.list("Env"), func(e string) bool { return slices.Contains(fromImage, e) }))
	for _, key := range []string{"Labels", "ExposedPorts", "Volumes"} {
		user.set(key, without(config.members(key), image.members(key)))
	}
	userCommand(user, config, image)
	userHealthcheck(user, config, image)
	return user
}

// without drops the members that both have with the same value.
func without(all, image object) object {
	left := object{}
	for name, value := range all {
		if theirs, ok := image[name]; !ok || !same(value, theirs) {
			left[name] = value
		}
	}
	return left
}

// userCommand undoes how engines join commands: a user's entrypoint drops the image's
// command, a user's command keeps the image's entrypoint.
func userCommand(user, config, image object) {
	ours, theirs := config.list("Entrypoint"), image.list("Entrypoint")
	if !slices.Equal(ours, theirs) {
		return // the command is the user's too, or empty
	}
	cmd := config.list("Cmd")
	if len(ours) > 0 && len(cmd) == 0 && len(image.list("Cmd")) > 0 {
		return // a user said the image's entrypoint, to be without its command
	}
	delete(user, "Entrypoint")
	if slices.Equal(cmd, image.list("Cmd")) {
		delete(user, "Cmd")
	}
}

// userHealthcheck undoes the join of health checks, which is field by field.
func userHealthcheck(user, config, image object) {
	ours, theirs := config.members("Healthcheck"), image.members("Healthcheck")
	if len(ours) == 0 || len(theirs) == 0 {
		return
	}
	left := without(ours, theirs)
	if len(left) == 0 {
		delete(user, "Healthcheck")
		return
	}
	user.set("Healthcheck", left)
}
