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

package caller

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
)

func TestContext(t *testing.T) {
	if c := From(t.Context()); c != nil {
		t.Errorf("a context that nobody is in has %v", c)
	}
	ada := &Caller{User: &user.DefaultInfo{Name: "ada", UID: "1", Groups: []string{"dev"}}}
	if c := From(With(context.Background(), ada)); c != ada {
		t.Errorf("got %v", c)
	}
	if actor := ada.Actor(); actor.User != "ada" || actor.UID != "1" || len(actor.Groups) != 1 {
		t.Errorf("the actor is %+v", actor)
	}
}

func TestNobodyPrintsTheToken(t *testing.T) {
	ada := &Caller{User: &user.DefaultInfo{Name: "ada"}, Means: Cookie, BearerToken: "s3cret", Session: "s1"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, ada); strings.Contains(text, "s3cret") || !strings.Contains(text, "ada") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	if text := (*Caller)(nil).String(); text != "nobody" {
		t.Errorf("no caller is %q", text)
	}
}
