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
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

const image = "busybox:test"

// TestDockerd takes an engine through what the fault tests do with it.
func TestDockerd(t *testing.T) {
	t.Parallel()
	d := StartDockerd(t, DockerdOptions{Name: "one", TCP: true, Swarm: true})
	d.ImportBusybox(t, image)
	id := d.RunContainer(t, "c1", image, "sleep", "1000")
	info := d.Info(t)
	if info["Name"] != "one" || info["ContainersRunning"] != 1.0 {
		t.Errorf("info says Name %v, ContainersRunning %v; want one, 1", info["Name"], info["ContainersRunning"])
	}
	if swarm, _ := info["Swarm"].(map[string]any); swarm["ControlAvailable"] != true {
		t.Errorf("info says Swarm %v; want a manager", swarm)
	}
	engineID := info["ID"]

	address := strings.TrimPrefix(d.TCPEndpoint(), "tcp://")
	Eventually(t, 30*time.Second, "an answer at "+address, func() bool { return pings(address) })
	d.CutNetwork(t)
	if pings(address) {
		t.Error("an answer came through a cut network")
	}
	d.HealNetwork(t)
	Eventually(t, 30*time.Second, "an answer after the network was healed", func() bool { return pings(address) })

	d.Pause(t)
	d.http.Timeout = 200 * time.Millisecond
	if d.Ready() {
		t.Error("a paused engine answered")
	}
	d.http.Timeout = callLimit
	d.Resume(t)
	if !d.Ready() {
		t.Error("a resumed engine does not answer")
	}

	d.Kill(t)
	if d.Ready() {
		t.Error("a killed engine answered")
	}
	d.Start(t)
	d.Restart(t)
	if got := d.Info(t)["ID"]; got != engineID {
		t.Errorf("the engine's ID changed from %v to %v", engineID, got)
	}
	d.RemoveContainer(t, id)
}

// TestEnginesDiffer guards against engines that share their identity by way of
// the host's files.
func TestEnginesDiffer(t *testing.T) {
	t.Parallel()
	one, two := StartDockerd(t, DockerdOptions{}), StartDockerd(t, DockerdOptions{})
	if a, b := one.Info(t)["ID"], two.Info(t)["ID"]; a == b {
		t.Errorf("two engines have the same ID %v", a)
	}
}

func TestModernDockerd(t *testing.T) {
	t.Parallel()
	ca := NewCA(t, "test CA")
	d := StartDockerd(t, DockerdOptions{Modern: true, TCP: true, CA: ca})
	d.ImportBusybox(t, image)
	id := d.RunContainer(t, "c1", image, "sleep", "1000")
	d.RemoveContainer(t, id)
	var version struct{ APIVersion, MinAPIVersion string }
	if err := json.Unmarshal(d.Call(t, http.MethodGet, "/version", nil), &version); err != nil {
		t.Fatal(err)
	}
	if version.APIVersion != "1.56" || version.MinAPIVersion != "1.40" {
		t.Errorf("the modern engine speaks %s to %s; want 1.40 to 1.56", version.MinAPIVersion, version.APIVersion)
	}
}

func TestPodman(t *testing.T) {
	t.Parallel()
	p := StartPodman(t)
	p.ImportBusybox(t, image)
	p.RemoveContainer(t, p.RunContainer(t, "c1", image, "sleep", "1000"))
	p.RunContainer(t, "left", image, "sleep", "1000")
}

func TestSSHD(t *testing.T) {
	t.Parallel()
	s := StartSSHD(t, SSHDOptions{})
	socket := StartHTMLServer(t).unix.Addr().String()
	if err := forward(t, s, s.KnownHosts(), socket); err != nil {
		t.Errorf("forward: %v", err)
	}
	old := s.KnownHosts()
	s.RotateHostKey(t)
	if err := forward(t, s, old, socket); err == nil || !strings.Contains(err.Error(), "key mismatch") {
		t.Errorf("with the old host key: %v; want a mismatch", err)
	}
	s.Reconfigure(t, SSHDOptions{NoForwarding: true})
	if err := forward(t, s, s.KnownHosts(), socket); err == nil || !strings.Contains(err.Error(), "open failed") {
		t.Errorf("with forwarding off: %v; want a refusal", err)
	}
}

