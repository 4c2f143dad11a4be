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

package cork

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"testing"
	"time"
)

// TestWrite: what was written is there as soon as Write has returned, whatever its length,
// though the sender says nothing more.
func TestWrite(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	_ = there.SetDeadline(time.Now().Add(30 * time.Second))
	for _, length := range []int{1, Record, Record + 1, 100_001} {
		sent := make([]byte, length)
		_, _ = rand.Read(sent)
		n, err := Write(c.(*net.TCPConn), length, func() (int, error) {
			n, err := c.Write(sent[:length/2])
			if err != nil {
				return n, err
			}
			m, err := c.Write(sent[length/2:])
			return n + m, err
		})
		if n != length || err != nil {
			t.Fatalf("wrote %d of %d, %v", n, length, err)
		}
		got := make([]byte, length)
		if _, err := io.ReadFull(there, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes did not arrive as they were sent: %v", length, err)
		}
	}
	if n, err := Write(nil, 100_000, func() (int, error) { return 7, io.EOF }); n != 7 || err != io.EOF {
		t.Errorf("without a connection: %d, %v", n, err)
	}
}
