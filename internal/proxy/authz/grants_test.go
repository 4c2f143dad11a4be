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

package authz

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// TestOnGrantsChanged: who wants to know is told at each time at which guards are reviewed,
// and not after they have cancelled.
func TestOnGrantsChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := New(&rest.Config{Host: "http://127.0.0.1:1"}, logr.Discard())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = a.Start(ctx) }()
		var heard []time.Duration
		began := time.Now()
		cancel := a.OnGrantsChanged(func() { heard = append(heard, time.Since(began)) })
		a.GrantsChanged()
		time.Sleep(time.Minute) // of the bubble's clock
		synctest.Wait()
		if len(heard) != len(afterChange) {
			t.Fatalf("told at %v, want at %v", heard, afterChange)
		}
		for i := range heard {
			if heard[i] != afterChange[i] {
				t.Errorf("told at %v, want at %v", heard, afterChange)
			}
		}
		cancel()
		a.GrantsChanged()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(heard) != len(afterChange) {
			t.Errorf("told after the end: %v", heard)
		}
	})
}
