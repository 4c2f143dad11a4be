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

package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// file is a sink that rotates: PATH is the newest, PATH.1 the one before, up to
// PATH.(maxFiles-1).
type file struct {
	path     string
	maxSize  int64
	maxFiles int

	f *os.File // nil after a failure: the next append opens it anew
	// torn is set while bytes after good may be part of a failed write.
	torn bool
	good int64

	write func(*os.File, []byte) (int, error) // (*os.File).Write but in tests
}

// openFile opens the file, or makes it, and puts its end in order. last is its last
// line, zero where there is none; cut is how many bytes of an unfinished line were
// taken off.
func openFile(path string, maxSize int64, maxFiles int) (l *file, last Head, cut int64, err error) {
	l = &file{path: path, maxSize: maxSize, maxFiles: maxFiles, write: (*os.File).Write}
	last, cut, err = l.open()
	if err != nil {
		return nil, Head{}, 0, err
	}
	if last == (Head{}) { // emptied, or rotated and never written to
		if last, err = lastHead(l.name(1)); err != nil {
			return nil, Head{}, 0, errors.Join(err, l.close())
		}
	}
	return l, last, cut, nil
}

// name returns the name of the i-th file, the newest being 0.
func (l *file) name(i int) string {
	if i == 0 {
		return l.path
	}
	return l.path + "." + strconv.Itoa(i)
}

func (l *file) open() (last Head, cut int64, err error) {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return Head{}, 0, fmt.Errorf("opening the audit trail: %w", err)
	}
	last, cut, err = prepare(f)
	if err != nil {
		return Head{}, 0, errors.Join(fmt.Errorf("audit trail %s: %w", l.path, err), f.Close())
	}
	l.f, l.torn = f, false
	return last, cut, nil
}

// prepare checks that f is ours to append to, and that it ends in a whole line.
func prepare(f *os.File) (last Head, cut int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return Head{}, 0, err
	}
	if !info.Mode().IsRegular() {
		return Head{}, 0, errors.New("it is not a regular file; name one, or - for standard output")
	}
	if err := lock(f); err != nil {
		return Head{}, 0, fmt.Errorf("another process writes to it; give each its own file: %w", err)
	}
	last, rest, err := tail(f, info.Size())
	if err != nil {
		return Head{}, 0, err
	}
	if info.Mode().Perm() != 0o600 {
		if err := f.Chmod(0o600); err != nil {
			return Head{}, 0, err
		}
	}
	if len(rest) == 0 {
		return last, 0, nil
	}
	if l, _, mac, err := decode(rest); err == nil { // whole but for its newline
		_, err = f.Write([]byte("\n"))
		return Head{Chain: l.Chain, Seq: l.Seq, MAC: mac}, 0, err
	}
	return last, int64(len(rest)), f.Truncate(info.Size() - int64(len(rest)))
}

var errNotATrail = errors.New("its last line is not an audit record; name another file, or move this one away")

// tail returns the last whole line, and the bytes after it. It refuses a file that
// is no audit trail.
func tail(r io.ReaderAt, size int64) (last Head, rest []byte, err error) {
	// An unfinished line is no longer than a line. What a file system may leave after
	// a crash of the machine may be longer, and is for a person to judge.
	const most = 2 * maxLine
	b := make([]byte, min(size, most))
	if _, err := r.ReadAt(b, size-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
		return Head{}, nil, err
	}
	lines, rest, found := cutLastByte(b, '\n')
	if !found {
		if size > maxLine {
			return Head{}, nil, errNotATrail
		}
		if _, _, _, err := decode(rest); err != nil && len(rest) > 0 && !startsLine(rest) {
			return Head{}, nil, errNotATrail
		}
		return Head{}, rest, nil
	}
	_, line, _ := cutLastByte(lines, '\n')
	l, _, mac, err := decode(line)
	if err != nil {
		return Head{}, nil, errNotATrail
	}
	return Head{Chain: l.Chain, Seq: l.Seq, MAC: mac}, rest, nil
}

