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

package access

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxPath bounds a path: an image reference has at most some 600 characters, everything else less.
	maxPath = 2 << 10
	// maxQuery bounds a query: build arguments and filters travel there. An engine takes 1 MiB of headers.
	maxQuery = 64 << 10
	// maxParameters bounds the parameters: "docker save" sends one an image.
	maxParameters = 1024
	// minMinor is the oldest API version served, 1.40 (Docker 19.03).
	minMinor = 40
)

// listParameters are the parameters that the engine reads all values of. Every other has one: engines differ in
// whether the first or the last of several counts.
var listParameters = []string{"changes", "extrahosts", "names", "platform", "platforms", "securityopt", "t", "type"}

// decodePath decodes a path once and refuses what an engine, or anything between here and there, could take
// for another path. The result goes upstream as escapePath has it.
func decodePath(raw string) (string, error) {
	if len(raw) > 3*maxPath {
		return "", refuse("path", "it is longer than %d bytes", maxPath)
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return "", refuse("path", "it holds a %% that starts no escape of two hexadecimal digits")
	}
	switch {
	case len(path) > maxPath:
		return "", refuse("path", "it is longer than %d bytes", maxPath)
	case !strings.HasPrefix(path, "/"):
		return "", refuse("path", "it must begin with a slash")
	case !utf8.ValidString(path):
		return "", refuse("path", "it is not UTF-8")
	case strings.ContainsFunc(path, unicode.IsControl):
		return "", refuse("path", "it holds a control character")
	case strings.ContainsAny(path, `\%`):
		return "", refuse("path", `it holds a backslash or an escaped percent sign, of which no name has any; escape a path once`)
	case strings.Contains(path, "//"):
		return "", refuse("path", "it holds an empty segment (//); leave the slash in front of a container's name out")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "", refuse("path", "it holds a dot segment; send the path that it stands for")
		}
	}
	return path, nil
}

// escapePath is the one spelling of a decoded path.
func escapePath(path string) string {
	return (&url.URL{Path: path}).EscapedPath()
}

// splitVersion takes the prefix /vX.Y off a decoded path. Version is "" where there is none; the engine then
// takes its newest.
func splitVersion(path string) (version, rest string, err error) {
	after, ok := strings.CutPrefix(path, "/v")
	end := strings.IndexByte(after, '/')
	if !ok || end < 1 || strings.Trim(after[:end], "0123456789.") != "" {
		return "", path, nil
	}
	version, rest = after[:end], after[end:]
	minor, ok := strings.CutPrefix(version, "1.")
	number, convErr := strconv.Atoi(minor)
	if !ok || convErr != nil || minor != strconv.Itoa(number) || number > 999 {
		return "", "", refuse("path", "%q is no version of the Docker Engine API; it is written as /v1.%d", "/v"+version, minMinor)
	}
	if number < minMinor {
		return "", "", refuse("path",
			"API version %s is too old: 1.%d and newer are served; update the client or raise its DOCKER_API_VERSION",
			version, minMinor)
	}
	return version, rest, nil
}

// parameters is a decoded query. No key is there twice in different letter case: Podman ignores the case.
type parameters url.Values

// decodeQuery decodes a query once and refuses what has several readings.
func decodeQuery(raw string) (parameters, error) {
	if len(raw) > maxQuery {
		return nil, refuse("query", "it is longer than %d bytes", maxQuery)
	}
	if strings.Count(raw, "&") >= maxParameters {
		return nil, refuse("query", "it has more than %d parameters", maxParameters)
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, refuse("query", "it holds a space or a control character; escape it")
	}
	if strings.Contains(raw, ";") {
		return nil, refuse("query", "it holds a semicolon, which separates parameters for some servers; escape it as %%3B")
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse("query", "it holds a %% that starts no escape of two hexadecimal digits")
	}
	seen := make(map[string]bool, len(values))
	for key, all := range values {
		if key == "" || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
			return nil, refuse("query", "it holds a parameter whose name is empty or unprintable")
		}
		folded := fold(key)
		if seen[folded] || len(all) > 1 && !slices.Contains(listParameters, key) {
			return nil, refuse("query", "parameter %.100q is there more than once", key)
		}
		seen[folded] = true
		if slices.ContainsFunc(all, func(value string) bool { return strings.Contains(value, "\x00") }) {
			return nil, refuse("query", "parameter %.100q holds a NUL", key)
		}
	}
	return parameters(values), nil
}

// fold returns the same text for all keys that strings.EqualFold calls equal.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, key)
}

// get returns the value of a parameter in whatever letter case it is there.
func (p parameters) get(name string) (value string, there bool) {
	for key, all := range p {
		if strings.EqualFold(key, name) {
			return all[0], true
		}
	}
	return "", false
}

// enabled says whether an engine takes a parameter for true: everything is but these words.
func (p parameters) enabled(name string) bool {
	value, _ := p.get(name)
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "", "0", "no", "false", "none":
		return false
	default:
		return true
	}
}

// encode is the one spelling of a decoded query: sorted by key, values in their order.
func (p parameters) encode() string {
	return url.Values(p).Encode()
}
