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

package moby

import (
	"context"
	"net/http"
	"sync"
	"time"

	sdk "github.com/moby/moby/client"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// api is a negotiated API version and the SDK's client for it.
type api struct {
	version string

	once sync.Once
	sdk  *sdk.Client
	err  error
}

// client makes the SDK's client when the first write needs it: most engines are
// only read.
func (a *api) client(c *client) (*sdk.Client, error) {
	a.once.Do(func() {
		a.sdk, a.err = sdk.New(
			// The host's transport is replaced by the option after it.
			sdk.WithHost(baseScheme+"://"+baseHost),
			sdk.WithHTTPClient(&http.Client{Transport: c.unaryCalls(maxBodyBytes)}),
			sdk.WithAPIVersion(a.version),
			sdk.WithUserAgent(userAgent),
		)
	})
	return a.sdk, a.err
}

// write runs fn with the SDK's client and makes its error an *engine.Error.
// extra is the time beyond the configured timeout that fn is known to take.
func (c *client) write(ctx context.Context, extra time.Duration, fn func(context.Context, *sdk.Client) error) error {
	ctx, done := c.unaryContext(ctx, extra)
	defer done()
	a, err := c.negotiated(ctx)
	if err != nil {
		return err
	}
	cli, err := a.client(c)
	if err != nil {
		return engine.Errorf(engine.ClassInvalid, "", "the Docker client cannot be made: %w", err)
	}
	return c.sdkError(ctx, fn(ctx, cli))
}
