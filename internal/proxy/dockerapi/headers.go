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
	"net/http"
	"net/textproto"
	"strings"
)

// requestHeaders reach an engine, and those with one of requestPrefixes; nothing else
// does: no proof of who asks, no cookie, no word of other proxies.
var (
	requestHeaders = set(
		"Accept", "Accept-Encoding", "Content-Encoding", "Content-Type", "Http2-Settings", "Range", "Te", "User-Agent",
		// The trace that a client began.
		"Baggage", "Traceparent", "Tracestate",
	)
	// X-Registry-Auth and -Config are credentials for registries, for the engine to use.
	// X-Docker-Expose-Session-* is a build session's.
	requestPrefixes = []string{"X-Registry-", "X-Docker-"}
	// websocketHeaders are those of an upgrade to attach/ws; the engine refuses one that
	// has no Origin.
	websocketHeaders = []string{"Origin", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Protocol", "Sec-Websocket-Version"}

	// answerHeaders reach the client. The headers of our own (secure) stay as they are.
	answerHeaders = set(
		"Api-Version", "Builder-Version", "Content-Disposition", "Content-Encoding", "Content-Length", "Content-Range",
		"Content-Type", "Date", "Libpod-Api-Version", "Ostype", "Sec-Websocket-Accept", "Sec-Websocket-Protocol",
		"Sec-Websocket-Version", "Server", "Swarm", "Warning",
	)
	answerPrefixes = []string{"Docker-", "X-Docker-"}
)

func set(names ...string) map[string]bool {
	all := map[string]bool{}
	for _, name := range names {
		all[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	return all
}

// pass copies the headers that are on a list. What "Connection" names is the connection's
// own and stays behind.
func pass(to, from http.Header, names map[string]bool, prefixes []string) {
	own := map[string]bool{}
	for _, value := range from.Values("Connection") {
		for name := range strings.SplitSeq(value, ",") {
			own[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	for name, values := range from {
		if own[name] || !names[name] && !hasPrefix(name, prefixes) {
			continue
		}
		to[name] = values
	}
}

func hasPrefix(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
