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
	"errors"
	"fmt"
	"net/http"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/session"
)

// errCookieRefused says that a session does not count at a path.
var errCookieRefused = fmt.Errorf("%w: a session does not count here", ErrUnauthenticated)

// authenticated passes on requests whose sender is known, in the request's context
// (caller.From), and who keeps to the rate of a user. What proves it goes no further.
func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		source := sourceOf(r, s.options.TrustedProxies)
		who, sess, err := s.whoAsks(w, r, source)
		if err != nil {
			s.refuse(w, r, source, err)
			return
		}
		if err := s.sameSite(r, who.Means); err != nil {
			apistatus.Write(w, err)
			return
		}
		if !s.requests.Take(who.User.GetName()) {
			apistatus.Write(w, apistatus.TooManyRequests(s.requests.RetryAfter(),
				"user %q sends too many requests: %d a second are served for long", who.User.GetName(), s.options.Limits.UserRate))
			return
		}
		if sess != nil {
			sess = s.renew(w, r, sess)
		}
		for _, name := range append(forwardingHeaders, "Cookie") {
			r.Header.Del(name)
		}
		who.Source, who.RequestID = source, requestID(r.Context())
		who.Check = refusing(who.Check)
		ctx := caller.With(r.Context(), who)
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, sessionKey{}, sess)))
	})
}

// refusing spells the refusal of a check as package caller does.
func refusing(check func(context.Context) error) func(context.Context) error {
	if check == nil {
		return nil
	}
	return func(ctx context.Context) error {
		err := check(ctx)
		if errors.Is(err, ErrUnauthenticated) {
			return fmt.Errorf("%w: %w", caller.ErrRefused, err)
		}
		return err
	}
}

// whoAsks is by what the request carries, and else by the browser's session, if that
// is how it is known.
func (s *Server) whoAsks(w http.ResponseWriter, r *http.Request, source string) (*caller.Caller, *session.Session, error) {
	token := hasToken(r)
	who, err := s.auth.Authenticate(r, source)
	if token || !errors.Is(err, ErrUnauthenticated) {
		return who, nil, err
	}
	sess, sessErr := s.sessions.Read(r)
	if errors.Is(sessErr, session.ErrNone) {
		return nil, nil, err
	}
	if isPassThrough(r.URL.Path) {
		return nil, nil, errCookieRefused
	}
	if sessErr == nil {
		who, err = s.auth.AuthenticateToken(r.Context(), source, sess.Token)
	} else {
		err = fmt.Errorf("%w: %w", ErrUnauthenticated, sessErr)
	}
	if err != nil {
		if errors.Is(err, ErrUnauthenticated) {
			session.Clear(w, r)
		}
		return nil, nil, err
	}
	// Expires is the session's last end and not the cookie's, which a stream that was
	// opened with it cannot see renewed.
	byToken := who.Check
	who.Means, who.Session, who.Expires = caller.Cookie, sess.ID, sess.Ends
	who.Check = func(ctx context.Context) error {
		if s.sessions.Ended(sess.ID) {
			return fmt.Errorf("%w: the session was ended by a logout", ErrUnauthenticated)
		}
		return byToken(ctx)
	}
	return who, sess, nil
}

// renew moves the end of a session that is used. Where it cannot, the old cookie holds.
func (s *Server) renew(w http.ResponseWriter, r *http.Request, sess *session.Session) *session.Session {
	next, err := s.sessions.Renew(w, r, sess)
	if err != nil {
		s.options.Log.Error(err, "A session could not be renewed", "requestID", requestID(r.Context()), "session", sess.ID)
	}
	return next
}

// refuse answers a request whose sender is not known.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, source string, err error) {
	id := requestID(r.Context())
	switch {
	case errors.Is(err, ErrTooManyRefused):
		apistatus.Write(w, apistatus.TooManyRequests(s.auth.refused.RetryAfter(),
			"too many tokens that are not accepted come from %s; wait, and check the token", source))
	case errors.Is(err, ErrUnauthenticated):
		s.options.Log.V(1).Info("A request was not authenticated", "requestID", id, "source", source, "error", err.Error())
		if s.options.Unauthenticated != nil {
			s.options.Unauthenticated(r.Context(), source, id)
		}
		message := "no credentials that are accepted: send a bearer token (kubectl create token SERVICEACCOUNT), or a client certificate of the cluster"
		if errors.Is(err, errCookieRefused) {
			message = "the console's session does not count for an engine's own API: send a bearer token (kubectl create token SERVICEACCOUNT), or a client certificate of the cluster"
		}
		apistatus.Write(w, apistatus.Unauthorized(message))
	default:
		s.options.Log.Error(err, "A request could not be authenticated", "requestID", id)
		apistatus.Write(w, apistatus.Unavailable("the kube-apiserver cannot be asked who you are; try again"))
	}
}
