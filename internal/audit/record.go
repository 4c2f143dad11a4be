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

package audit

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Outcome says how far an action came.
type Outcome string

// The outcomes.
const (
	// Allowed: the action is about to be done. Its outcome follows in a record with
	// the same RequestID.
	Allowed Outcome = "allowed"
	// Denied: the action was refused, and nothing was done.
	Denied Outcome = "denied"
	// Succeeded: the action was done.
	Succeeded Outcome = "succeeded"
	// Failed: the action was tried and failed; parts of it may have been done.
	Failed Outcome = "failed"
)

// Outcomes returns every outcome.
func Outcomes() []Outcome { return []Outcome{Allowed, Denied, Succeeded, Failed} }

// Actor is who acts: the identity that was authenticated, or a controller's name.
type Actor struct {
	User   string   `json:"user"`
	UID    string   `json:"uid,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// Host is the DockerHost acted on. UID is empty where there is no such object.
type Host struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
}

// Object is what is acted on within an engine, such as a Container. ID is the
// engine's, Name what people call it; either may be empty.
type Object struct {
	Kind string `json:"kind,omitempty"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Regarding is the Kubernetes object that an action is about where that is not the
// DockerHost itself: a SwarmService, of the API group dockercontrol.dev.
type Regarding struct {
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
}

// Record says who did what, to what, and how it went. Every field is a name, a
// number or a word of a closed set, but for the command of an exec: see the package's
// "What may not enter".
type Record struct {
	// Time is when the action began; the sink fills it in where it is zero.
	Time  time.Time `json:"time"`
	Actor Actor     `json:"actor"`
	// Source is the address the request came from, without a port; empty for
	// controllers.
	Source string `json:"source,omitempty"`
	// Verb is what is done, in lower case: get, create, start, remove.
	Verb   string `json:"verb"`
	Host   Host   `json:"host,omitzero"`
	Object Object `json:"object,omitzero"`
	// Regarding is the object that its Event is on; zero means the DockerHost.
	Regarding Regarding `json:"regarding,omitzero"`
	Outcome   Outcome   `json:"outcome"`
	// Reason says why it was denied or failed, as one word in CamelCase.
	Reason string `json:"reason,omitempty"`
	// Duration is how long the action took; zero where it was not done.
	Duration time.Duration `json:"-"` // durationSeconds in a line
	// RequestID joins the records of one request.
	RequestID string `json:"requestID,omitempty"`
	// Detail is what only sessions have.
	Detail *Detail `json:"detail,omitempty"`
	// Told: whoever acts makes an Event of the success itself, so that the Notifier does
	// not.
	Told bool `json:"-"`
	// Count is how many events of one kind this record stands for; zero is one.
	Count int `json:"count,omitempty"`
}

// Bounds of what a record holds, in bytes. With every byte escaped to two they stay
// below maxLine together; 56 KiB are the most that they come to.
const (
	maxName      = 512 // a Kubernetes name has 253, an engine's id 64; users and paths have no bound of their own
	maxGroup     = 256
	maxGroups    = 64
	maxWord      = 64
	cutMark      = "…"
	unspecified  = "Unspecified"
	manyMoreMark = "(more groups, not recorded)"
)

// clean returns the record with every text bounded and printable. It changes nothing
// that the caller's record points to.
func (r Record) clean() Record {
	name := func(s *string) { *s = cleanText(*s, maxName) }
	word := func(s *string) { *s = cleanText(*s, maxWord) }
	for _, s := range []*string{
		&r.Actor.User, &r.Actor.UID, &r.Host.Namespace, &r.Host.Name, &r.Host.UID, &r.Object.ID, &r.Object.Name,
		&r.Regarding.Namespace, &r.Regarding.Name, &r.Regarding.UID,
	} {
		name(s)
	}
	for _, s := range []*string{&r.Source, &r.Verb, &r.Object.Kind, &r.Regarding.Kind, (*string)(&r.Outcome), &r.RequestID} {
		word(s)
	}
	r.Actor.Groups = cleanGroups(r.Actor.Groups)
	r.Detail = r.Detail.clean()
	if r.Reason != "" && !isReason(r.Reason) {
		r.Reason = unspecified
	}
	r.Time = r.Time.UTC()
	return r
}

func cleanGroups(groups []string) []string {
	var out []string
	for i, g := range groups {
		if i == maxGroups-1 && len(groups) > maxGroups {
			return append(out, manyMoreMark)
		}
		out = append(out, cleanText(g, maxGroup))
	}
	return out
}

// isReason reports whether s is one word in CamelCase, which the text of an error
// is not.
func isReason(s string) bool {
	if len(s) > maxWord || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	})
}

// cleanText replaces each character that steers a terminal, the direction of text
// or a line's end, and each byte that is not UTF-8, and cuts at limit bytes.
func cleanText(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit-len(cutMark)]
		for len(s) > 0 && !endsWhole(s) {
			s = s[:len(s)-1]
		}
	}
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '?' // one byte, so that cleaning never makes a text longer
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if cut {
		s += cutMark
	}
	return s
}

// endsWhole reports whether the last character of s is whole.
func endsWhole(s string) bool {
	r, size := utf8.DecodeLastRuneInString(s)
	return r != utf8.RuneError || size > 1
}
