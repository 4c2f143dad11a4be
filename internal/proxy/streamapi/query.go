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

package streamapi

import (
	"net/url"
	"strconv"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// parameters are a request's query. They are read by name, and what was not read is refused:
// a parameter with a typo would be answered with something else than was asked for.
type parameters struct {
	values url.Values
	err    error
}

// tolerated are parameters that Kubernetes clients send and that change nothing here.
var tolerated = []string{"pretty", "timeout", "timeoutSeconds"}

func parseParameters(raw string) *parameters {
	values, err := url.ParseQuery(raw)
	p := &parameters{values: values}
	if err != nil {
		p.err = apistatus.BadRequest("the query cannot be read: it is not escaped as a URL's")
	}
	for _, name := range tolerated {
		values.Del(name)
	}
	return p
}

// fail keeps the first mistake.
func (p *parameters) fail(format string, args ...any) {
	if p.err == nil {
		p.err = apistatus.BadRequest(format, args...)
	}
}

// all returns every value of a parameter.
func (p *parameters) all(name string) []string {
	values := p.values[name]
	p.values.Del(name)
	return values
}

// one returns the value of a parameter, and whether it is there.
func (p *parameters) one(name string) (string, bool) {
	values := p.all(name)
	switch len(values) {
	case 0:
		return "", false
	case 1:
		return values[0], true
	}
	p.fail("the parameter %.80q is there twice; what is meant?", name)
	return "", false
}

// text returns a parameter, "" where it is missing.
func (p *parameters) text(name string) string {
	value, _ := p.one(name)
	return value
}

// boolean reads a parameter as Kubernetes does: alone it is true.
func (p *parameters) boolean(name string, standard bool) bool {
	value, has := p.one(name)
	switch {
	case !has:
		return standard
	case value == "":
		return true
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		p.fail("%s is true or false", name)
	}
	return b
}

// number reads a number of at least least; ok is false where it is missing.
func (p *parameters) number(name string, least, most int) (n int, ok bool) {
	value, has := p.one(name)
	if !has {
		return 0, false
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		p.fail("%s is a number from %d to %d", name, least, most)
		return 0, false
	}
	return n, true
}

// moment reads a time.
func (p *parameters) moment(name string) time.Time {
	value, has := p.one(name)
	if !has {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		p.fail("%s is a time such as 2006-01-02T15:04:05Z", name)
	}
	return t
}

// done returns what is wrong with the query.
func (p *parameters) done() error {
	if p.err != nil {
		return p.err
	}
	for name := range p.values {
		return apistatus.BadRequest("the parameter %.80q is not known here", name)
	}
	return nil
}
