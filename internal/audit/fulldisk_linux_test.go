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
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// fullDiskVariable makes this test binary the one that has the small disk.
const fullDiskVariable = "AUDIT_TEST_FULL_DISK"

// TestFullDisk fills a real file system of 1 MB: changes are refused, and taken again
// once there is room, by themselves. It runs in a mount namespace of its own, and a
// user namespace where it is not root's.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(fullDiskVariable); dir != "" {
		fullDisk(t, dir)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), fullDiskVariable+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if id := os.Getuid(); id != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestFullDisk")) {
		t.Errorf("on a small disk: %v\n%s", err, out)
	}
}

func fullDisk(t *testing.T, dir string) {
	// Private, or the mount would be the whole machine's.
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		t.Fatalf("making the mounts private: %v", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mounting a small file system: %v", err)
	}
	path := filepath.Join(dir, "audit.jsonl")
	trail := openTrail(t, path)
	write(t, trail, 3)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	acted := 0
	act := func() error {
		return Do(t.Context(), trail, testRecord(acted), func(context.Context) error { acted++; return nil })
	}
	// The file's last page has room for some records.
	var err error
	for range 100 {
		if err = act(); err != nil {
			break
		}
	}
	for !errors.Is(err, ErrRefused) && errors.Is(err, ErrOutcomeNotRecorded) {
		err = act()
	}
	if !errors.Is(err, ErrRefused) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("on a full disk: got %v, want a refusal that says why", err)
	}
	before := acted
	for range 3 {
		if err := act(); !errors.Is(err, ErrRefused) || acted != before {
			t.Errorf("got %v, and acted: %v", err, acted != before)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := act(); err != nil || acted != before+1 {
		t.Errorf("with room again: %v", err)
	}
	verify(t, bytes.NewReader(content(t, path)), trail.Head())
}
