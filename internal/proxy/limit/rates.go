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

package limit

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// keys is how many users or sources are remembered: more than a replica sees in the
// minute that it takes the slowest bucket to fill, in a few megabytes.
const keys = 16384

// Rates has a token bucket for each key.
type Rates struct {
	limit rate.Limit
	burst int

	mu      sync.Mutex // for the pair of Get and Add
	buckets *lru.Cache
}

// NewRates returns buckets that hold burst and gain perSecond.
func NewRates(perSecond float64, burst int) *Rates {
	return &Rates{limit: rate.Limit(perSecond), burst: burst, buckets: lru.New(keys)}
}

// Take takes one from the key's bucket. False: it is empty.
func (r *Rates) Take(key string) bool { return r.bucket(key).Allow() }

// Has reports whether the key's bucket has one, and leaves it there.
func (r *Rates) Has(key string) bool { return r.bucket(key).Tokens() >= 1 }

// RetryAfter is how long an empty bucket takes to gain one.
func (r *Rates) RetryAfter() time.Duration {
	seconds := math.Ceil(1 / float64(r.limit))
	return time.Duration(seconds) * time.Second
}

func (r *Rates) bucket(key string) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, ok := r.buckets.Get(key); ok {
		return b.(*rate.Limiter) // nothing else is added
	}
	b := rate.NewLimiter(r.limit, r.burst)
	r.buckets.Add(key, b)
	return b
}
