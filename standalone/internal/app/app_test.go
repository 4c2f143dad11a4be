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
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/standalone/internal/bootstrap"
)

func TestRestartsKeepEverything(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	c := run(t, dir)
	created, err := c.client(t).CoreV1().ConfigMaps("default").Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token := loginToken(t, c.client(t))
	serial, _ := c.serving(t)
	before, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}

	check := func(t *testing.T) {
		t.Helper()
		kept, err := c.client(t).CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if kept.UID != created.UID || kept.ResourceVersion != created.ResourceVersion {
			t.Errorf("ConfigMap kept is %s at %s, was %s at %s", kept.UID, kept.ResourceVersion, created.UID, created.ResourceVersion)
		}
		if user := whoIs(t, c.as(t, func(config *rest.Config) { config.BearerToken = token })); user != loginUser {
			t.Errorf("the old token is %q, want %q", user, loginUser)
		}
		if now, _ := c.serving(t); now != serial {
			t.Errorf("the serving certificate is another one, with most of its life left")
		}
		if after, err := os.ReadFile(filepath.Join(dir, "ca.crt")); err != nil || string(after) != string(before) {
			t.Errorf("ca.crt has changed (%v)", err)
		}
	}

	c.stop(t)
	if text := c.stderr.String(); text != "" {
		t.Errorf("standard error of an undisturbed run:\n%s", text)
	}
	c = run(t, dir)
	check(t)
	if err := c.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.wait(t)
	c = run(t, dir)
	check(t)
	c.stop(t)
}

// A second process has to leave a directory alone that a first one uses.
func TestDirectoryIsLocked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	c := run(t, dir)
	second := launch(t, dir, nil)
	if code := second.wait(t); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	want := fmt.Sprintf("is in use by another standalone (process %d)", c.command.Process.Pid)
	if !strings.Contains(second.stderr.String(), want) {
		t.Errorf("standard error %q, want %q in it", second.stderr, want)
	}
	if _, err := c.client(t).Discovery().ServerVersion(); err != nil {
		t.Errorf("the first one after that: %v", err)
	}
	c.stop(t)
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, dir string
		args      []string
		want      string
	}{
		{"API address taken", t.TempDir(), []string{"--api-address", taken.Addr().String()}, "--api-address " + taken.Addr().String() + " is taken by another process"},
		{"proxy address taken", t.TempDir(), []string{"--proxy-address", taken.Addr().String()}, "--proxy-address " + taken.Addr().String() + " is taken by another process"},
		{"data directory is a file", file, nil, "not a directory"},
		{"data directory cannot be made", "/proc/standalone", nil, "make the data directory"},
		{"data directory of something else", foreign, nil, "holds other things (such as thesis.txt)"},
		{"an address of other machines", t.TempDir(), []string{"--api-address", "0.0.0.0:0"}, "add --allow-remote"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := launch(t, tt.dir, nil, tt.args...)
			if code := c.wait(t); code != 1 {
				t.Errorf("exit status %d, want 1", code)
			}
			if !strings.Contains(c.stderr.String(), tt.want) {
				t.Errorf("standard error %q, want %q in it", c.stderr, tt.want)
			}
			if c.stdout.String() != "" {
				t.Errorf("standard output %q, want none", c.stdout)
			}
		})
	}
	if info, err := os.Stat(foreign); err != nil || info.Mode().Perm()&0o077 == 0 {
		t.Errorf("the directory of something else was made private: %v, %v", info.Mode(), err)
	}
}

func TestStopInTheMidstOfTheStart(t *testing.T) {
	t.Parallel()
	// Each is there a little later than the one before. The first is made after signals are taken care of.
	for _, sign := range []string{"standalone.lock", "admin.kubeconfig", "etcd/member/snap/db", "etcd/etcd.sock"} {
		t.Run(sign, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			c := launch(t, dir, nil)
			eventually(t, startLimit, func() error {
				_, err := os.Stat(filepath.Join(dir, sign))
				return err
			})
			c.stop(t)
			run(t, dir).stop(t) // and nothing is broken by that
		})
	}
}

