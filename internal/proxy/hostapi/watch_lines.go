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

package hostapi

import (
	"encoding/json"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// maxLines is how much is gathered before it is written in one go.
	maxLines = 32 << 10
	// initialEnd is Kubernetes' own mark of the bookmark that ends the initial items.
	initialEnd = metav1.InitialEventsAnnotationKey
)

// lines writes a watch: one JSON object a line.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     []byte
}

func newLines(w http.ResponseWriter) *lines {
	return &lines{w: w, control: http.NewResponseController(w)}
}

// begin sends the headers.
func (l *lines) begin() {
	h := l.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache, private")
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would hold lines back
	moveDeadlines(l.control)
	l.w.WriteHeader(http.StatusOK)
	_ = l.control.Flush()
	l.rest()
}

// rest takes back the deadline of a write that is done: over HTTP/2 it would end a watch
// that is merely quiet.
func (l *lines) rest() { _ = l.control.SetWriteDeadline(time.Time{}) }

func (l *lines) full() bool { return len(l.buf) >= maxLines }

// flush writes what was gathered. A client that does not take it in time is given up: it
// will watch anew.
func (l *lines) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	moveDeadlines(l.control)
	_, err := l.w.Write(l.buf)
	l.buf = l.buf[:0]
	if cap(l.buf) > 8*maxLines { // after a burst
		l.buf = nil
	}
	if err != nil {
		return err
	}
	defer l.rest()
	return l.control.Flush()
}

// drop forgets what was gathered: nobody may see it any more.
func (l *lines) drop() { l.buf = l.buf[:0] }

// object adds an event of one item; docker is nil for one that is gone.
func (l *lines) object(event string, enc *encoder, fd *feed, o *engine.Object, docker []byte) {
	at := ""
	if docker != nil {
		if at = fd.observedAt; at == "" { // a change that was just heard of
			at = observed(time.Now())
		}
	}
	l.buf = append(l.buf, `{"type":"`...)
	l.buf = append(l.buf, event...)
	l.buf = append(l.buf, `","object":`...)
	l.buf = enc.appendObject(l.buf, fd.origin, at, o, docker)
	l.buf = append(l.buf, "}\n"...)
}

// bookmark adds a BOOKMARK with the hosts that failed.
func (l *lines) bookmark(kind kindInfo, failed []failedHost, initial bool) {
	type metadata struct {
		ResourceVersion string            `json:"resourceVersion"`
		Annotations     map[string]string `json:"annotations,omitempty"`
	}
	type object struct {
		Kind        string       `json:"kind"`
		APIVersion  string       `json:"apiVersion"`
		Metadata    metadata     `json:"metadata"`
		FailedHosts []failedHost `json:"failedHosts,omitempty"`
	}
	o := object{Kind: kind.name, APIVersion: apiVersion, FailedHosts: failed}
	if initial {
		o.Metadata.Annotations = map[string]string{initialEnd: "true"}
	}
	l.event("BOOKMARK", o)
}

// fail adds the ERROR that says why the watch ends.
func (l *lines) fail(err *apierrors.StatusError) {
	status := err.ErrStatus
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	l.event("ERROR", status)
}

func (l *lines) event(event string, object any) {
	text, err := json.Marshal(map[string]any{"type": event, "object": object})
	if err != nil { // the types here always encode
		return
	}
	l.buf = append(append(l.buf, text...), '\n')
}
