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

// Package auditcmd is the command "manager audit": verify checks the files of an
// audit trail, and heads prints the heads of all replicas' chains, to be kept where
// who can write to the cluster cannot reach.
//
// Keys and heads come from the cluster, or from files for those who have none at hand.
// The command only reads, and leaves files alone that a manager writes to meanwhile.
package auditcmd
