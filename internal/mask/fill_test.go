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
	"net/netip"
	"reflect"
	"testing"
	"time"

	sdknetwork "github.com/moby/moby/api/types/network"
)

// canary is what texts are filled with.
const canary = "canary-5e1f"

// samples are values of the types that are no plain texts on the wire.
var samples = map[reflect.Type]any{
	reflect.TypeFor[time.Time]():               time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
	reflect.TypeFor[netip.Addr]():              netip.MustParseAddr("192.0.2.1"),
	reflect.TypeFor[netip.Prefix]():            netip.MustParsePrefix("192.0.2.0/24"),
	reflect.TypeFor[sdknetwork.Port]():         sdknetwork.MustParsePort("80/tcp"),
	reflect.TypeFor[sdknetwork.HardwareAddr](): sdknetwork.HardwareAddr{2, 66, 172, 17, 0, 2},
}

// fill gives v, all that is in it, and one member or element of whatever holds some, values that are not zero. Texts
// are the canary, those of environments with a name before it.
func fill(t *testing.T, v reflect.Value, field string) {
	t.Helper()
	if sample, ok := samples[v.Type()]; ok {
		v.Set(reflect.ValueOf(sample))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), field)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fill(t, v.Field(i), f.Name)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(canary))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0), field)
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), field)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, "key")
		fill(t, value, field)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		switch field {
		case "key":
			v.SetString("k")
		case "Env":
			v.SetString("NAME=" + canary)
		default:
			v.SetString(canary)
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(canary))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(7.5)
	default:
		t.Fatalf("there is no sample for %s, a %s", field, v.Type())
	}
}
