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

package relay

import (
	"math/rand/v2"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	ours       = "/apis/dockercontrol.dev/v1alpha1"
	hosts      = ours + "/namespaces/web/dockerhosts"
	secretPath = "/api/v1/namespaces/web/secrets/engine-tls"
)

func TestClassify(t *testing.T) {
	for request, want := range map[string]string{
		"GET /apis/dockercontrol.dev":                                      "",
		"GET /apis/dockercontrol.dev/v1alpha1?timeout=32s":                 "",
		"GET /openapi/v3/apis/dockercontrol.dev/v1alpha1":                  "",
		"GET " + ours + "/dockerhosts?limit=500":                           "list dockerhosts.dockercontrol.dev",
		"GET " + ours + "/hostpermissions?watch=true":                      "watch hostpermissions.dockercontrol.dev",
		"GET " + hosts + "?watch=1&fieldSelector=metadata.name%3Dprod":     "watch dockerhosts.dockercontrol.dev web/prod",
		"GET " + hosts + "?watch=false&labelSelector=a%20in%20%28b%2Cc%29": "list dockerhosts.dockercontrol.dev web/",
		"POST " + hosts + "?fieldManager=console":                          "create dockerhosts.dockercontrol.dev web/ change",
		"POST " + hosts + "?dryRun=All":                                    "create dockerhosts.dockercontrol.dev web/",
		"GET " + hosts + "/prod":                                           "get dockerhosts.dockercontrol.dev web/prod",
		"PUT " + hosts + "/prod":                                           "update dockerhosts.dockercontrol.dev web/prod change",
		"PATCH " + hosts + "/prod?fieldManager=dsctl&force=true":           "patch dockerhosts.dockercontrol.dev web/prod change",
		"DELETE " + hosts + "/prod?propagationPolicy=Foreground":           "delete dockerhosts.dockercontrol.dev web/prod change",
		// The body's options would win, so this may be no dry run at all.
		"DELETE " + hosts + "/prod?dryRun=All":                                            "delete dockerhosts.dockercontrol.dev web/prod change",
		"PATCH " + ours + "/namespaces/web/swarmservices/shop/scale":                      "patch swarmservices/scale.dockercontrol.dev web/shop change",
		"GET " + ours + "/namespaces/web/swarmservices/shop/scale":                        "get swarmservices/scale.dockercontrol.dev web/shop",
		"GET /apis/events.k8s.io/v1/namespaces/web/events?watch=true":                     "watch events.events.k8s.io web/",
		"GET /apis/events.k8s.io/v1/events":                                               "list events.events.k8s.io",
		"GET /api/v1/namespaces/web/events/prod.17a0b":                                    "get events. web/prod.17a0b",
		"GET /api/v1/namespaces":                                                          "list namespaces.",
		"GET /api/v1/namespaces/web":                                                      "get namespaces. /web",
		"GET /api/v1/namespaces?watch=true&allowWatchBookmarks=true":                      "watch namespaces.",
		"POST /apis/authentication.k8s.io/v1/selfsubjectreviews":                          "create selfsubjectreviews.authentication.k8s.io",
		"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews":                     "create selfsubjectaccessreviews.authorization.k8s.io",
		"POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews":                      "create selfsubjectrulesreviews.authorization.k8s.io",
		"PATCH " + secretPath + "?fieldManager=console&dryRun=All&fieldValidation=Strict": "patch secrets. web/engine-tls",
		"PATCH " + secretPath + "?fieldManager=console&force=true":                        "patch secrets. web/engine-tls change",
	} {
		t.Run(request, func(t *testing.T) {
			q, err := classify(request)
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(q); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if q.Path != strings.Split(strings.Fields(request)[1], "?")[0] {
				t.Errorf("forwards the path %s", q.Path)
			}
		})
	}
}

func classify(request string) (*Request, error) {
	method, target, _ := strings.Cut(request, " ")
	escaped, query, _ := strings.Cut(target, "?")
	return Classify(method, escaped, query)
}

func describe(q *Request) string {
	if q.Verb == "" {
		return ""
	}
	s := q.Verb + " " + q.Resource
	if q.Subresource != "" {
		s += "/" + q.Subresource
	}
	s += "." + q.Group
	if q.Namespace != "" || q.Name != "" {
		s += " " + q.Namespace + "/" + q.Name
	}
	if q.Change {
		s += " change"
	}
	return s
}

