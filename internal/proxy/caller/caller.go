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
	"errors"
	"fmt"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/audit"
)

// ErrRefused says that a caller's proof is not accepted any more.
var ErrRefused = errors.New("the credentials are not accepted any more")

// Means is how a caller proved who they are.
type Means string

// The means.
const (
	// Token is a bearer token that the request carried.
	Token Means = "token"
	// Certificate is a client certificate of the cluster.
	Certificate Means = "certificate"
	// FrontProxy is a kube-apiserver that aggregates the proxy's paths and vouches for
	// its own caller.
	FrontProxy Means = "front proxy"
	// Cookie is a browser's session, which holds a bearer token.
	Cookie Means = "cookie"
)

// Caller is who sent a request.
type Caller struct {
	User  user.Info
	Means Means
	// BearerToken is what the kube-apiserver takes as the caller's own proof; empty for
	// other means than Token and Cookie. It must not reach a log, a record or an engine.
	BearerToken string
	// Session names the browser's session, which can end before its token; empty for other
	// means than Cookie.
	Session string
	// Expires is when the proof ends; zero where it does not say.
	Expires time.Time
	// Check asks again whether the proof still holds; nil where only Expires ends it. The
	// error is ErrRefused where it does not; each other one means that nobody could be
	// asked.
	Check func(context.Context) error
	// Source is the address the request came from, without a port.
	Source string
	// RequestID is ours; the answer has it as Audit-Id.
	RequestID string
}

// Actor is the caller as the audit trail names them.
func (c *Caller) Actor() audit.Actor {
	return audit.Actor{User: c.User.GetName(), UID: c.User.GetUID(), Groups: c.User.GetGroups()}
}

// String names the caller without the proof, for whoever prints one.
func (c *Caller) String() string {
	if c == nil {
		return "nobody"
	}
	return fmt.Sprintf("%q by %s", c.User.GetName(), c.Means)
}

// GoString is String: %#v would spell the token out.
func (c *Caller) GoString() string { return c.String() }

type key struct{}

// With returns a context that carries the caller.
func With(ctx context.Context, c *Caller) context.Context { return context.WithValue(ctx, key{}, c) }

// From returns the caller of a context, nil where there is none: then nothing may be
// done.
func From(ctx context.Context) *Caller {
	c, _ := ctx.Value(key{}).(*Caller)
	return c
}
