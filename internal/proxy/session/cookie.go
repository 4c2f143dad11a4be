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

package session

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// cookieName is of the first cookie; the others have -1 to -7 behind it. Browsers
	// take names of this prefix only from the host itself, over TLS, for all paths.
	cookieName = "__Host-dockercontrol-session"
	// chunkBytes and a name fit the 4096 bytes that browsers take together.
	chunkBytes = 3840
	// maxChunks holds a token of MaxToken bytes, which in base64 is a third longer, and
	// leaves the rest of the headers half their room.
	maxChunks = 8
)

func chunkName(i int) string {
	if i == 0 {
		return cookieName
	}
	return cookieName + "-" + strconv.Itoa(i)
}

// write sets a value as cookies, and takes away those of a longer one before.
func write(w http.ResponseWriter, r *http.Request, value string, life time.Duration) error {
	chunks := []string{}
	value = strconv.Itoa((len(value)+1+chunkBytes)/chunkBytes) + "." + value // the count says where it ends
	for len(value) > 0 {
		n := min(chunkBytes, len(value))
		chunks, value = append(chunks, value[:n]), value[n:]
	}
	if len(chunks) > maxChunks {
		return fmt.Errorf("a session of %d cookies is too long: browsers are given %d", len(chunks), maxChunks)
	}
	for i := range maxChunks {
		switch name := chunkName(i); {
		case i < len(chunks):
			http.SetCookie(w, cookie(name, chunks[i], int(life/time.Second)))
		case has(r, name):
			http.SetCookie(w, cookie(name, "", -1))
		}
	}
	return nil
}

// read puts a value together again.
func read(r *http.Request) (string, error) {
	if !has(r, cookieName) {
		return "", ErrNone
	}
	var value strings.Builder
	for i, count := 0, 1; i < count; i++ {
		cookies := r.CookiesNamed(chunkName(i))
		if len(cookies) != 1 {
			return "", fmt.Errorf("%w: %d cookies %s, want one", ErrInvalid, len(cookies), chunkName(i))
		}
		chunk := cookies[0].Value
		if i == 0 {
			var number string
			number, chunk, _ = strings.Cut(chunk, ".")
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || n > maxChunks {
				return "", fmt.Errorf("%w: unknown format", ErrInvalid)
			}
			count = n
		}
		value.WriteString(chunk)
	}
	return value.String(), nil
}

// Clear takes away all cookies of a session that the request has.
func Clear(w http.ResponseWriter, r *http.Request) {
	for i := range maxChunks {
		if name := chunkName(i); has(r, name) {
			http.SetCookie(w, cookie(name, "", -1))
		}
	}
}

func has(r *http.Request, name string) bool { return len(r.CookiesNamed(name)) > 0 }

// cookie has all that keeps others away. A maxAge below 0 deletes it.
func cookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}