func TestClassifyRefuses(t *testing.T) {
	for request, code := range map[string]int32{
		// Not on the list.
		"GET /":                               400,
		"GET /api":                            403,
		"GET /apis":                           403,
		"GET /api/v1":                         403,
		"GET /version":                        403,
		"GET /metrics":                        403,
		"GET /openapi/v2":                     403,
		"GET /openapi/v3":                     403,
		"GET /openapi/v3/api/v1":              403,
		"GET /api/v1/secrets":                 403,
		"GET " + secretPath:                   403,
		"HEAD " + secretPath:                  403,
		"PUT " + secretPath:                   403,
		"DELETE " + secretPath:                403,
		"GET /api/v1/namespaces/web/secrets":  403,
		"POST /api/v1/namespaces/web/secrets": 403,
		"PATCH /api/v1/namespaces/web/configmaps/a?fieldManager=x":                    403,
		"GET /api/v1/watch/namespaces":                                                403,
		"GET /api/v1/watch/namespaces/web/secrets":                                    403,
		"GET /api/v1/namespaces/web/pods/a/exec":                                      403,
		"POST /api/v1/namespaces":                                                     403,
		"DELETE /api/v1/namespaces/web":                                               403,
		"GET /api/v1/namespaces/web/status":                                           403,
		"POST /api/v1/namespaces/web/serviceaccounts/default/token":                   403,
		"POST /api/v1/namespaces/web/events":                                          403,
		"DELETE /api/v1/namespaces/web/events":                                        403,
		"GET /api/v1/nodes/n/proxy/":                                                  400,
		"GET /apis/apps/v1/deployments":                                               403,
		"GET /apis/dockercontrol.dev/v1/dockerhosts":                                  403,
		"GET " + ours + "/namespaces/web":                                             403,
		"GET " + ours + "/namespaces/web/secrets":                                     403,
		"GET " + ours + "/DockerHosts":                                                403,
		"POST " + ours + "/dockerhosts":                                               403,
		"DELETE " + hosts:                                                             403,
		"PATCH " + hosts + "/prod/status":                                             403,
		"PUT " + hosts + "/prod/status":                                               403,
		"GET " + hosts + "/prod/log":                                                  403,
		"GET " + hosts + "/prod/scale":                                                403,
		"DELETE " + ours + "/namespaces/web/swarmservices/shop/scale":                 403,
		"HEAD " + hosts:                                                               403,
		"OPTIONS " + hosts:                                                            403,
		"CONNECT " + hosts:                                                            403,
		"get " + hosts:                                                                403,
		"POST /apis/authorization.k8s.io/v1/subjectaccessreviews":                     403,
		"POST /apis/authorization.k8s.io/v1/namespaces/web/localsubjectaccessreviews": 403,
		"POST /apis/authentication.k8s.io/v1/tokenreviews":                            403,
		"GET " + ours + "/namespaces/" + strings.Repeat("a", 64) + "/dockerhosts":     403,
		"GET " + ours + "/namespaces/a.b/dockerhosts":                                 403,
		"GET " + hosts + "/Prod":                                                      403,
		"GET " + hosts + "/-prod":                                                     403,
		// Two readings.
		"GET /apis/../api/v1/secrets":                    400,
		"GET " + hosts + "/..":                           400,
		"GET " + hosts + "/.":                            400,
		"GET " + hosts + "/...":                          400,
		"GET " + hosts + "/%2e%2e/secrets":               400,
		"GET " + hosts + "/a%2Fb":                        400,
		"GET " + hosts + "/%70rod":                       400,
		"GET /%61pis/dockercontrol.dev":                  400,
		"GET //apis/dockercontrol.dev":                   400,
		"GET /apis//dockercontrol.dev":                   400,
		"GET " + hosts + "/":                             400,
		"GET " + hosts + `/a\b`:                          400,
		"GET " + hosts + ";a=b":                          400,
		"GET " + hosts + "/a\x00":                        400,
		"GET " + hosts + "/ａ":                            400,
		"GET apis/dockercontrol.dev":                     400,
		"GET " + hosts + "/" + strings.Repeat("a", 1100): 400,
		// Parameters.
		"GET " + hosts + "?watch=true&watch=false":                                        400,
		"GET " + hosts + "?Watch=true":                                                    400,
		"GET " + hosts + "?watch=yes":                                                     400,
		"GET " + hosts + "?watch=":                                                        400,
		"GET " + hosts + "?watch":                                                         400,
		"GET " + hosts + "?watch=TRUE":                                                    400,
		"GET " + hosts + "?impersonate=admin":                                             400,
		"GET " + hosts + "?limit=1;watch=true":                                            400,
		"GET " + hosts + "?continue=%zz":                                                  400,
		"GET " + hosts + "?labelSelector=a%00b":                                           400,
		"GET " + hosts + "?limit=" + strings.Repeat("1", 17<<10):                          400,
		"GET " + hosts + "/prod?watch=true":                                               400,
		"POST " + hosts + "?dryRun=None":                                                  400,
		"POST " + hosts + "?dryRun=":                                                      400,
		"POST " + hosts + "?dryRun=All&dryRun=x":                                          400,
		"PUT " + hosts + "/prod?force=true":                                               400,
		"DELETE " + hosts + "/prod?ignoreStoreReadErrorWithClusterBreakingPotential=true": 400,
		"PATCH " + secretPath:                                                             400,
		"PATCH " + secretPath + "?fieldManager=":                                          400,
		"GET /openapi/v3" + ours + "?hash=A":                                              400,
	} {
		t.Run(request, func(t *testing.T) {
			q, err := classify(request)
			status, ok := err.(apierrors.APIStatus)
			if err == nil || !ok || status.Status().Code != code {
				t.Errorf("got %+v, %v; want a Status of %d", q, err, code)
			}
		})
	}
}

