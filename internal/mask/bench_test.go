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

package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	dockercontainer "github.com/moby/moby/api/types/container"
	dockernetwork "github.com/moby/moby/api/types/network"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// typicalItem is a container of a Compose project in a list, 1.9 KB.
func typicalItem(b *testing.B) []byte {
	b.Helper()
	labels := map[string]string{}
	for i := range 12 {
		labels[fmt.Sprintf("com.example.label-%d", i)] = "a value of some length, as they are"
	}
	labels["com.docker.compose.project"] = "shop"
	labels["com.docker.compose.service"] = "web"
	item, err := json.Marshal(dockercontainer.Summary{
		ID: "8f2c1f0a9d3e8f2c1f0a9d3e8f2c1f0a9d3e8f2c1f0a9d3e8f2c1f0a9d3e8f2c", Names: []string{"/shop-web-1"},
		Image: "registry.example.com/shop/web:1.2.3", Command: "/docker-entrypoint.sh nginx -g 'daemon off;'",
		Created: 1700000000, State: "running", Status: "Up 3 hours (healthy)", Labels: labels,
		Ports: []dockercontainer.PortSummary{{PrivatePort: 80, PublicPort: 8080, Type: "tcp"}, {PrivatePort: 443, Type: "tcp"}},
		NetworkSettings: &dockercontainer.NetworkSettingsSummary{Networks: map[string]*dockernetwork.EndpointSettings{
			"shop_default": {NetworkID: "n1", EndpointID: "e1", Aliases: []string{"web"}}}},
		Mounts: []dockercontainer.MountPoint{{Type: "volume", Name: "shop_data", Source: "/var/lib/docker/volumes/shop_data/_data", Destination: "/data", RW: true}},
	})
	if err != nil {
		b.Fatal(err)
	}
	return item
}

// BenchmarkAppend masks one container of a list.
func BenchmarkAppend(b *testing.B) {
	item := typicalItem(b)
	p, _ := ForItem(engine.Containers)
	b.SetBytes(int64(len(item)))
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		var err error
		if out, err = p.Append(out[:0], item); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCopy masks a list of a thousand containers.
func BenchmarkCopy(b *testing.B) {
	item := typicalItem(b)
	answer := append(append([]byte("["), bytes.Repeat(append(item, ','), 999)...), append(item, ']')...)
	p, _ := For("GET /containers/json")
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Copy(io.Discard, bytes.NewReader(answer)); err != nil {
			b.Fatal(err)
		}
	}
}
