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

package hostapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

func dockerHost(host hostcache.Key) *dcv1.DockerHost {
	return &dcv1.DockerHost{ObjectMeta: metav1.ObjectMeta{Namespace: host.Namespace, Name: host.Name}}
}

func TestGet(t *testing.T) {
	b := newBed(t)
	b.host(web,
		container("abc1", "one"), container("abd2", "two"), container("def3", "abc1"), container("fff4", "def3"),
		hostcachetest.Image("sha256:0123", "registry.example:5000/a/b:1.0"), hostcachetest.Image("sha256:0456", "nginx:latest"),
		hostcachetest.Volume("data"), hostcachetest.Network("e1", "same"), hostcachetest.Network("e2", "same"), hostcachetest.Network("e3", "bridge"),
	)
	b.grants.grant("admin", web, all...)
	for _, test := range []struct{ path, uid string }{
		{"containers/abc1", "abc1"}, // the id before the name of another
		{"containers/def3", "def3"},
		{"containers/two", "abd2"},
		{"containers/abd", "abd2"},
		{"images/sha256:0123", "sha256:0123"},
		{"images/012", "sha256:0123"},
		{"images/registry.example:5000%2Fa%2Fb:1.0", "sha256:0123"},
		{"images/nginx", "sha256:0456"},
		{"volumes/data", "data"},
		{"networks/bridge", "e3"},
	} {
		got := b.get("admin", ofWeb+test.path)
		var item itemSeen
		if err := json.Unmarshal(got.body, &item); err != nil || item.Metadata.UID != test.uid || item.APIVersion != apiVersion || item.Docker == nil {
			t.Errorf("%s: %s %s", test.path, got.Status, got.body)
		}
	}
	for _, test := range []struct {
		path  string
		code  int
		words []string
	}{
		{"containers/ab", http.StatusConflict, []string{"abc1", "abd2"}},
		{"networks/same", http.StatusConflict, []string{"e1", "e2"}},
		{"containers/zzz", http.StatusNotFound, []string{`"zzz"`}},
		{"volumes/dat", http.StatusNotFound, nil},
	} {
		status := b.wantStatus(b.get("admin", ofWeb+test.path), test.code, test.words...)
		if test.code == http.StatusConflict && len(status.Details.Causes) != 2 {
			t.Errorf("%s: causes %+v", test.path, status.Details.Causes)
		}
	}
}

func TestInfo(t *testing.T) {
	b := newBed(t)
	b.host(web, container("a1", "one"))
	b.grants.grant("viewer", web, viewing...)
	got := b.get("viewer", ofWeb+"info")
	var info struct {
		Kind     string
		Metadata struct{ Name, Namespace, UID string }
		Phase    string
		Docker   struct{ Name, ServerVersion string }
		Version  struct{ ApiVersion string }
	}
	if err := json.Unmarshal(got.body, &info); err != nil {
		t.Fatal(err)
	}
	if info.Kind != "HostInfo" || info.Metadata.Name != "web" || info.Metadata.UID != "uid-web" || info.Phase != "Connected" ||
		info.Docker.ServerVersion != "28.0.0" || info.Version.ApiVersion != "1.48" {
		t.Errorf("info: %s", got.body)
	}
	if strings.Contains(string(got.body), "failure") {
		t.Errorf("a connected host failed: %s", got.body)
	}
}