// Whatever etcd makes of broken data, the user is told, and the next start with the data back is as before.
func TestBrokenData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	run(t, dir).stop(t)
	for pattern, want := range map[string]string{
		"etcd/member/snap/db":   "etcd/member/snap/db", // etcd ends the process and names the file
		"etcd/member/wal/*.wal": "its data looks broken",
	} {
		t.Run(pattern, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(files) != 1 {
				t.Fatalf("%s is %q, %v, want one file", pattern, files, err)
			}
			whole, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(files[0], []byte(strings.Repeat("junk", 10000)), 0o600); err != nil {
				t.Fatal(err)
			}
			c := launch(t, dir, nil)
			if code := c.wait(t); code == 0 {
				t.Error("exit status 0")
			}
			if !strings.Contains(c.stderr.String(), want) || strings.Contains(c.stdout.String(), "ready") {
				t.Errorf("standard error %q, want %q in it; standard output %q", c.stderr, want, c.stdout)
			}
			if err := os.WriteFile(files[0], whole, 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
	run(t, dir).stop(t)
}

func TestManagerThatEnds(t *testing.T) {
	t.Parallel()
	c := launch(t, filepath.Join(t.TempDir(), "data"), []string{brokenVariable + "=1"})
	if code := c.wait(t); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	if !strings.Contains(c.stderr.String(), "this manager is broken") {
		t.Errorf("standard error %q", c.stderr)
	}
	if strings.Contains(c.stdout.String(), "ready") {
		t.Errorf("standard output %q", c.stdout)
	}
}

func TestRenewalWhileRunning(t *testing.T) {
	t.Parallel()
	// A start on a busy machine must be over long before the first renewal.
	const validity = 45 * time.Second
	c := run(t, filepath.Join(t.TempDir(), "data"), "--certificate-validity", validity.String())
	serial, notAfter := c.serving(t)
	old := c.config(t)

	eventually(t, time.Minute, func() error {
		now, until := c.serving(t)
		if now == serial || !until.After(notAfter) || string(c.config(t).CertData) == string(old.CertData) {
			return errors.New("no new certificate is served, or none is in admin.kubeconfig")
		}
		return nil
	})
	if at := time.Now(); at.After(notAfter) {
		t.Errorf("renewed at %s, after the end at %s", at, notAfter)
	}

	// The old credential ends on time, the new one works, and so does the manager's, which only has files to read.
	eventually(t, time.Minute, func() error {
		_, err := clientOf(t, old).CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{})
		if !apierrors.IsUnauthorized(err) {
			return fmt.Errorf("the old client certificate gets %w", errors.Join(errors.New("answer"), err))
		}
		return nil
	})
	expired := time.Now()
	eventually(t, time.Minute, func() error {
		beats, err := c.client(t).CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{LabelSelector: "beat"})
		if err != nil {
			return err
		}
		for _, beat := range beats.Items {
			if beat.CreationTimestamp.After(expired.Add(time.Second)) {
				return nil
			}
		}
		return errors.New("the manager does nothing any more")
	})
	c.stop(t)
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	run(t, dir).stop(t)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch mode := info.Mode().Perm(); {
		case entry.IsDir() && mode != 0o700:
			t.Errorf("directory %s has mode %v, want 0700", path, mode)
		case filepath.Ext(path) == ".crt" && mode != 0o644, !entry.IsDir() && filepath.Ext(path) != ".crt" && mode != 0o600:
			t.Errorf("%s has mode %v", path, mode)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A path that no socket address takes: etcd is reached all the same.
func TestLongAndOddDataDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long ", 20)+"100%, äöü #1?")
	c := run(t, dir)
	if _, err := c.client(t).CoreV1().Namespaces().Get(t.Context(), bootstrap.Namespace, metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	c.stop(t)
}

// Nobody else may reach what only this process needs, whatever is listening.
func TestListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	c := run(t, filepath.Join(t.TempDir(), "data"), "--manager=false")
	if listening := listeners(t, c.command.Process.Pid); len(listening) != 1 || !strings.HasPrefix(listening[0], "127.0.0.1:") {
		t.Errorf("listens on %q, want the API on loopback only", listening)
	}
	c.stop(t)
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	c := run(t, filepath.Join(t.TempDir(), "data"))
	// Stopped processes get signals when they continue, both at once then.
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCONT} {
		if err := c.command.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	if code := c.wait(t); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
}

const loginUser = "system:serviceaccount:" + bootstrap.Namespace + ":" + bootstrap.LoginAccount

func loginToken(t *testing.T, client *kubernetes.Clientset) string {
	t.Helper()
	return tokenOf(t, client, bootstrap.Namespace, bootstrap.LoginAccount)
}

func tokenOf(t *testing.T, client *kubernetes.Clientset, namespace, name string) string {
	t.Helper()
	request, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// whoIs asks the server who the caller is.
func whoIs(t *testing.T, config *rest.Config) string {
	t.Helper()
	review, err := clientOf(t, config).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.UserInfo.Username
}
