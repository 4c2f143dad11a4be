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

package deptest

import "strings"

// rule is one boundary. It names packages by their folder in the module, and others by import path; a
// name stands for all below it too, unless it ends in "$".
type rule struct {
	why string
	// from is whom the rule binds; except are those below that it does not.
	from, except []string
	// allowed, where set, is all that may be imported beside the standard library.
	allowed []string
	// denied may not be imported.
	denied []string
	// deep applies denied to everything that is pulled in, not only to what the package itself imports.
	deep bool
}

// everything is every package of the module.
var everything = []string{""}

var rules = []rule{
	{
		why:    "its maintainers moved it to github.com/moby/moby, and the old path gets no fixes",
		from:   everything,
		denied: []string{"github.com/docker/docker"},
		deep:   true,
	},
	{
		why:    "only internal/engine/moby talks to an engine; the others use the interface of internal/engine",
		from:   everything,
		except: []string{"internal/engine/moby", "test"},
		denied: []string{"github.com/moby/moby/client"},
	},
	{
		why:     "api has to be importable by any client without a controller's dependencies",
		from:    []string{"api"},
		allowed: []string{"api", "k8s.io/apimachinery"},
	},
	{
		why:     "engine is an interface and its types, as the Docker API has them",
		from:    []string{"internal/engine$"},
		allowed: []string{"github.com/moby/moby/api/types"},
	},
	{
		why:    "engines know nothing of Kubernetes",
		from:   []string{"internal/engine"},
		denied: []string{"k8s.io", "sigs.k8s.io", "api", "controllers", "internal/hostcache", "internal/stream", "internal/proxy"},
		deep:   true,
	},
	{
		why:    "hostcache is below the controllers and the proxy",
		from:   []string{"internal/hostcache"},
		denied: []string{"controllers", "internal/stream", "internal/proxy"},
		deep:   true,
	},
	{
		why:    "access, mask and swarm are pure functions; do I/O where they are called",
		from:   []string{"internal/access", "internal/mask", "internal/swarm"},
		denied: []string{"net/http", "os$", "sigs.k8s.io/controller-runtime", "k8s.io/client-go"},
	},
	{
		why:    "hubs and sessions know no HTTP; the proxy does",
		from:   []string{"internal/stream"},
		denied: []string{"net/http", "github.com/gorilla/websocket"},
	},
	{
		why:    "stream declares the Hosts interface it needs, and is below the proxy",
		from:   []string{"internal/stream"},
		denied: []string{"internal/proxy", "internal/hostcache", "internal/engine/moby", "controllers"},
		deep:   true,
	},
	{
		why:    "controllers keep state true; traffic is the proxy's",
		from:   []string{"controllers"},
		denied: []string{"internal/proxy", "internal/stream"},
		deep:   true,
	},
	{
		why:    "controllers get their engines from hostcache",
		from:   []string{"controllers"},
		denied: []string{"internal/engine/moby"},
	},
	{
		why:    "the proxy serves traffic; objects are the controllers'",
		from:   []string{"internal/proxy"},
		denied: []string{"controllers"},
		deep:   true,
	},
	{
		why:    "internal/manager imports everything, so nothing but a program may import it",
		from:   everything,
		except: []string{"cmd", "test"},
		denied: []string{"internal/manager"},
	},
	{
		why:    "a program does not carry test code",
		from:   everything,
		except: []string{"test", "internal/engine/enginetest"},
		denied: []string{"testing$", "test", "internal/engine/enginetest", "sigs.k8s.io/controller-runtime/pkg/envtest"},
	},
}

// covers tells whether name, as rules spell it, stands for the package.
func covers(names []string, pkg string) bool {
	for _, name := range names {
		exact, only := strings.CutSuffix(name, "$")
		if name == "" || pkg == exact || !only && strings.HasPrefix(pkg, name+"/") {
			return true
		}
	}
	return false
}
