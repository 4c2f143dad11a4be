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
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
)

const (
	// defaultUserRate is for a person with many tabs, or a CI job that polls. Twice of it
	// at once is a console that opens on a large fleet.
	defaultUserRate = 200
	userBurst       = 2
	// defaultRefusedRate is more than a client with an expired token tries, and less
	// than a kube-apiserver notices.
	defaultRefusedRate = 20
	refusedBurst       = 5
	// defaultLogins a minute are more than a person who mistypes needs.
	defaultLogins = 10
	// defaultStreams and defaultConnections are what the design grants a user: the
	// console has one stream a tab, compose and buildx many connections.
	defaultStreams     = 10
	defaultConnections = 64
	// defaultViewers of one container are a team that looks at the same incident.
	defaultViewers = 50
)

// Limits are what one user, or one source, may take of this replica. Zero values stand
// for the defaults.
type Limits struct {
	// UserRate is requests a second of a user, and twice as many at once; 200.
	UserRate int
	// RefusedRate is tokens a second of one source that may be refused before no more
	// are looked at, and five times as many at once; 20.
	RefusedRate int
	// Logins is logins a minute of one source; 10.
	Logins int
	// Streams is a user's streams at once; 10.
	Streams int
	// Connections is a user's connections at once to engines' own APIs; 64.
	Connections int
	// Viewers is how many may look at one container's log or statistics, or at one host's
	// events, at once; 50.
	Viewers int
}

// DefaultLimits are the defaults.
func DefaultLimits() Limits { return Limits{}.withDefaults() }

// withDefaults fills in what is zero.
func (l Limits) withDefaults() Limits {
	for value, standard := range map[*int]int{
		&l.UserRate: defaultUserRate, &l.RefusedRate: defaultRefusedRate, &l.Logins: defaultLogins,
		&l.Streams: defaultStreams, &l.Connections: defaultConnections, &l.Viewers: defaultViewers,
	} {
		if *value <= 0 {
			*value = standard
		}
	}
	return l
}

// apply makes the server count.
func (l Limits) apply(s *Server) {
	s.requests = limit.NewRates(float64(l.UserRate), l.UserRate*userBurst)
	s.auth.refused = limit.NewRates(float64(l.RefusedRate), l.RefusedRate*refusedBurst)
	s.logins = limit.NewRates(float64(l.Logins)/60, l.Logins)
	s.streams = limit.NewCounter(l.Streams)
	s.connections = limit.NewCounter(l.Connections)
}
