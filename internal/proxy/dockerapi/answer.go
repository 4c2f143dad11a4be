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

package dockerapi

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
)

// Masker rewrites answers that may hold secrets.
type Masker interface {
	// Copy copies the JSON of an operation's answer (access.Request.Operation) from src
	// to dst without what the operation's allow-list does not name. It writes whole
	// values as they come, and nothing that it did not understand.
	Copy(operation string, dst io.Writer, src io.Reader) error
}

// answer carries an engine's answer to the client.
func (x *exchange) answer(ctx context.Context, resp *http.Response) error {
	code := resp.StatusCode
	switch {
	case code/100 == 1, code/100 == 3 && code != http.StatusNotModified:
		return apistatus.New(http.StatusBadGateway, "InternalError", "%s redirects elsewhere, which no Docker engine does: check its endpoint", x.key)
	case x.req.ExecCreate && code/100 == 2:
		return x.signExec(resp)
	}
	x.begin(resp)
	out := x.stream(ctx, code)
	defer out.close()
	masked := x.masked && code/100 == 2 && x.r.Method != http.MethodHead
	if masked {
		x.w.Header().Del("Content-Length")
	}
	if x.req.Streams {
		out.head() // clients wait for it: "docker run" starts a container once it waits for its end
	}
	switch {
	case masked:
		if err := x.h.Mask.Copy(x.req.Operation, out, resp.Body); err != nil {
			return err
		}
	default:
		if x.r.Method == http.MethodHead || resp.ContentLength == 0 {
			break
		}
		buffer := buffers.Get().(*[]byte)
		defer buffers.Put(buffer)
		if _, err := io.CopyBuffer(out, onlyReader{resp.Body}, *buffer); err != nil {
			return err
		}
	}
	if err := out.finish(); err != nil {
		return err
	}
	for name, values := range resp.Trailer {
		x.w.Header()[http.TrailerPrefix+name] = values
	}
	x.whole = true
	return refusal(code)
}

// begin puts the answer's headers in place.
func (x *exchange) begin(resp *http.Response) {
	h := x.w.Header()
	pass(h, resp.Header, answerHeaders, answerPrefixes)
	if _, typed := h["Content-Type"]; !typed {
		h["Content-Type"] = nil // and no guess of net/http's
	}
	h.Set("Cache-Control", "no-store")
}

// clientGone is a failure of the client's side.
type clientGone struct{ error }

// Unwrap returns the failure.
func (e clientGone) Unwrap() error { return e.error }

// As lets the audit trail file it as given up by the caller, not as the engine's.
func (e clientGone) As(to any) bool {
	if err, ok := to.(**engine.Error); ok {
		*err = &engine.Error{Class: engine.ClassCanceled, Message: "the client has gone", Err: e.error}
		return true
	}
	return false
}

// engineRefused is an answer that was carried whole and says no.
type engineRefused struct{ class engine.Class }

func (e engineRefused) Error() string { return "the engine refused: " + string(e.class) }

// As lets the audit trail file it as the engine's own error.
func (e engineRefused) As(to any) bool {
	if err, ok := to.(**engine.Error); ok {
		*err = &engine.Error{Class: e.class, Message: e.Error()}
		return true
	}
	return false
}

// refusal is what the audit trail learns of a whole answer.
func refusal(code int) error {
	switch {
	case code < 400:
		return nil
	case code == http.StatusNotFound:
		return engineRefused{engine.ClassNotFound}
	case code == http.StatusConflict:
		return engineRefused{engine.ClassConflict}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return engineRefused{engine.ClassForbidden}
	case code < 500:
		return engineRefused{engine.ClassInvalid}
	}
	return engineRefused{engine.ClassServer}
}

// fail ends an exchange that failed: with a Status where nothing was sent, with a reset
// where something was.
func (x *exchange) fail(err error) {
	if x.whole || x.hijacked {
		if errors.Is(err, audit.ErrOutcomeNotRecorded) {
			x.h.Log.Error(err, "An outcome is not on record", "requestID", x.caller.RequestID, "host", x.key.String(), "operation", x.req.Operation)
		}
		return
	}
	if x.begun {
		x.h.Log.V(1).Info("An answer was cut", "requestID", x.caller.RequestID, "host", x.key.String(), "operation", x.req.Operation, "error", err.Error())
		_ = conn.Reset(x.r) // HTTP/2 has no connection of its own to reset
		panic(http.ErrAbortHandler)
	}
	for name := range x.w.Header() {
		if answerHeaders[name] || hasPrefix(name, answerPrefixes) {
			x.w.Header().Del(name)
		}
	}
	var status *apierrors.StatusError
	switch {
	case errors.As(err, &status):
	case errors.Is(err, authz.ErrRevoked), errors.Is(err, authz.ErrExpired):
		err = apistatus.New(http.StatusForbidden, "Forbidden", "%s", err.Error())
	case errors.Is(err, authz.ErrUnverified), errors.Is(err, errDraining):
		err = apistatus.Unavailable("%s", err.Error())
	case x.r.Context().Err() != nil: // nobody is there to be told
	default:
		x.h.Log.Error(err, "A request to an engine failed", "requestID", x.caller.RequestID, "host", x.key.String(), "operation", x.req.Operation)
		err = apistatus.New(http.StatusBadGateway, "InternalError", "the answer of the engine of %s could not be carried", x.key)
	}
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(lastWord))
	apistatus.Write(x.w, err)
}

// lastWord is how long a client may take over a Status.
const lastWord = 10 * time.Second

// isStreamType tells the media types of connections that engines take over.
func isStreamType(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && strings.HasPrefix(mediaType, "application/vnd.docker.") && strings.HasSuffix(mediaType, "-stream")
}
