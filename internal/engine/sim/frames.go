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

package sim

import "encoding/binary"

// frame puts the 8-byte header of the multiplexed stream before p.
func frame(stream byte, p []byte) []byte {
	b := make([]byte, 8, 8+len(p))
	b[0] = stream
	binary.BigEndian.PutUint32(b[4:], uint32(len(p)))
	return append(b, p...)
}

const (
	rawStream         = "application/vnd.docker.raw-stream"
	multiplexedStream = "application/vnd.docker.multiplexed-stream"
)

// streamType is the content type of a stream; multiplexed got its own with API 1.42.
func streamType(r *request, tty bool) string {
	if tty || r.before("1.42") {
		return rawStream
	}
	return multiplexedStream
}
