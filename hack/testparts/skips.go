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

package main

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed skips.txt
var skipsText string

// parseSkips reads the allow-list: on each line a package relative to the module, a test, and after
// " # " the reason. A test that ends in * stands for all that begin so.
func parseSkips(text string) (map[string]string, error) {
	allowed := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		test, reason, _ := strings.Cut(line, " # ")
		if fields := strings.Fields(test); len(fields) != 2 || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("skips.txt: %q is not «package test # reason»", line)
		}
		allowed[strings.Join(strings.Fields(test), " ")] = strings.TrimSpace(reason)
	}
	return allowed, nil
}

// skipReason returns why a test may be skipped, and whether it may at all.
func skipReason(allowed map[string]string, id testID) (string, bool) {
	name := id.String()
	if reason, ok := allowed[name]; ok {
		return reason, true
	}
	for pattern, reason := range allowed {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(name, prefix) {
			return reason, true
		}
	}
	return "", false
}
