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
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockName is the file whose lock says that a process uses the directory, and whose being there says that it is one of
// ours.
const lockName = "standalone.lock"

// dataDir is the data directory of this process.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir makes the directory if need be, takes its lock and makes it private. Temporary files of whatever runs in
// this process go there too where TMPDIR names no other place.
func openDataDir(path string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// Whatever a library creates is private too.
	syscall.Umask(0o077)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := refuseForeign(path); err != nil {
		return nil, err
	}
	d := &dataDir{path: path}
	if d.lock, err = lock(filepath.Join(path, lockName)); err != nil {
		return nil, err
	}
	err = os.Chmod(path, 0o700) //nolint:gosec // a directory of the owner's alone
	if err := errors.Join(err, d.useForTemporaryFiles()); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the data directory %s: %w", path, err), d.close())
	}
	return d, nil
}

// file is a path in the directory.
func (d *dataDir) file(elements ...string) string {
	return filepath.Join(append([]string{d.path}, elements...)...)
}

// close gives up the lock.
func (d *dataDir) close() error { return d.lock.Close() }

// refuseForeign keeps a slip of the finger (--data-dir=/tmp, or /var) from being made private: a directory that holds
// other things and that others may enter is none of ours. A private one may be shared with other files of its owner.
func refuseForeign(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at the data directory: %w", err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("read the data directory: %w", err)
	}
	foreign := ""
	for _, entry := range entries {
		switch entry.Name() {
		case lockName:
			return nil
		case "lost+found": // of a volume that is a file system of its own
		default:
			foreign = entry.Name()
		}
	}
	if foreign != "" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s holds other things (such as %s) and others may enter it: choose a new or an empty directory, or a private one (mode 0700)", path, foreign)
	}
	return nil
}

// lock takes an advisory lock on path, which ends with the process however it ends, and writes the process id into it.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data directory has to be writable: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(file, 20)) // it only makes the message better
		return nil, errors.Join(fmt.Errorf("the data directory %s is in use by another standalone (process %s): stop that one, or choose another --data-dir",
			filepath.Dir(path), strings.TrimSpace(string(holder))), file.Close())
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return file, nil
}

func (d *dataDir) useForTemporaryFiles() error {
	if os.Getenv("TMPDIR") != "" {
		return nil
	}
	tmp := d.file("tmp")
	if err := os.RemoveAll(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // of a run that was killed
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	return os.Setenv("TMPDIR", tmp)
}