func forward(t *testing.T, s *SSHD, known []byte, socket string) error {
	t.Helper()
	file := t.TempDir() + "/known_hosts"
	writeFile(t, file, known)
	check, err := knownhosts.New(file)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(s.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ssh.Dial("tcp", s.address(), &ssh.ClientConfig{
		User: s.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: check, Timeout: 30 * time.Second,
	})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	conn, err := c.Dial("unix", socket)
	if err != nil {
		return err
	}
	return conn.Close()
}

func pings(address string) bool {
	c := http.Client{Timeout: 500 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + address + "/_ping")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func TestFaultServers(t *testing.T) {
	t.Parallel()
	get := func(s *FaultServer, path string) (int, int) {
		c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := c.Get("http://" + strings.TrimPrefix(s.Endpoint(), "tcp://") + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, len(b)
	}
	html := StartHTMLServer(t)
	if code, _ := get(html, "/_ping"); code != 200 {
		t.Errorf("the HTML server answers %d", code)
	}
	if html.Connections() != 1 {
		t.Errorf("counted %d connections, want 1", html.Connections())
	}
	if code, _ := get(StartRedirectServer(t, "http://127.0.0.1:1"), "/_ping"); code != 307 {
		t.Errorf("the redirecting server answers %d", code)
	}
	if code, _ := get(StartOldServer(t, "1.24"), "/v1.41/info"); code != 400 {
		t.Errorf("the old server answers %d", code)
	}
	if _, n := get(StartJunkServer(t, 10<<20), "/v1.41/info"); n != 10<<20 {
		t.Errorf("the junk server sent %d bytes", n)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(StartSilentServer(t).Endpoint(), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the silent server spoke")
	}
}

// files are those there are of names that tell of a machine: its interface and its cgroup.
// The next owner of the slot has others of the same names, in which os.SameFile differs.
func (s *slot) files() map[string]os.FileInfo {
	found := map[string]os.FileInfo{}
	for _, name := range []string{"/sys/class/net/" + s.link(), "/sys/fs/cgroup/" + s.cgroup(), "/sys/fs/cgroup/memory/" + s.cgroup()} {
		if info, err := os.Stat(name); err == nil {
			found[name] = info
		}
	}
	return found
}

// TestNothingIsLeft looks for what a machine leaves behind.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	var pid int
	var before map[string]os.FileInfo
	var s *slot
	t.Run("machine", func(t *testing.T) {
		d := StartDockerd(t, DockerdOptions{TCP: true})
		d.ImportBusybox(t, image)
		id := d.RunContainer(t, "c1", image, "sleep", "1000")
		var c struct{ State struct{ Pid int } }
		if err := json.Unmarshal(d.Call(t, http.MethodGet, "/containers/"+id+"/json", nil), &c); err != nil {
			t.Fatal(err)
		}
		s, pid = d.machine.slot, d.PID()
		if before = s.files(); len(before) < 2 {
			t.Errorf("a machine has %v, want an interface and a cgroup", before)
		}
	})
	if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); err == nil {
		t.Errorf("the daemon %d lives", pid)
	}
	for name, info := range s.files() {
		if os.SameFile(before[name], info) {
			t.Errorf("%s is left", name)
		}
	}
}

// TestPausedContainerIsNoHindrance: a bed ends though a container in it is frozen.
func TestPausedContainerIsNoHindrance(t *testing.T) {
	t.Run("paused", func(t *testing.T) {
		d := StartDockerd(t, DockerdOptions{})
		d.ImportBusybox(t, "busybox:test")
		id := d.RunContainer(t, "frozen", "busybox:test", "sleep", "600")
		d.Call(t, "POST", "/containers/"+id+"/pause", nil)
	})
}
