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

package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

const (
	// protocolHeader and protocolToken are where a browser's script can put a token
	// for a WebSocket, which takes no headers of its own: Kubernetes' convention.
	protocolHeader = "Sec-Websocket-Protocol"
	protocolToken  = "base64url.bearer.authorization.k8s.io."

	// maxReviews bounds the unknown tokens of a source under review at once: with the
	// rate of bad ones, what a flood costs the kube-apiserver.
	maxReviews = 64
	// rememberAccepted tokens, of 32 bytes each, hold good for acceptedFor against the
	// limits of their source.
	rememberAccepted = 8192
	acceptedFor      = 10 * time.Minute
	// farthest is the last time that a JWT may name, in the year 9999: what JSON can
	// write of it.
	farthest = 253402300799
)

// takeToken takes the bearer token out of a request, and everything like one. It is
// read by Kubernetes' own parts, from the header Authorization if there is one, and
// else from a WebSocket's subprotocols.
func takeToken(r *http.Request) (token string, err error) {
	capture := authenticator.TokenFunc(func(_ context.Context, t string) (*authenticator.Response, bool, error) {
		token = t
		return nil, true, nil
	})
	if hasAuthorization(r) {
		_, _, err = bearertoken.New(capture).AuthenticateRequest(r)
	} else {
		_, _, err = websocket.NewProtocolAuthenticator(capture).AuthenticateRequest(r)
	}
	r.Header.Del("Authorization")
	var others []string
	for _, protocol := range protocols(r) {
		if !strings.HasPrefix(protocol, protocolToken) {
			others = append(others, protocol)
		}
	}
	r.Header.Del(protocolHeader)
	if len(others) > 0 {
		r.Header.Set(protocolHeader, strings.Join(others, ", "))
	}
	return token, err
}

// hasToken reports whether a request means to prove itself by a token, a bad one
// included: no cookie counts beside it.
func hasToken(r *http.Request) bool {
	for _, protocol := range protocols(r) {
		if strings.HasPrefix(protocol, protocolToken) {
			return true
		}
	}
	return hasAuthorization(r)
}

func hasAuthorization(r *http.Request) bool { return len(r.Header["Authorization"]) > 0 }

func protocols(r *http.Request) (list []string) {
	for _, value := range r.Header[protocolHeader] {
		for protocol := range strings.SplitSeq(value, ",") {
			if protocol = strings.TrimSpace(protocol); protocol != "" {
				list = append(list, protocol)
			}
		}
	}
	return list
}

// AuthenticateToken returns whose token it is. A source that sends many bad ones has
// no more looked at for a while; tokens that were accepted lately are, wherever they
// come from.
func (a *Authenticator) AuthenticateToken(ctx context.Context, source, token string) (*caller.Caller, error) {
	if err := a.Ready(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthenticationUnavailable, err)
	}
	hash := sha256.Sum256([]byte(token))
	if !a.knows(hash) {
		key := sourceKey(source)
		if !a.refused.Has(key) {
			return nil, ErrTooManyRefused
		}
		release, ok := a.reviewing.Acquire(key)
		if !ok {
			return nil, ErrTooManyRefused
		}
		defer release()
	}
	who, err := ask(ctx, a.tokens, token)
	switch {
	case errors.Is(err, ErrUnauthenticated):
		a.accepted.Remove(hash)
		a.refused.Take(sourceKey(source))
		return nil, err
	case err != nil:
		return nil, err
	}
	a.accepted.Add(hash, time.Now())
	return &caller.Caller{
		User: who, Means: caller.Token, BearerToken: token, Expires: tokenExpires(token),
		Check: func(ctx context.Context) error { return a.check(ctx, token, who) },
	}, nil
}

func (a *Authenticator) knows(hash [sha256.Size]byte) bool {
	at, ok := a.accepted.Get(hash)
	return ok && time.Since(at.(time.Time)) < acceptedFor // nothing else is added
}

// check asks the kube-apiserver, past the cache, whether a token is still the same user's.
func (a *Authenticator) check(ctx context.Context, token string, who user.Info) error {
	now, err := ask(ctx, a.reviews, token)
	if errors.Is(err, ErrUnauthenticated) {
		a.accepted.Remove(sha256.Sum256([]byte(token)))
	}
	if err != nil {
		return err
	}
	if now.GetName() != who.GetName() || now.GetUID() != who.GetUID() {
		return fmt.Errorf("%w: the token is another user's now", ErrUnauthenticated)
	}
	return nil
}

// ask has a token authenticated. It has no white space: takeToken and the login see to it.
func ask(ctx context.Context, by authenticator.Request, token string) (user.Info, error) {
	r := &http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}}
	return accepted(by.AuthenticateRequest(r.WithContext(ctx)))
}

// tokenExpires is the end that a JWT names; zero for other tokens. Its signature is
// not looked at: the token was accepted.
func tokenExpires(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var c struct {
		Expires float64 `json:"exp"`
	}
	if err := json.Unmarshal(claims, &c); err != nil || c.Expires <= 0 || c.Expires > farthest {
		return time.Time{}
	}
	return time.Unix(int64(c.Expires), 0)
}