// startsLine reports whether b is how the first line of a trail begins.
func startsLine(b []byte) bool {
	const begin = `{"seq":`
	n := min(len(b), len(begin))
	return string(b[:n]) == begin[:n]
}

func cutLastByte(b []byte, sep byte) (before, after []byte, found bool) {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == sep {
			return b[:i], b[i+1:], true
		}
	}
	return nil, b, false
}

// lastHead returns the last line of a file that is not open, zero where there is none.
func lastHead(path string) (Head, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Head{}, err
	}
	last, _, err := tail(f, info.Size())
	if err != nil {
		return Head{}, fmt.Errorf("audit trail %s: %w", path, err)
	}
	return last, nil
}

func (l *file) append(line []byte) error {
	size, err := l.current()
	if err != nil {
		return err
	}
	if size > 0 && size+int64(len(line)) > l.maxSize {
		if err := l.rotate(); err != nil {
			return err
		}
		size = 0
	}
	n, err := l.write(l.f, line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err == nil {
		return nil
	}
	l.torn, l.good = true, size
	return errors.Join(fmt.Errorf("writing an audit record: %w", err), l.mend())
}

// current makes sure that the open file is the one at path, for it may have been
// moved or removed, and returns its size.
func (l *file) current() (int64, error) {
	if l.f != nil {
		if err := l.mend(); err != nil {
			return 0, err
		}
		open, err := l.f.Stat()
		if err != nil {
			return 0, fmt.Errorf("audit trail %s: %w", l.path, err)
		}
		if named, err := os.Stat(l.path); err == nil && os.SameFile(open, named) {
			return named.Size(), nil
		}
		if err := l.close(); err != nil {
			return 0, err
		}
	}
	if _, _, err := l.open(); err != nil {
		return 0, err
	}
	info, err := l.f.Stat()
	if err != nil {
		return 0, fmt.Errorf("audit trail %s: %w", l.path, err)
	}
	return info.Size(), nil
}

// mend takes off what a failed write left behind. Until that succeeds nothing is
// appended, or the next line would be joined to half of another; a descriptor that
// never works again needs a restart, which cuts the half line off.
func (l *file) mend() error {
	if !l.torn {
		return nil
	}
	info, err := l.f.Stat()
	if err == nil && info.Size() > l.good {
		err = l.f.Truncate(l.good)
	}
	if err != nil {
		return fmt.Errorf("taking half a record off audit trail %s: %w", l.path, err)
	}
	l.torn = false
	return nil
}

// rotate renames the files by one and opens a new one.
func (l *file) rotate() error {
	if err := l.close(); err != nil {
		return err
	}
	for i := l.maxFiles; ; i++ { // of a time when more were kept
		if err := os.Remove(l.name(i)); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return fmt.Errorf("rotating the audit trail: %w", err)
		}
	}
	for i := l.maxFiles - 1; i > 0; i-- {
		if err := os.Rename(l.name(i-1), l.name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotating the audit trail: %w", err)
		}
	}
	if _, _, err := l.open(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(l.path)) // else a crash may undo the renames
}

func (l *file) sync() error {
	if l.f == nil {
		return nil
	}
	if err := l.f.Sync(); err != nil {
		// The system forgets what it could not write: a second sync would say that
		// all is well. Begin with a new descriptor; Verify will show what is missing.
		return errors.Join(fmt.Errorf("bringing audit trail %s to disk: %w", l.path, err), l.drop())
	}
	return nil
}

// close syncs and closes the file.
func (l *file) close() error {
	if l.f == nil {
		return nil
	}
	if err := l.sync(); err != nil {
		return err
	}
	return l.drop()
}

func (l *file) drop() error {
	f := l.f
	l.f, l.torn = nil, false
	return f.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("rotating the audit trail: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Files returns the files of a trail that exist, the oldest first: the order in
// which Verify wants them.
func Files(path string) ([]string, error) {
	var names []string
	for i := 0; ; i++ {
		name := (&file{path: path}).name(i)
		if _, err := os.Stat(name); err == nil {
			names = append([]string{name}, names...)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		} else if i > 0 { // the newest may be missing, just rotated
			return names, nil
		}
	}
}
