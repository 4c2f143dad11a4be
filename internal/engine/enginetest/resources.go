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

package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// imageName is a reference that no registry answers for: Podman would add
// "localhost/" by itself.
func (s *suite) imageName() string {
	return fmt.Sprintf("localhost/contract-image:%d", s.counter.Add(1))
}

// rootfs is a tar of one file with this content.
func rootfs(t testing.TB, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "file", Mode: 0o644, Size: int64(len(content))})
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// importImage imports an image that is like no other and is removed after the
// test. It returns its id.
func (s *suite) importImage(t testing.TB, ref string) string {
	t.Helper()
	s.must(t, "import", s.e.ImageImport(s.context(t), ref, bytes.NewReader(rootfs(t, s.name("content")))))
	id := s.imageID(t, ref)
	if id == "" {
		t.Fatalf("the imported image %s is in no list", ref)
	}
	s.cleanup(t, "remove the image", func(ctx context.Context) error { return s.e.ImageRemove(ctx, id, true) })
	return id
}

// imageID finds an image by its name; "" is none.
func (s *suite) imageID(t testing.TB, ref string) string {
	t.Helper()
	all, err := s.e.List(s.context(t), engine.Images, engine.ListOptions{})
	s.must(t, "list images", err)
	i := slices.IndexFunc(all, func(o engine.Object) bool { return o.Name == ref })
	if i < 0 {
		return ""
	}
	return all[i].ID
}

// cleanup removes something after the test, if it is still there.
func (s *suite) cleanup(t testing.TB, what string, remove func(context.Context) error) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
		defer cancel()
		if err := remove(ctx); err != nil && !engine.IsNotFound(err) {
			t.Errorf("%s: %v", what, err)
		}
	})
}

func (s *suite) createVolume(t testing.TB, labels map[string]string) string {
	t.Helper()
	name := s.name("volume")
	s.must(t, "create a volume", s.e.VolumeCreate(s.context(t), volume.CreateRequest{Name: name, Labels: labels}))
	s.cleanup(t, "remove the volume", func(ctx context.Context) error { return s.e.VolumeRemove(ctx, name, true) })
	return name
}

func (s *suite) createNetwork(t testing.TB, name string, labels map[string]string) string {
	t.Helper()
	id, err := s.e.NetworkCreate(s.context(t), network.CreateRequest{Name: name, Driver: "bridge", Labels: labels})
	s.must(t, "create a network", err)
	s.cleanup(t, "remove the network", func(ctx context.Context) error { return s.e.NetworkRemove(ctx, id) })
	return id
}

func (s *suite) testImages(t *testing.T) {
	subtests(t, []subtest{
		{"import, replace, remove", s.testImageImport},
		{"in use", s.testImageInUse},
		{"tag", s.testImageTag},
		{"pull from nowhere", s.testPullFails},
		{"errors", s.testImageErrors},
	})
}

func (s *suite) testImageImport(t *testing.T) {
	ctx := s.context(t)
	ref := s.imageName()
	first := s.importImage(t, ref)
	before, err := s.e.Info(ctx)
	s.must(t, "info", err)
	second := s.importImage(t, ref)
	if first == second {
		t.Fatal("two images have the same id")
	}
	after, err := s.e.Info(ctx)
	s.must(t, "info", err)
	if after.Images != before.Images+1 {
		t.Errorf("info counts %d images, then %d; want one more", before.Images, after.Images)
	}
	// The first image lost its name and is still there.
	o, ok := s.find(t, engine.Images, first)
	if !ok || o.Name != "" {
		t.Errorf("the replaced image is listed %t with the name %q; want it without a name", ok, o.Name)
	}
	s.must(t, "remove by name", s.e.ImageRemove(ctx, ref, false))
	if _, ok := s.find(t, engine.Images, second); ok {
		t.Error("a removed image is listed")
	}
	s.must(t, "remove by id", s.e.ImageRemove(ctx, first, false))
	_, err = s.e.Inspect(ctx, engine.Images, first)
	s.want(t, "inspect of a removed image", err, engine.ClassNotFound)
}

func (s *suite) testImageInUse(t *testing.T) {
	ctx := s.context(t)
	id := s.sleeper(t)
	err := s.e.ImageRemove(ctx, s.imageID(t, s.Image), false)
	s.want(t, "remove the image of a running container", err, engine.ClassConflict)
	s.must(t, "stop", s.e.ContainerStop(ctx, id, 0))
	err = s.e.ImageRemove(ctx, s.imageID(t, s.Image), false)
	s.want(t, "remove the image of a stopped container", err, engine.ClassConflict)
}

