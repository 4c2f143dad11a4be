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

package streamapi

import (
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// request is what a client says on a connection. Its Type says which fields count.
type request struct {
	// Type is "subscribe", "unsubscribe" or "ack".
	Type string `json:"type"`
	// ID is the client's own number of the subscription.
	ID uint32 `json:"id"`
	// Bytes is, of an ack, how many bytes of the subscription's messages the client has
	// taken since its beginning.
	Bytes uint64 `json:"bytes"`
	// Window is, of a subscribe, how many bytes may be sent that are not acknowledged; 0
	// is no bound but the connection's.
	Window uint64 `json:"window"`
	// Topic is, of a subscribe, "log", "stats" or "events".
	Topic string `json:"topic"`

	// Namespace and Host name a DockerHost; without Host a log and events are of all hosts
	// of the namespace, or of all.
	Namespace string `json:"namespace"`
	Host      string `json:"host"`
	// Containers are ids, beginnings of ids, or names: of statistics one at most, of a log
	// of one host any number, of events full ids or names.
	Containers []string `json:"containers"`

	logRequest
	eventRequest
	statsRequest
}

// logRequest is what only a log is asked.
type logRequest struct {
	// Service is a service of the host's swarm; LabelSelector chooses containers, and
	// HostSelector hosts.
	Service       string `json:"service"`
	LabelSelector string `json:"labelSelector"`
	HostSelector  string `json:"hostSelector"`

	// Follow is true by default.
	Follow    *bool      `json:"follow"`
	Stdout    bool       `json:"stdout"`
	Stderr    bool       `json:"stderr"`
	TailLines *int       `json:"tailLines"`
	SinceTime *time.Time `json:"sinceTime"`
	// Filter is a text that lines must hold, Pattern a regular expression (RE2) that they
	// must match; Invert turns that round.
	Filter  string `json:"filter"`
	Pattern string `json:"pattern"`
	Invert  bool   `json:"invert"`
	// Cursors say where to go on: by source, of events by host.
	Cursors map[string]string `json:"cursors"`
}

// eventRequest is what only events are asked.
type eventRequest struct {
	Types   []string `json:"types"`
	Actions []string `json:"actions"`
	Labels  []string `json:"labels"`
	// Tail is how many of the last events of each host to begin with.
	Tail int `json:"tail"`
}

// statsRequest is what only statistics are asked.
type statsRequest struct {
	// BacklogSeconds is how much of the past to begin with.
	BacklogSeconds int `json:"backlogSeconds"`
}

// reply is what a client is told beside data.
type reply struct {
	// Type is "subscribed", or "ended" with a Status.
	Type   string         `json:"type"`
	ID     uint32         `json:"id"`
	Status *metav1.Status `json:"status,omitempty"`
}

// parseRequest reads a client's message.
func parseRequest(data []byte) (request, error) {
	var r request
	if err := json.Unmarshal(data, &r); err != nil {
		return request{}, fmt.Errorf("a message is a JSON object with a type: %w", err)
	}
	return r, nil
}
