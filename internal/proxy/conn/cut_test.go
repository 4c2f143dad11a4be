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

package conn

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// slowDeadline is an answer whose deadline is set once proceed is closed.
type slowDeadline struct {
	http.ResponseWriter
	proceed chan struct{}
	set     time.Time
}

func (w *slowDeadline) SetWriteDeadline(t time.Time) error {
	<-w.proceed
	w.set = t
	return nil
}

// TestCutWrites: whoever has stopped it touches the answer no more.
func TestCutWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &slowDeadline{ResponseWriter: httptest.NewRecorder(), proceed: make(chan struct{})}
		stop := CutWrites(ctx, http.NewResponseController(w), time.Minute)
		cancel()
		synctest.Wait() // it is under way
		stopped := false
		go func() {
			stop()
			stopped = true
		}()
		synctest.Wait()
		if stopped {
			t.Error("it did not wait")
		}
		close(w.proceed)
		synctest.Wait()
		if !stopped || !w.set.Equal(time.Now().Add(time.Minute)) {
			t.Errorf("stopped: %t, the deadline is in %s", stopped, time.Until(w.set))
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	w := &slowDeadline{ResponseWriter: httptest.NewRecorder()}
	CutWrites(ctx, http.NewResponseController(w), 0)()
	cancel()
	if !w.set.IsZero() {
		t.Error("a deadline was set after the stop")
	}
}
