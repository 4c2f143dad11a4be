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

// Package web holds the console: the pages the proxy serves to a browser.
//
// The console is built with npm into dist, which git ignores. A binary built without that step serves
// the page in placeholder instead, so that "go build" and "go test" never need Node. The files are
// compiled into the binary: the image has no file system of its own to read them from, and a page can
// never be of another version than the API it talks to.
package web
