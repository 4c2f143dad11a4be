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

package app

import (
	"errors"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// divertStderr sends what is written to standard error by whoever does that (etcd's client inside the API server has no
// other way) to w, and returns the real standard error, which gets what the user has to see, a crash included. restore
// undoes it. w may fail; the writers never wait for it longer than for a write.
func divertStderr(w io.Writer) (user *os.File, restore func() error, err error) {
	fd, err := unix.FcntlInt(uintptr(unix.Stderr), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	user = os.NewFile(uintptr(fd), "stderr")
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, user.Close())
	}
	err = errors.Join(unix.Dup2(int(writer.Fd()), unix.Stderr), writer.Close())
	if err != nil {
		return nil, nil, errors.Join(err, reader.Close(), user.Close())
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		io.Copy(ignoreErrors{w}, reader) //nolint:errcheck // ends when nobody writes any more
	}()
	restore = func() error {
		// This closes the pipe's last writing end.
		err := unix.Dup2(int(user.Fd()), unix.Stderr)
		if err == nil {
			<-copied
		}
		return errors.Join(err, debug.SetCrashOutput(nil, debug.CrashOptions{}), reader.Close(), user.Close())
	}
	if err := debug.SetCrashOutput(user, debug.CrashOptions{}); err != nil {
		return nil, nil, errors.Join(err, restore())
	}
	return user, restore, nil
}

// ignoreErrors says that it has written what it could not: a full disk must not stop those who write to a pipe.
type ignoreErrors struct{ io.Writer }

func (i ignoreErrors) Write(p []byte) (int, error) {
	i.Writer.Write(p) //nolint:errcheck // see above
	return len(p), nil
}
