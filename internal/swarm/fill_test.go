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

package swarm

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

// choices turn bytes, a fuzzer's or random ones, into decisions.
type choices struct{ data []byte }

// pick is from 0 to n-1, and 0 when the bytes are used up.
func (c *choices) pick(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

// dictionary are texts that mean something in one field or another, in the right spelling
// or a wrong one.
var dictionary = []string{
	"", "a", "b", "busybox", "busybox:1", "busybox:1" + digest, "docker.io/library/busybox:1", "Bad Image", "node.role==worker", "node.labels.a !=  b",
	"A=b", "A=", "A", "=", "10.0.0.1 a", "10.0.0.1  a b", "::1", "noexec", "uid=5", "CAP_ALL", "net_admin", "ALL",
	"bind", "volume", "tmpfs", "image", "npipe", "rprivate", "rslave", "Bind", "Volume", "Tmpfs", "RPrivate", "RSlave", "local",
	"vip", "dnsrr", "VIP", "DNSRoundRobin", "tcp", "udp", "TCP", "UDP", "ingress", "host", "Ingress", "Host",
	"pause", "continue", "rollback", "Pause", "Continue", "Rollback", "stop-first", "start-first", "StopFirst", "StartFirst",
	"none", "on-failure", "any", "None", "OnFailure", "Any", "default", "process", "Default", "Process", "unconfined", "custom", "Unconfined", "Custom",
	"disabled", "Disabled", "container", "plugin", "Replicated", "Global", "ReplicatedJob", "GlobalJob", "0.25", "1", "x86_64", "amd64", "linux",
	"com.docker.x", "dockercontrol.dev/owner-uid", "nofile", "NONE", "CMD", "CMD-SHELL", "ü\n", "\x00", "a.b", "#2", "]",
}

var integers = []int64{0, 1, 2, 5, 80, 100, 0o444, 8080, 1e6, 1e9, 5e8, 64 << 20, -1, 70000, math.MaxInt32, math.MaxInt64, math.MinInt64, 3600e9}

var quantities = []string{"0", "1m", "500m", "2", "64Mi", "5M", "4Ei", "16Ei", "-1", "1n", "0.1"}

// fill makes something of a value. Two of three pointers point somewhere: what is empty
// is dull.
func (c *choices) fill(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *netip.Addr:
		*p, _ = netip.ParseAddr(dictionary[c.pick(len(dictionary))])
		return
	case *resource.Quantity:
		*p = resource.MustParse(quantities[c.pick(len(quantities))])
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if c.pick(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			c.fill(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				c.fill(v.Field(i))
			}
		}
	case reflect.Slice:
		n := c.pick(4)
		if n == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			c.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range c.pick(3) {
			v.SetMapIndex(reflect.ValueOf(dictionary[c.pick(len(dictionary))]), reflect.ValueOf(dictionary[c.pick(len(dictionary))]))
		}
	case reflect.String:
		v.SetString(dictionary[c.pick(len(dictionary))])
	case reflect.Bool:
		v.SetBool(c.pick(2) == 1)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(integers[c.pick(len(integers))])
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(integers[c.pick(len(integers))]))
	case reflect.Float32:
		v.SetFloat(float64(c.pick(5)) / 4)
	}
}

// specFrom makes a spec of a fuzzer's bytes: of JSON, or of choices.
func specFrom[T any](data []byte) (spec T, ok bool) {
	if len(data) > 0 && data[0] == '{' {
		return spec, json.Unmarshal(data, &spec) == nil
	}
	c := &choices{data}
	c.fill(reflect.ValueOf(&spec).Elem())
	return spec, true
}

// partial makes a spec of one of the samples with a few fields changed by the bytes: what
// Build takes far more often than what is made of nothing.
func partial[T any](data []byte, samples []T) T {
	c := &choices{data}
	spec := samples[c.pick(len(samples))]
	for range 1 + c.pick(4) {
		leaves := places(reflect.ValueOf(&spec).Elem())
		c.fill(leaves[(c.pick(256)<<8+c.pick(256))%len(leaves)])
	}
	return spec
}

// places are the fields at every depth that can be set.
func places(v reflect.Value) []reflect.Value {
	var out []reflect.Value
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out = places(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, places(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				out = append(append(out, f), places(f)...)
			}
		}
	}
	return out
}

// TestRandomSpecs is the fuzz tests' bodies on the same few thousand specs each time.
func TestRandomSpecs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 600)
	random := func() []byte {
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		data[0] &^= 0x40 // no '{': choices
		return data
	}
	built := 0
	for range 1500 {
		checkEngineSpec(t, random())
		built += checkSpec(t, random())
		if t.Failed() {
			return
		}
	}
	if built < 300 {
		t.Errorf("only %d of 1500 specs could be built: the test tests little", built)
	}
}
