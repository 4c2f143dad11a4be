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

package session

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/utils/lru"
)

const (
	// DefaultIdle is how long an unused session holds.
	DefaultIdle = time.Hour
	// DefaultMax is how long a session holds at most: a working day.
	DefaultMax = 12 * time.Hour
	// MaxToken is the longest token that a session takes: kube-apiservers refuse
	// longer headers, and 8 cookies would not hold them.
	MaxToken = 16 << 10
	// rememberEnded bounds what a replica remembers of sessions that were ended.
	rememberEnded = 8192
)

var (
	// ErrNone says that a request has no session.
	ErrNone = errors.New("the request has no session")
	// ErrInvalid says that a request's cookies are no session that is in force here.
	ErrInvalid = errors.New("the request's session cookie is not valid")
)

// Session is a bearer token, and for how long it is kept.
type Session struct {
	// ID is of random letters, and names the session where the token may not be told.
	ID string `json:"id"`
	// Token is the bearer token.
	Token string `json:"token"`
	// Started is when its user logged in, Issued when this cookie was made.
	Started time.Time `json:"started"`
	Issued  time.Time `json:"issued"`
	// Expires is when this cookie ends, and Ends when the last renewal of it would.
	Expires time.Time `json:"expires"`
	Ends    time.Time `json:"ends"`
}

// Renewable reports whether use moves the end.
func (s *Session) Renewable() bool { return s.Expires.Before(s.Ends) }

// Options say how sessions are kept. Zero values stand for the defaults.
type Options struct {
	// Keys encrypt the cookies; nil is a key that only this process has.
	Keys Keys
	// Idle is how long an unused session holds, and Max how long a used one does.
	Idle, Max time.Duration
	// Now is the clock.
	Now func() time.Time
}

// Manager makes, reads and ends sessions.
type Manager struct {
	options Options
	ended   *lru.Cache
}

// NewManager returns a Manager.
func NewManager(o Options) *Manager {
	if o.Keys == nil {
		o.Keys = Ephemeral()
	}
	if o.Idle <= 0 {
		o.Idle = DefaultIdle
	}
	if o.Max <= 0 {
		o.Max = DefaultMax
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Manager{options: o, ended: lru.New(rememberEnded)}
}

// Start gives the browser a session with a token that was accepted, which says itself
// when it ends; zero where it does not.
func (m *Manager) Start(w http.ResponseWriter, r *http.Request, token string, tokenExpires time.Time) (*Session, error) {
	if len(token) > MaxToken {
		return nil, fmt.Errorf("a token of %d bytes is too long for a session: %d are taken", len(token), MaxToken)
	}
	now := m.options.Now().UTC().Truncate(time.Second)
	s := &Session{ID: rand.Text(), Token: token, Started: now, Ends: now.Add(m.options.Max)}
	if !tokenExpires.IsZero() && tokenExpires.Before(s.Ends) {
		s.Ends = tokenExpires.UTC()
	}
	return s, m.issue(w, r, s, now)
}

// Read returns the request's session: ErrNone where it has none, ErrInvalid where it
// is not in force. The token was accepted once; whether it still is has to be asked.
func (m *Manager) Read(r *http.Request) (*Session, error) {
	s, err := m.open(r)
	if err != nil {
		return nil, err
	}
	if now := m.options.Now(); !now.Before(s.Expires) || !now.Before(s.Ends) {
		return nil, fmt.Errorf("%w: it has expired", ErrInvalid)
	}
	if m.Ended(s.ID) {
		return nil, fmt.Errorf("%w: it was ended by a logout", ErrInvalid)
	}
	return s, nil
}

// Renew gives the browser a new cookie where a quarter of the old one's life has
// passed, and the new one holds longer. It returns the session that is then in force.
func (m *Manager) Renew(w http.ResponseWriter, r *http.Request, s *Session) (*Session, error) {
	now := m.options.Now().UTC().Truncate(time.Second)
	if !s.Renewable() || now.Sub(s.Issued) < m.options.Idle/4 {
		return s, nil
	}
	next := *s
	if err := m.issue(w, r, &next, now); err != nil {
		return s, err
	}
	return &next, nil
}

// End takes the session out of the browser, and this replica takes it no more.
func (m *Manager) End(w http.ResponseWriter, r *http.Request) {
	if s, err := m.open(r); err == nil {
		m.ended.Add(s.ID, struct{}{})
	}
	Clear(w, r)
}

// Ended reports whether a session was ended through this replica.
func (m *Manager) Ended(id string) bool {
	_, ended := m.ended.Get(id)
	return ended
}

// issue sets the cookies of s from now on.
func (m *Manager) issue(w http.ResponseWriter, r *http.Request, s *Session, now time.Time) error {
	s.Issued, s.Expires = now, now.Add(m.options.Idle)
	if s.Ends.Before(s.Expires) {
		s.Expires = s.Ends
	}
	if !now.Before(s.Expires) {
		return fmt.Errorf("%w: its token has expired", ErrInvalid)
	}
	value, err := m.seal(r.Host, s)
	if err != nil {
		return err
	}
	return write(w, r, value, s.Expires.Sub(now))
}
