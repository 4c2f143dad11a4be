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
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// chunk is how much is read at once: some hundreds of lines.
const chunk = 256 << 10

// backward reads the lines of a trail's files from the last to the first, beside a
// writer that appends and rotates. The files are opened at once and read up to what
// they had then.
type backward struct {
	files []*openPart // the newest first
	i     int         // of the file being read
	at    int64       // where the lines already given begin in it
	buf   []byte      // what stands before at, its start at at-len(buf)
	read  int64       // bytes, in all
}

type openPart struct {
	f    *os.File
	size int64
}

// openParts opens the files of a trail that exist, the newest first. A rotation
// meanwhile moves files towards the end of the list, where they are met again and left
// out; none is missed but what is newer than the call.
func openParts(path string) (parts []*openPart, err error) {
	defer func() {
		if err != nil {
			closeParts(parts)
			parts = nil
		}
	}()
	var infos []os.FileInfo
	for i := 0; ; i++ {
		f, err := os.Open((&file{path: path}).name(i))
		if errors.Is(err, fs.ErrNotExist) {
			if i == 0 { // just rotated
				continue
			}
			break
		}
		if err != nil {
			return parts, fmt.Errorf("opening the audit trail: %w", err)
		}
		info, err := f.Stat()
		switch {
		case err != nil:
			return append(parts, &openPart{f: f}), fmt.Errorf("opening the audit trail: %w", err)
		case slices.ContainsFunc(infos, func(known os.FileInfo) bool { return os.SameFile(known, info) }):
			_ = f.Close() // read only
			continue
		}
		infos, parts = append(infos, info), append(parts, &openPart{f: f, size: info.Size()})
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("opening the audit trail: %s: %w", path, fs.ErrNotExist)
	}
	return parts, nil
}

func closeParts(parts []*openPart) {
	for _, p := range parts {
		_ = p.f.Close() // read only
	}
}

func openBackward(path string) (*backward, error) {
	parts, err := openParts(path)
	if err != nil {
		return nil, err
	}
	return &backward{files: parts, at: parts[0].size}, nil
}

func (b *backward) close() { closeParts(b.files) }

// line returns the line before, without its newline, and nil at the beginning of the
// oldest file. It is good until the next call. What is longer than a line of a trail is
// given in pieces.
func (b *backward) line() ([]byte, error) {
	for {
		start := b.at - int64(len(b.buf))
		// The last byte is the newline of the line that is looked for.
		if i := bytes.LastIndexByte(b.buf[:max(len(b.buf)-1, 0)], '\n'); i >= 0 || start == 0 && len(b.buf) > 0 || len(b.buf) > 2*maxLine {
			text := b.buf[i+1:]
			b.buf = b.buf[:i+1]
			b.at -= int64(len(text))
			return bytes.TrimSuffix(text, []byte("\n")), nil
		}
		if start == 0 {
			if b.i == len(b.files)-1 {
				return nil, nil
			}
			b.i++
			b.at, b.buf = b.files[b.i].size, nil
			continue
		}
		n := min(chunk, start)
		more := make([]byte, n, n+int64(len(b.buf)))
		if _, err := b.files[b.i].f.ReadAt(more, start-n); err != nil {
			return nil, fmt.Errorf("reading the audit trail: %w", err)
		}
		b.read += n
		b.buf = append(more, b.buf...)
	}
}

// token is a place in a trail: before which byte of which file. Files are known by the
// beginning of their first line, which no rotation changes.
type token struct {
	File string `json:"f"`
	At   int64  `json:"a"`
}

// place returns a token for what comes next, empty where nothing does.
func (b *backward) place() (string, error) {
	for b.at == 0 { // an empty file has no first line yet
		if b.i == len(b.files)-1 {
			return "", nil
		}
		b.i++
		b.at, b.buf = b.files[b.i].size, nil
	}
	id, err := b.files[b.i].id()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(token{File: id, At: b.at})
	return base64.RawURLEncoding.EncodeToString(text), err
}

// maxToken bounds a token.
const maxToken = 256

// seek goes to a place.
func (b *backward) seek(place string) error {
	var t token
	text, err := base64.RawURLEncoding.DecodeString(place)
	if err != nil || len(place) > maxToken || json.Unmarshal(text, &t) != nil || t.At < 0 {
		return ErrContinue
	}
	for i, p := range b.files {
		id, err := p.id()
		if err != nil || id != t.File {
			continue
		}
		if t.At > 0 {
			var before [1]byte
			if _, err := p.f.ReadAt(before[:], t.At-1); err != nil || before[0] != '\n' {
				return ErrContinue
			}
		}
		b.i, b.at, b.buf = i, t.At, nil
		return nil
	}
	return ErrContinue
}

// id tells the file from others by its first line.
func (p *openPart) id() (string, error) {
	line := make([]byte, min(p.size, maxLine))
	n, err := p.f.ReadAt(line, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the audit trail: %w", err)
	}
	line, _, _ = bytes.Cut(line[:n], []byte("\n"))
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:16]), nil
}

// OpenFiles opens the files of a trail, the oldest first, as a Check wants them, and at
// the same moment: a rotation meanwhile makes none of them missing. closeAll is never nil.
func OpenFiles(path string) (sources []Source, closeAll func(), err error) {
	parts, err := openParts(path)
	if err != nil {
		return nil, func() {}, err
	}
	for _, p := range slices.Backward(parts) {
		sources = append(sources, Source{Name: p.f.Name(), Reader: io.NewSectionReader(p.f, 0, p.size)})
	}
	return sources, func() { closeParts(parts) }, nil
}
