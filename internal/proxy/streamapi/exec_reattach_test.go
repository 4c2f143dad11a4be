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
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	protocol "github.com/dockercontrol/dockercontrol/internal/proxy/remotecommand"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// tale is what channel 5 says.
func (s *execSocket) tale() (n news) {
	s.t.Helper()
	for {
		on, data, err := s.next()
		if err != nil {
			s.t.Fatalf("no news came: %v", err)
		}
		if on != protocol.News {
			continue
		}
		if err := json.Unmarshal(data, &n); err != nil {
			s.t.Fatalf("the news are %q", data)
		}
		return n
	}
}

func testReattach(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{Replay: 1000})

	b.Handler.options.Streams = newCounter(1)
	first := b.dial(t, "ada/1", b.at("exec/box", sh("echo begin; while read n; do seq $n; echo done $n; done; exit 7")+"&stdin=true&reattach=true"))
	told := first.tale()
	if told.Session == "" || told.Offset != 0 || told.Skipped != 0 {
		t.Errorf("the first news are %+v", told)
	}
	had := int64(len(first.until(protocol.Stdout, "begin\n")))
	_ = first.Close() // without a word

	at := func(after int64) string {
		return b.at("exec/box", fmt.Sprintf("session=%s&after=%d", told.Session, after))
	}
	second := b.dial(t, "ada/1", at(had))
	if again := second.tale(); again.Session != told.Session || again.Offset != had {
		t.Errorf("the news are %+v; want offset %d", again, had)
	}
	second.send(0, "3\n")
	got := second.until(protocol.Stdout, "done 3\n")
	if got != "1\n2\n3\ndone 3\n" {
		t.Errorf("after it came back it read %q", got)
	}

	// Another takes its place, from before, and then more comes than is kept.
	third := b.dial(t, "ada/1", at(0))
	if _, _, closed := second.end(); closed.Code != websocket.ClosePolicyViolation || !strings.Contains(closed.Text, "taken over") {
		t.Errorf("the connection before was ended by %v", closed)
	}
	third.until(protocol.Stdout, "begin\n1\n2\n3\ndone 3\n")
	third.send(0, "20000\n")
	third.until(protocol.Stdout, "done 20000\n")
	_ = third.Close()
	fourth := b.dial(t, "ada/1", b.at("exec/box", "session="+told.Session+"&after=0"))
	fourth.tale()
	if gap := fourth.tale(); gap.Skipped == 0 || gap.Offset != gap.Skipped {
		t.Errorf("a gap is told as %+v", gap)
	}
	fourth.until(protocol.Stdout, "done 20000\n")

	// The end is kept for one that comes late.
	if err := fourth.WriteMessage(websocket.BinaryMessage, []byte{255, 0}); err != nil {
		t.Fatal(err)
	}
	_ = fourth.Close()
	eventually(t, "the end", func() bool { return len(b.sessions.List("")) == 0 })
	fifth := b.dial(t, "ada/1", b.at("exec/box", "session="+told.Session))
	if _, status, closed := fifth.end(); !strings.Contains(status, "\"ExitCode\",\"message\":\"7\"") || closed.Code != websocket.CloseNormalClosure {
		t.Errorf("the end is %s, %v", status, closed)
	}
	eventually(t, "the session to be forgotten", func() bool { return b.kept.find(told.Session) == nil && b.authz.guarded() == 0 })
	if code, _ := b.refused(t, "ada/1", at(0)); code != http.StatusNotFound {
		t.Errorf("once its client knows all, it is a %d", code)
	}
	_ = b.dial(t, "ada/1", b.at("exec/box", "command=true")) // the stream is free again
}

func testReattachRefused(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	b.engine.RunContainer(t, "other", busybox, "sleep", "100000")
	first := b.dial(t, "ada/1", b.at("exec/box", "command=cat&stdin=true&reattach=true"))
	id := first.tale().Session
	for what, want := range map[[2]string]int{
		{"eve/1", "exec/box"}:   http.StatusNotFound,
		{"ada/2", "exec/box"}:   http.StatusNotFound,
		{"ada/1", "exec/other"}: http.StatusNotFound,
		{"ada/1", "attach/box"}: http.StatusNotFound,
	} {
		if code, text := b.refused(t, what[0], b.at(what[1], "session="+id)); code != want || !strings.Contains(text, "another user, or at another replica") {
			t.Errorf("%s for %s: %d %s; want %d", what[1], what[0], code, text, want)
		}
	}
	// As of a privileged one, which needs rights that a test may not have itself.
	s := b.kept.find(id)
	s.rights = append(s.rights, authz.Right{Host: execHost, Right: access.PrivilegedExec})
	b.authz.deny("ada", access.PrivilegedExec)
	if code, _ := b.refused(t, "ada/1", b.at("exec/box", "session="+id)); code != http.StatusForbidden {
		t.Errorf("without the right to a privileged one: %d", code)
	}
	first.send(0, "still here\n")
	first.until(protocol.Stdout, "still here")
}

// testQuit: who closes in good order does not come back; who was replaced cannot end what is
// another's now.
func testQuit(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	farewell := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	first := b.dial(t, "ada", b.at("exec/box", "command=cat&stdin=true&reattach=true"))
	id := first.tale().Session
	second := b.dial(t, "ada", b.at("exec/box", "session="+id))
	_ = first.WriteMessage(websocket.CloseMessage, farewell)
	_ = first.Close()
	second.send(0, "still here")
	second.until(protocol.Stdout, "still here")
	if err := second.WriteMessage(websocket.CloseMessage, farewell); err != nil {
		t.Fatal(err)
	}
	if lines := b.records(t, 4); lines[3] != "ada exec Container box succeeded Closed" {
		t.Errorf("the record is %q", lines)
	}
}
