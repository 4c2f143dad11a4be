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
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// small is a policy with one of everything.
var small = compile(fields{
	"Id Big Names.* Ports.*.*": keep,
	"Note":                     hide,
	"Env.*":                    pair,
	"Labels":                   labels,
	"Action":                   eventAction,
	"Nested":                   fields{"Seen": keep},
})

func TestRewrite(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"what is kept stays as it is written": {
			`{"Id":"a\u00e9\n\/é","Big":18446744073709551617}`, `{"Id":"a\u00e9\n\/é","Big":18446744073709551617}`},
		"numbers beyond any float": {`{"Big":1e400,"Id":-0.10E+5}`, `{"Big":1e400,"Id":-0.10E+5}`},
		"what is unknown is zero of its type": {
			`{"s":"x","n":12,"t":true,"f":false,"z":null,"o":{"k":"v"},"a":["v",[{"x":1}]]}`,
			`{"s":"","n":0,"t":false,"f":false,"z":null,"o":{},"a":[]}`},
		"a name in other letter case is unknown":       {`{"id":"x","ID":"y"}`, `{"id":"","ID":""}`},
		"so is a name in escapes":                      {`{"\u0049d":"x"}`, `{"\u0049d":""}`},
		"each of several of a name is judged":          {`{"Nested":{"Seen":1},"Nested":{"x":"y"},"Nested":"z"}`, `{"Nested":{"Seen":1},"Nested":{"x":""},"Nested":""}`},
		"an object where a text was expected is empty": {`{"Id":{"Id":"x"},"Note":["x"]}`, `{"Id":{},"Note":[]}`},
		"a text where an object was expected is empty": {`{"Nested":"x","Labels":"x"}`, `{"Nested":"","Labels":""}`},
		"order and white space":                        {" {\n \"x\" : 1 , \"Id\" : \"i\" ,\t\"Names\" : [ \"a\" , \"b\" ] } \n", ` {"x":0,"Id":"i","Names":["a","b"]} ` + "\n"},
		"maps and arrays in each other":                {`{"Ports":{"80/tcp":["a"],"81/tcp":null}}`, `{"Ports":{"80/tcp":["a"],"81/tcp":null}}`},
		"a text to be marked":                          {`{"Note":"x"}`, `{"Note":"(masked)"}`},
		"an empty one is not":                          {`{"Note":""}`, `{"Note":""}`},
		"environment": {
			`{"Env":["A=b","LONG.na-me_1=","C\u003dd","no name","=x","É=x","a b=c",1]}`,
			`{"Env":["A=(masked)","LONG.na-me_1=(masked)","(masked)","(masked)","(masked)","(masked)","(masked)",0]}`},
		"labels": {
			`{"Labels":{"com.docker.compose.project":"p","com.docker.compose.config-hash":"h","x":"","y":"v","z":{"a":"b"}}}`,
			`{"Labels":{"com.docker.compose.project":"p","com.docker.compose.config-hash":"(masked)","x":"","y":"(masked)","z":{}}}`},
		"actions": {
			`{"Action":"start"}{"Action":"exec_create: /bin/sh -c x"}{"Action":"health_status: healthy"}{"Action":"health_status: x"}{"Action":"A: x"}`,
			`{"Action":"start"}{"Action":"exec_create: (masked)"}{"Action":"health_status: healthy"}{"Action":"health_status: (masked)"}{"Action":"(masked)"}`},
		"no UTF-8":                {"{\"Id\":\"a\xffb\",\"\xc0\":\"x\"}", "{\"Id\":\"a\uFFFDb\",\"\uFFFD\":\"\"}"},
		"a sequence":              {"{\"Id\":\"a\"}\n{\"Id\":\"b\"}\r\n", "{\"Id\":\"a\"}\n{\"Id\":\"b\"}\r\n"},
		"a sequence of RFC 7464":  {"\x1e{\"Id\":\"a\"}\n\x1e{\"Id\":\"b\"}\n", "\x1e{\"Id\":\"a\"}\n\x1e{\"Id\":\"b\"}\n"},
		"an array is not an item": {`[{"Id":"a"}]`, `[]`},
		"a bare text":             {`"x"`, `""`},
		"nothing":                 {"", ""},
		"white space":             {" \n", " \n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for reader, src := range map[string]io.Reader{
				"at once":   strings.NewReader(test.in),
				"bytewise":  iotest.OneByteReader(strings.NewReader(test.in)),
				"with data": iotest.DataErrReader(strings.NewReader(test.in)),
			} {
				var out bytes.Buffer
				if err := small.Copy(&out, src); err != nil {
					t.Errorf("%s: %v", reader, err)
				}
				if diff := cmp.Diff(test.want, out.String()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", reader, diff)
				}
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)
	long := `{"Id":"` + strings.Repeat("x", 2*maxToken) + `"}`
	for _, in := range []string{
		`{`, `[`, `{"Id"`, `{"Id":`, `{"Id":"x`, `{"Id":"x"`, `{"Id":"x",`, `{"Id":"x",}`, `{,}`, `[,]`, `[1,]`, `[1 2]`, `[1}`, `{"a":1]`,
		`{"Id" "x"}`, `{Id:1}`, `{1:1}`, `}`, `]`, `:`, `,`, `"\x"`, `"\u12g4"`, `"\u12`, `"\`, `"`, "\"a\nb\"", "\"\x00\"",
		`01`, `1.`, `.1`, `1e`, `+1`, `-`, `1e+`, `0x1`, `NaN`, `tru`, `True`, `truefalse`, `nul`, "\ufeff{}", `// c`, `<html>`, "\x1f\x8b\x08", deep, long,
	} {
		var out bytes.Buffer
		if err := small.Copy(&out, strings.NewReader(in)); !errors.Is(err, ErrMalformed) {
			t.Errorf("Copy of %.40q: %v", in, err)
		}
		if got, err := small.Append([]byte("before"), []byte(in)); !errors.Is(err, ErrMalformed) && in != long || string(got) != "before" && in != long {
			t.Errorf("Append of %.40q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{``, ` `, `{} {}`, `{}x`} {
		if got, err := small.Append(nil, []byte(in)); !errors.Is(err, ErrMalformed) || got != nil {
			t.Errorf("Append of %q: %q, %v", in, got, err)
		}
	}
}

// TestErrorsTellNothing: an error goes into logs.
func TestErrorsTellNothing(t *testing.T) {
	err := small.Copy(io.Discard, strings.NewReader(`{"Id":canary}`))
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("the error is %v", err)
	}
	if want := "the engine's answer cannot be masked: at byte 6 there is something that is no value"; err.Error() != want {
		t.Errorf("the error is %q, want %q", err, want)
	}
}

// TestLongTokens have to be longer than the buffer, and end at each place in it.
func TestLongTokens(t *testing.T) {
	for _, length := range []int{bufferSize - 10, bufferSize - 9, bufferSize - 8, bufferSize - 7, bufferSize, 3 * bufferSize, maxToken - 2} {
		for _, unit := range []string{"x", `\n`, `\u1234`} {
			text := strings.Repeat(unit, length/len(unit))
			in := `{"skipped":"` + text + `","Id":"` + text + `","Big":` + strings.Repeat("7", length%100000+1) + `}`
			var out bytes.Buffer
			if err := small.Copy(&out, strings.NewReader(in)); err != nil {
				t.Fatalf("%d bytes of %q: %v", length, unit, err)
			}
			if want := strings.Replace(in, text, "", 1); out.String() != want {
				t.Errorf("%d bytes of %q came out as %d bytes, want %d", length, unit, out.Len(), len(want))
			}
		}
	}
}

// TestMemoryIsBounded: a long answer is written as it comes.
func TestMemoryIsBounded(t *testing.T) {
	item := `{"Id":"` + strings.Repeat("x", 100) + `","Note":"` + strings.Repeat("y", 100) + `"},`
	src := io.MultiReader(strings.NewReader("["), io.LimitReader(&repeated{text: item}, int64(len(item))*100_000), strings.NewReader("1]"))
	var longest int
	err := compile(list(fields{"Id": keep, "Note": hide})).Copy(writerFunc(func(p []byte) (int, error) {
		longest = max(longest, len(p))
		return len(p), nil
	}), src)
	if err != nil {
		t.Fatal(err)
	}
	if longest > 4*bufferSize {
		t.Errorf("%d bytes were held back", longest)
	}
}

type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestFollowedEventsComeAtOnce: each line is out before the next is read.
func TestFollowedEventsComeAtOnce(t *testing.T) {
	engine, answer := io.Pipe()
	caller, masked := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- byOperation["GET /events"].Copy(masked, engine)
		_ = masked.Close()
	}()
	events := json.NewDecoder(caller)
	for range 3 {
		if _, err := io.WriteString(answer, `{"Action":"exec_create: canary","Type":"container","time":1}`+"\n"); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Action, Type string
			Time         int64
		}
		if err := events.Decode(&got); err != nil || got.Action != "exec_create: (masked)" || got.Type != "container" || got.Time != 1 {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	if err := answer.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, caller); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOthersErrors(t *testing.T) {
	broken := errors.New("broken")
	if err := small.Copy(io.Discard, iotest.ErrReader(broken)); !errors.Is(err, broken) || errors.Is(err, ErrMalformed) {
		t.Errorf("a reader's error came out as %v", err)
	}
	fails := writerFunc(func([]byte) (int, error) { return 0, broken })
	if err := small.Copy(fails, strings.NewReader("{}")); !errors.Is(err, broken) {
		t.Errorf("a writer's error came out as %v", err)
	}
	idle := readerFunc(func([]byte) (int, error) { return 0, nil })
	if err := small.Copy(io.Discard, idle); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that reads nothing came out as %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAppendAppends(t *testing.T) {
	got, err := small.Append([]byte("before "), []byte(` {"Id":"x","y":1} `))
	if want := `before {"Id":"x","y":0}`; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
