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

package access

import (
	"slices"
	"strings"
)

// Headers are what Classify needs to know of a request's headers, as net/http has them.
type Headers struct {
	// ContentType holds every value of the header.
	ContentType []string
	// Upgrade holds every value of the header, whether "Connection: Upgrade" came with it or not: some clients
	// of BuildKit leave it out.
	Upgrade []string
	// ContentLength is that of the request, -1 where unknown.
	ContentLength int64
	// TransferEncoding is that of the request.
	TransferEncoding []string
}

// Request is a classified request of the Docker Engine API.
type Request struct {
	// Operation is the method and the path's template, "GET /containers/{name}/json"; for what the table does not
	// know it is the method and "raw", "GET raw".
	Operation string
	// Right is what the caller must hold on the host.
	Right
	// Object is what the request is about: a container, an image reference, an id. "" for lists and the like.
	Object string
	// Method, Path and Query are what to forward, exactly: Path with the version's prefix and escaped, Query
	// without its question mark.
	Method, Path, Query string
	// Version is the API version in the path, "1.41"; "" where the path has none.
	Version string
	// Masked says that a caller without Inspect (get) must get the answer masked.
	Masked bool
	// Streams says that the answer or the body has no bound in time or size: flush at once, no deadline.
	Streams bool
	// Hijacks says that the connection may be taken over: after 101, or after 200 for clients that ask for no
	// upgrade.
	Hijacks bool
	// Upgrade is the protocol to ask the engine for, in lower case: "tcp", "websocket", "h2c" or "".
	Upgrade string
	// ExecID says that Object is an exec's signed id: forward WithObject(what Open returns).
	ExecID bool
	// ExecCreate says that ExecCreateNeedsAdmin must judge the body before it is forwarded, and that the
	// id in the answer must be signed.
	ExecCreate bool

	decoded     string // Path, decoded
	objectStart int    // where Object starts in decoded; 0 where it is not in the path
}

// WithObject returns r with another object in its path. It is r itself where the path holds no object.
func (r Request) WithObject(object string) Request {
	if r.objectStart == 0 {
		return r
	}
	r.decoded = r.decoded[:r.objectStart] + object + r.decoded[r.objectStart+len(r.Object):]
	r.Object = object
	r.Path = escapePath(r.decoded)
	return r
}

// methods are those that the engine or Podman has routes for, with what they ask for where no line matches.
var methods = map[string]Verb{
	"DELETE": Delete, "GET": Get, "HEAD": Get, "OPTIONS": Get, "PATCH": Patch, "POST": Create, "PUT": Update,
}

// Classify says what a request of the Docker Engine API asks for and how to forward it. RawPath (beginning with
// a slash, the version's prefix included) and rawQuery are escaped, as they came over the wire. Every error
// is a *RequestError.
func Classify(method, rawPath, rawQuery string, headers Headers) (Request, error) {
	verb, known := methods[method]
	if !known {
		return Request{}, refuse("method", "%.20q is no method of the Docker Engine API; methods are written in capitals", method)
	}
	path, err := decodePath(rawPath)
	if err != nil {
		return Request{}, err
	}
	version, rest, err := splitVersion(path)
	if err != nil {
		return Request{}, err
	}
	query, err := decodeQuery(rawQuery)
	if err != nil {
		return Request{}, err
	}
	if err := checkBody(headers); err != nil {
		return Request{}, err
	}

	request := Request{
		Operation: method + " raw", Right: Right{Raw, verb}, Version: version,
		Method: method, Path: escapePath(path), Query: query.encode(), decoded: path, Streams: true,
	}
	allowed := tcp | websocket | h2c
	line, object, start := lookUp(method, rest)
	if strings.HasSuffix(rest, "/") && (line == nil || line.path != rest) {
		return Request{}, refuse("path", "it ends in a slash; leave that out")
	}
	if line != nil {
		allowed = line.flags & allowed
		request.describe(line, &facts{query: query})
		if request.Object = object; start > 0 {
			request.objectStart = len(path) - len(rest) + start
		} else if line.object != "" {
			request.Object, _ = query.get(line.object)
		}
	}
	if request.Upgrade, err = upgrade(headers.Upgrade, allowed); err != nil {
		return Request{}, err
	}
	if line == nil {
		request.Hijacks = request.Upgrade != ""
	}
	return request, nil
}

// lookUp returns the first line of the table that matches, nil for none, with the object in path and where it starts.
func lookUp(method, path string) (line *operation, object string, start int) {
	for _, o := range byMethod[method] {
		if object, start, ok := o.template.match(path); ok {
			return o, object, start
		}
	}
	return nil, "", 0
}

// describe takes over what the line says.
func (r *Request) describe(line *operation, f *facts) {
	r.Operation = line.name()
	r.Right = Right{line.subresource, line.verb}
	if line.special != nil {
		if right := line.special(f); right != nil {
			r.Right = *right
		}
	}
	r.Masked = line.flags&masked != 0
	r.Streams = line.flags&streams != 0
	r.Hijacks = line.flags&(tcp|websocket|h2c) != 0
	r.ExecID = line.flags&execID != 0
	r.ExecCreate = line.flags&execCreate != 0
}

// checkBody refuses bodies that an engine would merge over the query, and bodies of two lengths.
func checkBody(headers Headers) error {
	if len(headers.ContentType) > 1 {
		return refuse("header", "there is more than one Content-Type")
	}
	for _, contentType := range headers.ContentType {
		// Anywhere in the text, which is more than any parser takes for one.
		lower := strings.ToLower(contentType)
		if strings.Contains(lower, "x-www-form-urlencoded") || strings.Contains(lower, "multipart/") {
			return refuse("header",
				"Content-Type is that of a form, which the engine would merge over the query; send application/json")
		}
	}
	if len(headers.TransferEncoding) > 0 {
		if !slices.Equal(headers.TransferEncoding, []string{"chunked"}) {
			return refuse("header", "Transfer-Encoding is not just chunked")
		}
		if headers.ContentLength >= 0 {
			return refuse("header", "there are both Content-Length and Transfer-Encoding")
		}
	}
	return nil
}

// upgrade returns the protocol to ask the engine for: none, or the one of allowed.
func upgrade(values []string, allowed flags) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	protocols := map[string]flags{"tcp": tcp, "websocket": websocket, "h2c": h2c}
	protocol := strings.ToLower(strings.TrimSpace(values[0]))
	if len(values) > 1 || protocols[protocol]&allowed == 0 {
		return "", refuse("header", "Upgrade asks for what this operation does not have")
	}
	return protocol, nil
}
