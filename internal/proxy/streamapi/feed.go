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

// frameKind tells a client what a frame holds.
type frameKind byte

// The kinds, as docs/streams.md numbers them.
const (
	// frameLog is lines of a log in the binary form.
	frameLog frameKind = 1
	// frameJSON is JSON objects, one a line.
	frameJSON frameKind = 2
)

// frame is a piece of a feed on its way to a client.
type frame struct {
	kind frameKind
	// header is a JSON object about the body, nil where there is none. Clients of chunked
	// answers do not get it.
	header []byte
	// body is not changed; it may be shared with other clients.
	body []byte
}

// feed is what a stream shows one client. It lives in the context that it was opened with,
// and is for one goroutine.
type feed interface {
	// next waits for the next frame, which is valid until the next call. io.EOF is the end
	// of what there is to show; other errors are what broke it.
	next() (frame, error)
	close()
}

// format is how a feed is spelled.
type format int

// The formats. Those of logs are what stream.Batch.Encode keeps encoded lines by.
const (
	formatFrames format = iota
	formatJSON
	formatText
	formatTimedText
	// formatHeader is only kept: the header of a frame.
	formatHeader
)

// contentType is that of a chunked answer.
func (f format) contentType() string {
	if f == formatJSON {
		return "application/x-ndjson"
	}
	return "text/plain; charset=utf-8"
}
