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

package sim

// The syntax tree of the shell scripts that simulated processes run: a bounded
// subset of POSIX sh.

// list is statements in turn.
type list []statement

// statement is pipelines joined by && and ||, perhaps in the background.
type statement struct {
	first      pipeline
	rest       []joined
	background bool
}

type joined struct {
	and  bool // else or
	next pipeline
}

// pipeline is commands joined by |.
type pipeline struct {
	negate   bool
	commands []command
}

// command is a simple command (words) or one of the compound ones.
type command struct {
	assigns   []assign
	words     []word
	compound  compound
	redirects []redirect
}

type compound interface{ isCompound() }

type (
	// whileLoop runs body while cond gives zero; until: while it does not.
	whileLoop struct {
		cond, body list
		until      bool
	}
	forLoop struct {
		name  string
		items []word
		body  list
	}
	// ifElse runs the first branch whose condition gives zero; a branch with no
	// condition is the else.
	ifElse struct{ branches []branch }
	branch struct{ cond, body list }
	// group is { list; } or, in a subshell, ( list ).
	group struct {
		body     list
		subshell bool
	}
)

func (whileLoop) isCompound() {}
func (forLoop) isCompound()   {}
func (ifElse) isCompound()    {}
func (group) isCompound()     {}

type assign struct {
	name  string
	value word
}

// redirect sends fd to a file, or to what dup is open on.
type redirect struct {
	fd    int
	dup   int // -1 for a file
	file  word
	input bool
}

// word is parts put together; what is not quoted is split at white space after
// its expansion.
type word []part

type part struct {
	text     string // literal text, a variable's name, or an arithmetic expression
	kind     partKind
	quoted   bool
	fallback *string // of ${name:-fallback}
	script   list    // of $(...)
}

type partKind byte

const (
	literal partKind = iota
	variable
	substitution
	arithmetic
)
