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

// facts are what a line of the table may look at besides the path.
type facts struct {
	query parameters
}

// logDetails: "details" puts the environment values that a log driver was told to attach into the log.
func logDetails(f *facts) *Right {
	if f.query.enabled("details") {
		return &Right{Inspect, Get}
	}
	return nil
}

// startCheckpoint: a checkpoint is a process image out of any directory of the host.
func startCheckpoint(f *facts) *Right {
	for _, name := range []string{"checkpoint", "checkpoint-dir"} {
		if value, _ := f.query.get(name); value != "" {
			return &Right{Raw, Create}
		}
	}
	return nil
}

// imageImport: only with fromImage, in exactly these letters, and without fromSrc, in whatever, is it a pull
// from a registry; else it is an import of the body or of a URL, which the engine fetches from its own network.
func imageImport(f *facts) *Right {
	image := f.query["fromImage"]
	if _, imports := f.query.get("fromSrc"); len(image) == 0 || image[0] == "" || imports {
		return &Right{Images, Update}
	}
	return nil
}
