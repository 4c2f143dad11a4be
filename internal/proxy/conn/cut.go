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
	"time"
)

// CutWrites ends what is being written to the client, and what is written after that, a
// grace after ctx has ended: a client that takes nothing must not keep what it has no right
// to any more. stop ends that and waits for what is under way, unlike that of
// context.AfterFunc: an answer may not be touched once its handler has returned, and over
// HTTP/2 that is a panic of the whole process. It is called once, before then.
func CutWrites(ctx context.Context, control *http.ResponseController, grace time.Duration) (stop func()) {
	done := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = control.SetWriteDeadline(time.Now().Add(grace))
	})
	return func() {
		if !unhook() {
			<-done
		}
	}
}
