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

package pki

import (
	"context"
	"time"
)

const (
	// longestWait bounds how late a changed clock or a suspended machine is noticed.
	longestWait = time.Hour
	// shortestWait keeps a renewal that is always due (a clock that jumps about) from spinning.
	shortestWait = time.Second
	// retryWait is how soon a failed renewal is tried again: a third of a certificate's life is left for that.
	retryWait = time.Minute
)

// Run renews until ctx is done. After each round that made something or failed it calls report, with what Ensure
// returned, from its own goroutine's stack.
func (s *Store) Run(ctx context.Context, report func(made []string, err error)) {
	var failed bool
	for {
		timer := s.clock.NewTimer(s.wait(failed))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
		made, err := s.Ensure()
		failed = err != nil
		if failed || len(made) > 0 {
			report(made, err)
		}
	}
}

// wait is how long until the next certificate is due.
func (s *Store) wait(failed bool) time.Duration {
	wait := longestWait
	for _, name := range []string{"front-proxy-client", "apiserver", "proxy", "admin", "manager"} {
		cert, err := readCertificate(s.pair(name).Cert)
		if err != nil {
			continue // the hourly round makes it again, or reports why it cannot
		}
		wait = min(wait, renewAt(cert, s.config.Validity).Sub(s.clock.Now()))
	}
	if failed {
		wait = min(retryWait, s.config.Validity/10)
	}
	return max(wait, shortestWait)
}
