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
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzCopy holds every policy to what encoding/json reads out of an answer before and after.
func FuzzCopy(f *testing.F) {
	f.Add([]byte(`{"Id":"a","Config":{"Env":["A=canary"],"Cmd":["canary"],"Tty":true},"x":[1e400,null]}`))
	f.Add([]byte(`[{"Command":"canary","Labels":{"com.docker.compose.project":"p","k":"canary"}}]`))
	f.Add([]byte("{\"Action\":\"exec_create: canary\"}\n{\"Type\":\"node\"}"))
	f.Add([]byte(`{"Id":"\u00e9\ud800","id":"canary","\u0049d":"canary"}`))
	policies := []*Policy{small}
	for _, name := range Operations() {
		policies = append(policies, byOperation[name])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, p := range policies {
			checkCopy(t, p, in)
		}
	})
}

func checkCopy(t *testing.T, p *Policy, in []byte) {
	t.Helper()
	var out, bytewise bytes.Buffer
	err := p.Copy(&out, bytes.NewReader(in))
	err2 := p.Copy(&bytewise, iotest.OneByteReader(bytes.NewReader(in)))
	if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(out.Bytes(), bytewise.Bytes()) {
		t.Fatalf("%q came out as %q, %v, and read bytewise as %q, %v", in, out.Bytes(), err, bytewise.Bytes(), err2)
	}
	one, errOne := p.Append(nil, in)
	if valid := json.Valid(in) && depth(in) <= maxDepth; valid != (errOne == nil) {
		t.Fatalf("%q: valid is %v, and the error %v", in, valid, errOne)
	}
	if errOne == nil && (!json.Valid(one) || !bytes.Equal(bytes.TrimSpace(out.Bytes()), one)) {
		t.Fatalf("%q came out as %q, and as an item as %q", in, out.Bytes(), one)
	}
	if err != nil {
		return
	}
	values := json.NewDecoder(strings.NewReader(strings.ReplaceAll(out.String(), "\x1e", "")))
	values.UseNumber()
	for {
		var v any
		if err := values.Decode(&v); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%q came out as %q: %v", in, out.Bytes(), err)
		}
		checkMasked(t, p.root, v)
	}
	var again bytes.Buffer
	if err := p.Copy(&again, bytes.NewReader(out.Bytes())); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Fatalf("%q came out as %q, and that as %q, %v", in, out.Bytes(), again.Bytes(), err)
	}
}

// checkMasked fails the test where v holds anything that n does not let through.
func checkMasked(t *testing.T, n *node, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			checkMasked(t, n.member([]byte(key)), member)
		}
	case []any:
		for _, element := range v {
			checkMasked(t, n.element(), element)
		}
	default:
		var token bytes.Buffer
		e := json.NewEncoder(&token)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		seen := bytes.TrimSpace(token.Bytes())
		var may []byte
		if n == nil || n.action == nil {
			may = zero(nil, seen)
		} else {
			may = n.action(nil, seen)
		}
		if !bytes.Equal(may, seen) {
			t.Fatalf("%s is to be seen where only %s may be", seen, may)
		}
	}
}

// depth is how deep valid JSON nests.
func depth(in []byte) int {
	deepest, now := 0, 0
	tokens := json.NewDecoder(bytes.NewReader(in))
	tokens.UseNumber()
	for {
		token, err := tokens.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			now++
			deepest = max(deepest, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
	}
}
