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

package hostcache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// defaultCallTimeout bounds a call where the Config has no Timeout.
const defaultCallTimeout = 30 * time.Second

// identityError tells that the endpoint leads to another engine than before.
type identityError struct{ before, now string }

func (e *identityError) Error() string {
	return fmt.Sprintf("engine %s answers where %s did", e.now, e.before)
}

// connect makes a session: credentials judged, engine opened and pinged, its
// version and place read, its event stream open, its containers listed. On
// failure everything is closed again.
func (a *accessor) connect(ctx context.Context, t target, lost bool) (*session, error) {
	prepared, err := t.prepare()
	var credentials engine.CredentialInfo
	if err == nil {
		credentials, err = prepared.CheckCredentials(time.Now())
	}
	a.judged(t.epoch, credentials, err)
	if err != nil {
		return nil, err
	}
	leave, err := a.cache.gate.enter(ctx)
	if err != nil {
		return nil, err
	}
	s := newSession(ctx, a, t, prepared, leave)
	ok := false
	defer func() {
		if !ok {
			s.close()
		}
	}()
	if err := s.greet(lost); err != nil {
		return nil, err
	}
	if err := s.introduce(); err != nil {
		return nil, err
	}
	if err := s.firstList(); err != nil {
		return nil, err
	}
	ok = true
	return s, nil
}

// judged publishes what was found of the credentials.
func (a *accessor) judged(epoch uint64, info engine.CredentialInfo, err error) {
	a.update(epoch, func(s *State) {
		s.Credentials, s.CredentialsErr = info, nil
		if err != nil {
			s.CredentialsErr = toError(err)
		}
	})
}

// greet pings: once, or as often as a lost host must answer to count as back.
func (s *session) greet(lost bool) error {
	for n := 1; ; n++ {
		health := s.a.health()
		ctx, cancel := context.WithTimeout(s.ctx, health.Timeout)
		ping, err := s.eng.Ping(ctx)
		cancel()
		if err != nil {
			return err
		}
		s.heard(ping)
		if !lost || n >= health.SuccessThreshold {
			return nil
		}
		if err := s.sleep(jitter(health.Interval)); err != nil {
			return err
		}
	}
}

// introduce reads what the engine is and opens its event stream, in this order:
// where the stream starts depends on whether it is the engine of before.
func (s *session) introduce() error {
	known := s.a.memory
	got, err := s.readIdentity(s.ctx, known.id, known.volatile)
	var other *identityError
	switch {
	case errors.As(err, &other):
		s.a.log.Info("The endpoint leads to another engine than before; its inventory starts anew", "before", other.before, "now", other.now)
		s.a.inv.reset()
		s.a.feed.gap()
		s.a.memory.id, s.a.memory.last = "", lastEvent{}
		if got, err = s.readIdentity(s.ctx, "", false); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	s.identified(got)
	since := s.a.memory.last
	from := since.at
	if from.IsZero() {
		// An engine answers /events a moment before it subscribes: without a since,
		// what happens in between is in neither the stream nor, maybe, the list.
		from = s.engineTime()
	}
	stream, err := s.openEvents(s.ctx, from)
	if err != nil {
		return err
	}
	s.read(stream, since)
	return nil
}

// identity is what an engine says of itself.
type identity struct {
	version  engine.Version
	info     engine.Info
	volatile bool
}

func (s *session) readIdentity(ctx context.Context, known string, volatile bool) (identity, error) {
	version, err := s.readVersion(ctx)
	if err != nil {
		return identity{}, err
	}
	info, volatile, err := s.readInfo(ctx, known, volatile)
	if err == nil && known == "" && foreign(version) {
		info, volatile, err = s.readInfo(ctx, info.ID, volatile)
		var other *identityError
		if errors.As(err, &other) {
			err = nil // the ID of the third answer was that of the second: believe it
		}
	}
	return identity{version: version, info: info, volatile: volatile}, err
}

// foreign reports whether an engine says that it is not Docker's: its ID is
// looked at twice before it is believed the first time.
func foreign(v engine.Version) bool {
	return v.Platform.Name != "" && !strings.Contains(v.Platform.Name, "Docker")
}

func (s *session) readVersion(ctx context.Context) (engine.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.eng.Version(ctx)
}

// readInfo reads /info and compares the ID with the known one. Where they differ it
// reads once more: an ID that differs from one answer to the next (volatile) is
// none, and is left out. Otherwise the error is an *identityError.
func (s *session) readInfo(ctx context.Context, known string, volatile bool) (engine.Info, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	info, err := s.eng.Info(ctx)
	if err == nil && !volatile && known != "" && info.ID != known {
		first := info.ID
		if info, err = s.eng.Info(ctx); err == nil && info.ID == first {
			return info, false, &identityError{before: known, now: first}
		}
		volatile = err == nil
	}
	if volatile {
		info.ID = ""
	}
	return info, volatile, err
}

// identified takes over an engine's identity.
func (s *session) identified(got identity) {
	s.is = got
	s.a.memory.id, s.a.memory.volatile = got.info.ID, got.volatile
}

// openEvents opens the event stream, which lasts as long as the session. Only
// the engine's first answer has a deadline.
func (s *session) openEvents(ctx context.Context, since time.Time) (engine.EventStream, error) {
	streamCtx, cancel := context.WithCancel(s.ctx)
	stop := context.AfterFunc(ctx, cancel)
	timer := time.AfterFunc(s.timeout, cancel)
	stream, err := s.eng.Events(streamCtx, engine.EventsOptions{Since: since})
	inTime, wanted := timer.Stop(), stop()
	if err == nil && inTime && wanted {
		return &ownedStream{EventStream: stream, cancel: cancel}, nil
	}
	cancel()
	if err == nil {
		_ = stream.Close()
	}
	switch {
	case s.ctx.Err() != nil:
		return nil, s.ctx.Err()
	case inTime && wanted:
		return nil, err
	}
	return nil, &engine.Error{
		Class: engine.ClassTimeout, Cause: engine.CauseTimeout,
		Message: "the engine did not open its event stream in time", Err: err,
	}
}

// ownedStream ends its context with itself.
type ownedStream struct {
	engine.EventStream
	cancel context.CancelFunc
}

// Close ends the stream and its context.
func (o *ownedStream) Close() error {
	defer o.cancel()
	return o.EventStream.Close()
}

// firstList lists the containers: a host is not connected without them. Other
// kinds follow in serve, for an engine may take long over its images, or hang
// over a broken volume plugin, and be well otherwise.
func (s *session) firstList() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.jobs.timeout)
	defer cancel()
	objects, err := s.eng.List(ctx, engine.Containers, engine.ListOptions{})
	if err != nil {
		return err
	}
	return s.a.inv.replace(engine.Containers, objects, nil)
}
