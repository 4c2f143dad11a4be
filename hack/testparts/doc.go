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

// Command testparts is "make test": it runs every part of the tests one after another, shows how far it
// is, and ends with a table and one line of numbers.
//
// A part is a command ("make lint") or a run of "go test" over some packages. Every package of a module
// belongs to a part: one that no part claims falls to "unit", so a new folder is tested the day it is
// made. All parts run, also after one that failed, unless what failed is what the others stand on.
//
// A part that ran no test fails, and so does a skipped test that skips.txt does not list with a reason:
// a test that cannot fail tests nothing. All output is kept in one log file a part.
package main
