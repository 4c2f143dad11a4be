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

package controllers

import (
	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// unreachableReasons are the ways in which an engine that is away shows itself.
// Which of them it is changes while it stays away (refused, then timed out, then
// refused), and that is no news.
var unreachableReasons = map[string]bool{
	dcv1.ReasonDialFailed:      true,
	dcv1.ReasonTimeout:         true,
	dcv1.ReasonNameNotResolved: true,
	dcv1.ReasonEngineError:     true,
}