func (s *suite) testImageErrors(t *testing.T) {
	ctx := s.context(t)
	s.want(t, "remove an unknown image", s.e.ImageRemove(ctx, unknownID(engine.Images), false), engine.ClassNotFound)
	s.want(t, "remove an unknown name", s.e.ImageRemove(ctx, "localhost/no-such-image:1", true), engine.ClassNotFound)
	err := s.e.ImageImport(ctx, "Not/A:Valid:Name", bytes.NewReader(rootfs(t, "x")))
	s.want(t, "import under a bad name", err, engine.ClassInvalid)
	err = s.e.ImageImport(ctx, s.imageName(), strings.NewReader(strings.Repeat("this is no tar. ", 100)))
	s.want(t, "import what is no tar", err, engine.ClassServer)
}

func (s *suite) testVolumes(t *testing.T) {
	ctx := s.context(t)
	name := s.createVolume(t, map[string]string{"a": "b"})
	s.must(t, "create it again", s.e.VolumeCreate(ctx, volume.CreateRequest{Name: name}))
	if o, ok := s.find(t, engine.Volumes, name); !ok || o.Labels["a"] != "b" {
		t.Errorf("the volume has the labels %v, found %t", o.Labels, ok)
	}
	id := s.start(t, box{
		cmd:    []string{"sleep", "1000"},
		mounts: []mount.Mount{{Type: mount.TypeVolume, Source: name, Target: "/data"}},
	})
	s.want(t, "remove a volume in use", s.e.VolumeRemove(ctx, name, false), engine.ClassConflict)
	s.must(t, "remove the container and its anonymous volumes", s.e.ContainerRemove(ctx, id, true, true))
	if _, ok := s.find(t, engine.Volumes, name); !ok {
		t.Fatal("a named volume went with its container")
	}
	s.must(t, "remove the volume", s.e.VolumeRemove(ctx, name, false))
	s.want(t, "remove it again", s.e.VolumeRemove(ctx, name, false), engine.ClassNotFound)
	s.must(t, "remove it again by force", s.e.VolumeRemove(ctx, name, true))
	s.want(t, "create a volume with a bad name", s.e.VolumeCreate(ctx, volume.CreateRequest{Name: "a/b"}), engine.ClassInvalid)
}

// testAnonymousVolumes is a part of Lifecycle: who removes a container says what
// becomes of them.
func (s *suite) testAnonymousVolumes(t *testing.T) {
	ctx := s.context(t)
	for _, remove := range []bool{true, false} {
		id := s.create(t, box{cmd: []string{"true"}, mounts: []mount.Mount{{Type: mount.TypeVolume, Target: "/data"}}})
		mounts := s.inspect(t, id).Mounts
		if len(mounts) != 1 || mounts[0].Name == "" {
			t.Fatalf("the container has the mounts %+v; want one volume", mounts)
		}
		s.must(t, "remove", s.e.ContainerRemove(ctx, id, true, remove))
		if _, left := s.find(t, engine.Volumes, mounts[0].Name); left == remove {
			t.Errorf("after a remove with volumes=%t the anonymous volume is there: %t", remove, left)
		}
		if !remove {
			s.must(t, "remove the volume", s.e.VolumeRemove(ctx, mounts[0].Name, false))
		}
	}
}

func (s *suite) testNetworks(t *testing.T) {
	subtests(t, []subtest{
		{"create, use, remove", s.testNetworkUse},
		{"connect and disconnect", s.testNetworkMembers},
		{"the engine's own", s.testPredefinedNetwork},
	})
}

func (s *suite) testNetworkUse(t *testing.T) {
	ctx := s.context(t)
	name := s.name("net")
	id := s.createNetwork(t, name, nil)
	_, err := s.e.NetworkCreate(ctx, network.CreateRequest{Name: name, Driver: "bridge"})
	s.want(t, "create a network of the same name", err, engine.ClassConflict)
	box := s.start(t, box{cmd: []string{"sleep", "1000"}, network: name})
	inUse := id
	if s.differs(t, RemovesUsedNetwork) {
		inUse = name
	}
	s.want(t, "remove a network in use", s.e.NetworkRemove(ctx, inUse), engine.ClassConflict)
	s.must(t, "remove its container", s.e.ContainerRemove(ctx, box, true, true))
	s.must(t, "remove the network", s.e.NetworkRemove(ctx, id))
	s.want(t, "remove it again", s.e.NetworkRemove(ctx, id), engine.ClassNotFound)
	_, err = s.e.NetworkCreate(ctx, network.CreateRequest{Name: s.name("net"), Driver: "no-such-driver"})
	if err == nil {
		t.Error("a network of an unknown driver was created")
	}
}

func (s *suite) testPredefinedNetwork(t *testing.T) {
	all, err := s.e.List(s.context(t), engine.Networks, engine.ListOptions{})
	s.must(t, "list", err)
	own := []string{"bridge", "podman"}
	i := slices.IndexFunc(all, func(o engine.Object) bool { return slices.Contains(own, o.Name) })
	if i < 0 {
		t.Fatalf("there is no network named one of %s", own)
	}
	s.want(t, "remove the engine's own network", s.e.NetworkRemove(s.context(t), all[i].ID), engine.ClassConflict)
}