// listed is the allow-list once more, written independently of the table.
var listed = regexp.MustCompile(`^(` +
	`/apis/dockercontrol\.dev(/v1alpha1)?|/openapi/v3/apis/dockercontrol\.dev/v1alpha1|` +
	`/apis/dockercontrol\.dev/v1alpha1(/namespaces/[a-z0-9-]+)?/(dockerhosts|hostpermissions|swarmservices)|` +
	`/apis/dockercontrol\.dev/v1alpha1/namespaces/[a-z0-9-]+/(dockerhosts|hostpermissions|swarmservices)/[a-z0-9.-]+|` +
	`/apis/dockercontrol\.dev/v1alpha1/namespaces/[a-z0-9-]+/swarmservices/[a-z0-9.-]+/scale|` +
	`(/apis/events\.k8s\.io/v1|/api/v1)/events|(/apis/events\.k8s\.io/v1|/api/v1)/namespaces/[a-z0-9-]+/events(/[a-z0-9.-]+)?|` +
	`/api/v1/namespaces(/[a-z0-9.-]+)?|/api/v1/namespaces/[a-z0-9-]+/secrets/[a-z0-9.-]+|` +
	`/apis/authentication\.k8s\.io/v1/selfsubjectreviews|/apis/authorization\.k8s\.io/v1/selfsubject(access|rules)reviews` +
	`)$`)

// FuzzClassify: however it is spelled, what is forwarded decodes and cleans to itself and
// is on the list, and a Secret can only be patched.
func FuzzClassify(f *testing.F) {
	for _, seed := range [][3]string{
		{"GET", hosts + "/prod", "watch=true"}, {"GET", hosts, "watch=1&limit=5"}, {"PATCH", secretPath, "fieldManager=a"},
		{"GET", "/apis/dockercontrol.dev/v1alpha1/../../../api/v1/secrets", ""}, {"GET", "/api/v1/namespaces/web/%73ecrets/a", ""},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "dryRun=All"}, {"DELETE", hosts + "/prod", "dryRun=All&pretty"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(checkClassified)
}

func checkClassified(t *testing.T, method, escaped, query string) {
	t.Helper()
	q, err := Classify(method, escaped, query)
	if err != nil {
		return
	}
	decoded, err := url.PathUnescape(q.Path)
	if err != nil || decoded != q.Path || path.Clean(decoded) != q.Path || q.Path != escaped || q.Method != method {
		t.Errorf("%s %q is forwarded as %s %q", method, escaped, q.Method, q.Path)
	}
	if !listed.MatchString(q.Path) {
		t.Errorf("%q is not on the list", q.Path)
	}
	if strings.Contains(q.Path, "/secrets/") && method != "PATCH" {
		t.Errorf("%s of a Secret", method)
	}
	values, err := url.ParseQuery(q.Query)
	if err != nil || values.Encode() != q.Query {
		t.Errorf("the query %q is forwarded as %q", query, q.Query)
	}
	again, err := Classify(q.Method, q.Path, q.Query)
	if err != nil || again.Watch != q.Watch || again.Change != q.Change {
		t.Errorf("judged anew, %s %s?%s is %+v, %v", q.Method, q.Path, q.Query, again, err)
	}
}

// TestHostileSpellings mutates what is allowed, the same way each time.
func TestHostileSpellings(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"/", "//", "..", ".", "%2e", "%2F", "%", `\`, "?", ";", "&", "=", "#", "\x00", "é", "secrets", "/status", "a", "A", "namespaces", "watch=true", "api", "apis"}
	starts := []string{hosts + "/prod", hosts, secretPath, "/api/v1/namespaces/web", "/apis/events.k8s.io/v1/events", "/openapi/v3" + ours, reviewPath}
	methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	for range 50_000 {
		p := starts[random.IntN(len(starts))]
		for range 1 + random.IntN(3) {
			from := random.IntN(len(p) + 1)
			to := from + random.IntN(min(len(p)-from, 12)+1)
			p = p[:from] + pieces[random.IntN(len(pieces))] + p[to:]
		}
		checkClassified(t, methods[random.IntN(len(methods))], p, []string{"", "watch=1", "fieldManager=a", "dryRun=All"}[random.IntN(4)])
	}
}
