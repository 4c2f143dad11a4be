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

package testbed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// maxSlots is how many machines there may be at once: one address block each, by
// the third number of the address.
const maxSlots = 250

// slot is a number that one machine owns, with all that is named by it: a
// directory, a cgroup, an interface and an address block. The kernel gives the
// lock back when the process that holds it ends, however it ends.
type slot struct {
	n    int
	dir  string
	lock *os.File
}

// takeSlot locks a free slot and removes what an earlier owner may have left.
func takeSlot(t testing.TB) *slot {
	t.Helper()
	base := filepath.Join(os.TempDir(), "dockercontrol-testbed")
	if err := ownDirectory(base); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= maxSlots; n++ {
		s := &slot{n: n, dir: filepath.Join(base, strconv.Itoa(n))}
		ok, err := s.tryLock()
		if err != nil {
			t.Fatalf("lock slot %d of the test bed: %v", n, err)
		}
		if !ok {
			continue
		}
		err = errors.Join(s.clear(), os.Mkdir(s.dir, 0o755)) // 0755: a user of ssh passes through to a socket
		if err != nil {
			_ = s.lock.Close()
			t.Fatalf("remove what an earlier test left in slot %d of the test bed: %v", n, err)
		}
		return s
	}
	t.Fatalf("all %d slots of the test bed are taken", maxSlots)
	return nil
}

// ownDirectory makes a directory, or finds that it is one of this user's: others
// may write to the temporary directory too.
func ownDirectory(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if err == nil || !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to somebody else: remove it, or set TMPDIR", dir)
	}
	return nil
}

func (s *slot) tryLock() (bool, error) {
	f, err := os.OpenFile(s.dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		s.lock = f
		return true, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return false, err
}

// release removes everything and gives the slot back.
func (s *slot) release() error {
	return errors.Join(s.clear(), s.lock.Close())
}

// clear removes the slot's directory, cgroup and interface. It tries again for a
// while: after a process namespace was killed its last processes are still
// ending.
func (s *slot) clear() error {
	var err error
	within(30*time.Second, func() bool {
		err = errors.Join(os.RemoveAll(s.dir), s.removeCgroups(), s.removeInterface())
		return err == nil
	})
	return err
}

// cgroup is the parent of the machine's containers' cgroups.
func (s *slot) cgroup() string { return "dockercontrol-test-" + strconv.Itoa(s.n) }

// removeCgroups removes the slot's cgroup from the one hierarchy of cgroup v2, or
// from the many of v1.
func (s *slot) removeCgroups() error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*/" + s.cgroup())
	if err != nil {
		return err
	}
	roots = append(roots, "/sys/fs/cgroup/"+s.cgroup())
	var errs []error
	for _, root := range roots {
		var dirs []string
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) { // children first
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// thaw lets paused containers go on, in cgroup v1 (freezer.state) and v2
// (cgroup.freeze). What cannot be thawed shows when it cannot be removed.
func (s *slot) thaw() {
	for root, file := range map[string][2]string{
		"/sys/fs/cgroup/freezer/" + s.cgroup(): {"freezer.state", "THAWED"},
		"/sys/fs/cgroup/" + s.cgroup():         {"cgroup.freeze", "0"},
	} {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_ = os.WriteFile(filepath.Join(path, file[0]), []byte(file[1]), 0o600)
			}
			return nil
		})
	}
}

// link is the name of the interface at this side of the machine's cable.
func (s *slot) link() string { return "dctest" + strconv.Itoa(s.n) }

// addresses are those of the two ends of the cable, this side first.
func (s *slot) addresses() (here, there string) {
	return fmt.Sprintf("198.18.%d.1", s.n), fmt.Sprintf("198.18.%d.2", s.n)
}

func (s *slot) removeInterface() error {
	if _, err := os.Stat("/sys/class/net/" + s.link()); err != nil {
		return nil // there is none
	}
	if out, err := tryRun("ip", "link", "delete", s.link()); err != nil {
		return fmt.Errorf("delete the interface %s: %w: %s", s.link(), err, out)
	}
	return nil
}
