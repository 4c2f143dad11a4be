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

package streamapi

import (
	"context"
	"slices"
	"sync"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// keptSessions are those that a client may come back to, by what it then has to name.
type keptSessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

func (k *keptSessions) add(id string, s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byID == nil {
		k.byID = map[string]*session{}
	}
	s.id = id
	k.byID[id] = s
}

func (k *keptSessions) remove(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.byID, s.id)
}

func (k *keptSessions) find(id string) *session {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.byID[id]
}

// comeBack serves another connection of a session, whose place the caller's stream has
// already. s is the call's; the one that was begun has its rights.
func (s *session) comeBack(q sessionQuery) error {
	c, h := s.call, s.h
	begun := h.kept.find(q.session)
	if begun == nil || begun.kind != s.kind || owner(begun.call.who.User) != owner(c.who.User) || !begun.isAt(c.at) {
		return unknownSession()
	}
	for _, right := range begun.rights { // of a privileged exec there are two
		if err := c.authorize(c.r.Context(), right.Host, right.Right); err != nil {
			return err
		}
	}
	w := c.guardSession(begun.rights)
	defer w.release()
	client, err := begun.reattach(c, q)
	if err != nil {
		w.release()
		if client != nil { // it is there, and not on record
			client.Close()
		}
		return err
	}
	begun.watchBy(w)
	w.onLoss(func(error) { begun.lost(w, client) })
	if q.size != (engine.TTYSize{}) {
		_ = client.Resize(q.size) // of a session without a terminal
	}
	begun.join(c, w, client)
	return nil
}

// isAt tells whether a path is the session's, without asking an engine that may be away.
func (s *session) isAt(at route.Route) bool {
	return at.Key() == s.call.at.Key() && slices.Contains([]string{s.call.at.Object, s.container.id, s.container.name}, at.Object)
}

// reattach puts the caller in the place of the connection before, on record.
func (s *session) reattach(c *call, q sessionQuery) (client *stream.ExecClient, err error) {
	record := c.record(c.at.Key(), audit.Object{Kind: "Container", ID: s.container.id, Name: s.container.name})
	record.Verb = "reattach"
	err = audit.Do(c.r.Context(), s.h.options.Recorder, record, func(context.Context) error {
		client, err = s.h.sessions.Reattach(q.session, owner(c.who.User), q.after)
		return err
	})
	return client, err
}
