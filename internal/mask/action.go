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

package mask

import (
	"bytes"
	"regexp"
)

// Mark stands for a text that was masked.
const Mark = "(masked)"

// action appends to out what is to be seen of a scalar, a token as it stands in the answer.
type action func(out, token []byte) []byte

// zero is for all that no rule names: what a typed client reads as nothing, of the same JSON type.
func zero(out, token []byte) []byte {
	switch token[0] {
	case '"':
		return append(out, `""`...)
	case 't', 'f':
		return append(out, "false"...)
	case 'n':
		return append(out, "null"...)
	default:
		return append(out, '0')
	}
}

// keep is for what everybody may see. A number stays as it is written.
func keep(out, token []byte) []byte {
	if token[0] == '"' {
		return appendText(out, token)
	}
	return append(out, token...)
}

// hide is zero for texts that people read: they shall see that there is one.
func hide(out, token []byte) []byte {
	if token[0] != '"' || len(token) == 2 {
		return zero(out, token)
	}
	return append(out, `"`+Mark+`"`...)
}

// maxName bounds the name in a "name=value".
const maxName = 256

// pair hides the value of a "name=value", as environments and an engine's labels are written.
func pair(out, token []byte) []byte {
	name, _, found := bytes.Cut(token[1:], []byte("="))
	if token[0] != '"' || !found || len(name) == 0 || len(name) > maxName || !isName(name) {
		return hide(out, token)
	}
	out = append(append(out, '"'), name...)
	return append(out, `=`+Mark+`"`...)
}

// isName tells names, as they stand in JSON, from whatever else somebody puts before a "=".
func isName(text []byte) bool {
	for _, c := range text {
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == '.' || c == '-' || c == '/') {
			return false
		}
	}
	return true
}

// matching keeps what is all of pattern and hides the rest.
func matching(pattern string) action {
	whole := regexp.MustCompile(`^"(?:` + pattern + `)"$`)
	return func(out, token []byte) []byte {
		if whole.Match(token) {
			return append(out, token...)
		}
		return hide(out, token)
	}
}

// eventAction keeps what happened and hides with what: "exec_create: /bin/sh -c ..." names a command.
func eventAction(out, token []byte) []byte {
	if plainAction.Match(token) {
		return append(out, token...)
	}
	if verb := withDetail.FindSubmatch(token); verb != nil {
		return append(append(out, verb[1]...), `: `+Mark+`"`...)
	}
	return hide(out, token)
}

var (
	plainAction = regexp.MustCompile(`^"(?:[a-z][a-z_-]{0,31}|health_status: (?:healthy|unhealthy|starting|none))"$`)
	withDetail  = regexp.MustCompile(`^("(?:exec_create|exec_start|exec_detach|exec_die|health_status)):`)
)

// taskError keeps the sentences that the engine makes of nothing but its own words and numbers.
var taskError = matching(`task: non-zero exit \([0-9]+\)(?:: dockerexec: unhealthy container)?` +
	`|no suitable node \([a-z0-9 ,;-]*\)`)

// byKey chooses the action by the key that the value has.
type byKey map[string]action

// labels are those whose values everybody may see: what a thing belongs to. All others show their key only, because
// labels configure (a reverse proxy's password hashes, a backup's credentials). Also hidden are Compose's config-hash
// (passwords can be guessed with it), its paths, and the URLs of an image's source (tokens are left in them).
var labels = byKey{
	"com.docker.compose.project":          keep,
	"com.docker.compose.service":          keep,
	"com.docker.compose.container-number": keep,
	"com.docker.compose.oneoff":           keep,
	"com.docker.compose.depends_on":       keep,
	"com.docker.compose.image":            keep,
	"com.docker.compose.version":          keep,
	"com.docker.compose.network":          keep,
	"com.docker.compose.volume":           keep,

	"com.docker.stack.namespace": keep,

	"com.docker.swarm.node.id":      keep,
	"com.docker.swarm.service.id":   keep,
	"com.docker.swarm.service.name": keep,
	"com.docker.swarm.task.id":      keep,
	"com.docker.swarm.task.name":    keep,

	"org.opencontainers.image.version":  keep,
	"org.opencontainers.image.revision": keep,
	"org.opencontainers.image.created":  keep,
}

// attributes of an event are the engine's own, of which these may be seen, mixed with labels. Any label can be called
// like one of the engine's, hence the patterns; name and image are always the engine's.
var attributes = func() byKey {
	driver := "local|bridge|host|null|none|overlay|macvlan|ipvlan"
	number := matching("[0-9]{1,10}")
	all := byKey{
		"name": keep, "image": keep,
		"exitCode": number, "signal": number, "execDuration": number,
		"replicas.new": number, "replicas.old": number,
		"container": matching("[0-9a-f]{64}"),
		"type":      matching("bind|volume|tmpfs|npipe|cluster|image|" + driver),
		"driver":    matching(driver),

		"state.new": state, "state.old": state, "updatestate.new": state, "updatestate.old": state,
		"availability.new": state, "availability.old": state, "role.new": state, "role.old": state,
		"leader.new": state, "leader.old": state, "reachability.new": state, "reachability.old": state,
	}
	for key, action := range labels {
		all[key] = action
	}
	return all
}()

// state is one of those that swarm objects have.
var state = matching("true|false|unknown|down|ready|disconnected|active|pause|drain|worker|manager|unreachable|reachable|" +
	"updating|paused|completed|rollback_started|rollback_paused|rollback_completed")
