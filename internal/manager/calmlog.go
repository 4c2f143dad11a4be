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
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// calmLogger is a logger for which it is no error that something cannot be created in a
// namespace that is being deleted: the Events of its objects' last moments, and with them
// a dozen lines for each. They go to the debug level.
func calmLogger(logger logr.Logger) logr.Logger {
	return logger.WithSink(calmSink{logger.GetSink()})
}

type calmSink struct{ logr.LogSink }

func (s calmSink) Error(err error, msg string, keysAndValues ...any) {
	if !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		s.LogSink.Error(err, msg, keysAndValues...)
		return
	}
	if s.LogSink.Enabled(1) {
		s.LogSink.Info(1, msg, append(keysAndValues[:len(keysAndValues):len(keysAndValues)], "error", err.Error())...)
	}
}

func (s calmSink) WithValues(keysAndValues ...any) logr.LogSink {
	return calmSink{s.LogSink.WithValues(keysAndValues...)}
}

func (s calmSink) WithName(name string) logr.LogSink { return calmSink{s.LogSink.WithName(name)} }
