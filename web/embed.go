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

package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist placeholder
var files embed.FS

// Files returns the console's files with index.html at the root: those of the last console build, or
// the placeholder page where there was none.
func Files() fs.FS {
	if _, err := fs.Stat(files, "dist/index.html"); err == nil {
		return sub("dist")
	}
	return sub("placeholder")
}

// sub returns an embedded folder as a file system of its own.
func sub(dir string) fs.FS {
	tree, err := fs.Sub(files, dir)
	if err != nil { // only for a name that is no valid path, and the names are the two constants above
		panic(err)
	}
	return tree
}
