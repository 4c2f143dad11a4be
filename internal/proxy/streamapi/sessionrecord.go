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

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// hooks put the session on record, and take part in its ends.
func (s *session) hooks() stream.ExecHooks {
	return stream.ExecHooks{
		Start: s.begun,
		Ended: s.hasEnded,
		Forgotten: func() {
			s.h.kept.remove(s)
			s.release()
		},
	}
}

// begun puts the begin on record; without that there is none.
func (s *session) begun(ctx context.Context, info stream.ExecInfo) (err error) {
	c := s.call
	record := c.record(c.at.Key(), audit.Object{Kind: "Container", ID: s.container.id, Name: s.container.name})
	record.Detail = s.detail
	if s.record, err = audit.Begin(ctx, s.h.options.Recorder, record); err == nil && s.reattachable {
		s.h.kept.add(info.ID, s)
	}
	return err
}

// hasEnded puts the end on record.
func (s *session) hasEnded(info stream.ExecInfo, result stream.ExecResult) {
	c, d := s.call, &s.record.Detail
	d.BytesIn, d.BytesOut, d.ExitCode, d.Recording = result.BytesIn, result.BytesOut, result.ExitCode, result.Recording
	log := s.h.options.Log.WithValues("requestID", c.who.RequestID, "verb", c.verb, "host", c.at.Key(), "container", info.Container)
	if left := result.Leftover; left != nil {
		d.LeftoverPID = &left.PID
		log.Info("A process of a session could not be ended", "pid", left.PID, "why", left.Why)
	}
	if result.RecordingErr != nil {
		log.Error(result.RecordingErr, "The recording of a session is not whole", "recording", result.Recording)
	}
	outcome, reason := outcomeOf(result)
	if err := s.record.End(context.WithoutCancel(c.r.Context()), outcome, reason); err != nil {
		log.Error(err, "The end of a session could not be put on record")
	}
	metrics.SessionEnded(s.kind, string(result.Reason), result.Leftover != nil)
	if result.Reason == stream.ExecFailed {
		s.h.kept.remove(s)
	}
	s.unwatch()
	s.closed()
}

// outcomeOf says how a session went: what its process or its client ended has succeeded,
// whatever the exit code.
func outcomeOf(result stream.ExecResult) (audit.Outcome, string) {
	switch result.Reason {
	case stream.ExecExited, stream.ExecDetached:
		return audit.Succeeded, ""
	case stream.ExecClosed:
		return audit.Succeeded, string(result.Reason)
	case stream.ExecFailed:
		return audit.Failed, audit.ReasonOf(result.Err)
	}
	return audit.Failed, string(result.Reason)
}
