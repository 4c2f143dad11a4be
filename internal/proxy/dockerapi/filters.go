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

package dockerapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/mask"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// judgeFilters refuses filters that would tell what the mask hides: an engine compares
// them with the real values.
func (x *exchange) judgeFilters(context.Context) error {
	if !x.masked {
		return nil
	}
	query, err := url.ParseQuery(x.req.Query)
	if err != nil {
		return apistatus.BadRequest("the query cannot be read: it is not escaped as a URL's")
	}
	for name, values := range query {
		if !strings.EqualFold(name, "filters") { // some engines ignore the case
			continue
		}
		for _, value := range values {
			if err := mask.CheckFilters(value); err != nil {
				return x.hiddenFilter(err)
			}
		}
	}
	return nil
}

func (x *exchange) hiddenFilter(err error) error {
	var hidden *mask.HiddenFilterError
	if !errors.As(err, &hidden) {
		return apistatus.BadRequest("%s", err.Error())
	}
	advice := ""
	if role, ok := access.LeastRole(access.Right{Subresource: access.Inspect, Verb: access.Get}); ok {
		advice = ", or ask for the role " + string(role) + " by a HostPermission"
	}
	return apistatus.New(http.StatusForbidden, "Forbidden", "user %q cannot get dockerhosts/%s of %q in the namespace %q: %s%s",
		x.caller.User.GetName(), access.Inspect, x.key.Name, x.key.Namespace, hidden.Error(), advice)
}
