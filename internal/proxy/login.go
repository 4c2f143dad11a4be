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
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/session"
)

// maxLoginBody holds the longest token and the JSON around it.
const maxLoginBody = session.MaxToken + 1<<10

// sessionKey is of the session in a request's context, beside the caller.
type sessionKey struct{}

// sessionUser is somebody as the console shows them.
type sessionUser struct {
	Username string   `json:"username"`
	UID      string   `json:"uid,omitempty"`
	Groups   []string `json:"groups"`
}

// sessionInfo is what the console may know of its session.
type sessionInfo struct {
	User  sessionUser  `json:"user"`
	Means caller.Means `json:"means"`
	// Expires is when the session or the proof ends if nothing is done; absent where
	// it does not say.
	Expires *time.Time `json:"expires,omitempty"`
	// Ends is when a session ends even if it is used: then a new login is needed.
	Ends *time.Time `json:"ends,omitempty"`
	// Renewable says that use moves Expires.
	Renewable bool `json:"renewable"`
}

func infoOf(who *caller.Caller, sess *session.Session) sessionInfo {
	i := sessionInfo{
		User:  sessionUser{Username: who.User.GetName(), UID: who.User.GetUID(), Groups: who.User.GetGroups()},
		Means: who.Means,
	}
	switch {
	case sess != nil:
		i.Expires, i.Ends, i.Renewable = &sess.Expires, &sess.Ends, sess.Renewable()
	case !who.Expires.IsZero():
		i.Expires = &who.Expires
	}
	return i
}

// serveSession tells who is logged in, and until when.
func (s *Server) serveSession(w http.ResponseWriter, r *http.Request) {
	sess, _ := r.Context().Value(sessionKey{}).(*session.Session)
	apistatus.WriteJSON(w, http.StatusOK, infoOf(caller.From(r.Context()), sess))
}

// serveLogin takes a token, and gives a session with it.
func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	source := sourceOf(r, s.options.TrustedProxies)
	if err := s.crossOrigin.Check(r); err != nil {
		apistatus.Write(w, errCrossSite("a page of another site"))
		return
	}
	if !s.logins.Take(sourceKey(source)) {
		apistatus.Write(w, apistatus.TooManyRequests(s.logins.RetryAfter(), "too many logins from %s; try again later", source))
		return
	}
	token, err := loginToken(w, r)
	if err != nil {
		apistatus.Write(w, err)
		return
	}
	who, err := s.auth.AuthenticateToken(r.Context(), source, token)
	if err != nil {
		s.refuse(w, r, source, err)
		return
	}
	sess, err := s.sessions.Start(w, r, token, who.Expires)
	if errors.Is(err, session.ErrInvalid) { // accepted from the cache, in its last seconds
		s.refuse(w, r, source, ErrUnauthenticated)
		return
	}
	if err != nil {
		s.options.Log.Error(err, "A session could not be made", "requestID", requestID(r.Context()))
		apistatus.Write(w, err)
		return
	}
	s.options.Log.Info("A user logged in", "user", who.User.GetName(), "source", source, "session", sess.ID, "requestID", requestID(r.Context()))
	who.Means = caller.Cookie
	apistatus.WriteJSON(w, http.StatusOK, infoOf(who, sess))
}

// loginToken reads the token of a login: {"token": "..."}. JSON, because a form of
// another site cannot send it.
func loginToken(w http.ResponseWriter, r *http.Request) (string, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return "", apistatus.New(http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, "a login is application/json: {\"token\": \"...\"}")
	}
	body, err := io.ReadAll(limit.Reader(w, r.Body, maxLoginBody))
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return "", limit.TooLarge(maxLoginBody)
	}
	if err != nil {
		return "", apistatus.BadRequest("the login could not be read")
	}
	var login struct {
		Token string `json:"token"`
	}
	// The decoder's own words could have a part of the token in them.
	if err := json.Unmarshal(body, &login); err != nil {
		return "", apistatus.BadRequest("a login is a JSON object: {\"token\": \"...\"}")
	}
	token := strings.TrimSpace(login.Token)
	switch {
	case token == "":
		return "", apistatus.BadRequest("the login has no token: kubectl create token SERVICEACCOUNT makes one")
	case len(token) > session.MaxToken:
		return "", limit.TooLarge(session.MaxToken)
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return "", apistatus.BadRequest("a bearer token has no white space and no letters beyond ASCII; a part of something else was pasted")
	}
	return token, nil
}

// serveLogout ends the browser's session, if it has one.
func (s *Server) serveLogout(w http.ResponseWriter, r *http.Request) {
	if err := s.crossOrigin.Check(r); err != nil {
		apistatus.Write(w, errCrossSite("a page of another site"))
		return
	}
	s.sessions.End(w, r)
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(http.StatusNoContent)
}
