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

package manager

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestCalmLogger: what a namespace that goes refuses is no error, anything else is.
func TestCalmLogger(t *testing.T) {
	forbidden := func(causes ...metav1.StatusCause) error {
		err := apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "one", errors.New("no"))
		err.ErrStatus.Details.Causes = causes
		return fmt.Errorf("creating: %w", err)
	}
	leaving := forbidden(metav1.StatusCause{Type: corev1.NamespaceTerminatingCause})
	for _, verbosity := range []int{0, 1} {
		var got []string
		logger := calmLogger(funcr.New(func(prefix, args string) { got = append(got, prefix+" "+args) }, funcr.Options{Verbosity: verbosity}))
		logger = logger.WithName("events").WithValues("key", "value")
		logger.Error(leaving, "in a namespace that goes", "more", 1)
		logger.Error(forbidden(), "in another")
		logger.Error(nil, "without an error")
		if len(got) != 2+verbosity || !strings.HasPrefix(got[verbosity], "events ") ||
			!strings.Contains(got[verbosity], `"msg"="in another" "error"=`) || !strings.Contains(got[verbosity], `"key"="value"`) {
			t.Errorf("at verbosity %d it logged %q", verbosity, got)
		}
		if verbosity == 1 && (!strings.Contains(got[0], `"level"=1 "msg"="in a namespace that goes"`) || !strings.Contains(got[0], `"more"=1`)) {
			t.Errorf("for debugging it logged %q", got[0])
		}
	}
}
