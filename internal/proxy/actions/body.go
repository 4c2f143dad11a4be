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

package actions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
)

// maxBody bounds a request's body: etcd's own bound on an object, and a hundred times
// what the longest container definition takes.
const maxBody = 1 << 20

// read fills v from the query and the body, the body last. v is a pointer to a struct;
// the query may set its fields of a plain kind, by their JSON names.
func (c *call) read(v any) error {
	if err := fromQuery(v, c.r.URL.RawQuery); err != nil {
		return err
	}
	body, err := readBody(c.w, c.r)
	if err != nil || len(body) == 0 {
		return err
	}
	return strict(body, v)
}

// readBody returns the body, nil where there is none.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(limit.Reader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, apistatus.New(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "the body is larger than %d bytes", maxBody)
	case err != nil:
		return nil, apistatus.BadRequest("the body could not be read to its end")
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, nil
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return nil, apistatus.New(http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, "the body must be JSON; send Content-Type: application/json")
	}
	return body, nil
}

// strict decodes one JSON object, without fields that v does not have.
func strict(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badJSON("the body", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return apistatus.BadRequest("the body goes on after its JSON object")
	}
	return nil
}

// badJSON says what is wrong without repeating a value, which may be a secret.
func badJSON(what string, err error) error {
	var mismatch *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var status *apierrors.StatusError
	name, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.As(err, &status):
		return status // of a type that decodes itself
	case unknown:
		return apistatus.BadRequest("%s has the unknown field %s", what, name)
	case errors.As(err, &mismatch) && mismatch.Field != "":
		return apistatus.BadRequest("the field %q of %s must not be a %s", mismatch.Field, what, mismatch.Value)
	case errors.As(err, &mismatch):
		return apistatus.BadRequest("%s must be a JSON object, not a %s", what, mismatch.Value)
	case errors.As(err, &syntax):
		return apistatus.BadRequest("%s is not JSON: an error at byte %d", what, syntax.Offset)
	}
	return apistatus.BadRequest("%s cannot be read as JSON of its kind", what)
}

// fromQuery sets fields by their JSON names. What is no field, and what is said twice, is
// refused.
func fromQuery(v any, raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return apistatus.BadRequest("the query is malformed")
	}
	fields := map[string]reflect.Value{}
	s := reflect.ValueOf(v).Elem()
	for i := range s.NumField() {
		name, _, _ := strings.Cut(s.Type().Field(i).Tag.Get("json"), ",")
		fields[name] = s.Field(i)
	}
	for name, values := range query {
		if slices.Contains(callParameters, name) {
			continue
		}
		field, known := fields[name]
		if !known || len(values) != 1 {
			return apistatus.BadRequest("the query's parameter %q is unknown or given twice", name)
		}
		if err := set(field, values[0]); err != nil {
			return apistatus.BadRequest("the query's parameter %q %s", name, err)
		}
	}
	return nil
}

// callParameters are of every job, not of its options.
var callParameters = []string{"wait"}

func set(field reflect.Value, text string) error {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("must be true or false")
		}
		field.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return errors.New("must be a whole number")
		}
		field.SetInt(n)
	case reflect.Uint, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return errors.New("must be a whole number, not below zero")
		}
		field.SetUint(n)
	default:
		return fmt.Errorf("belongs into the body")
	}
	return nil
}

// metav1UID names an engine's object in a Status.
func metav1UID(id string) types.UID { return types.UID(id) }
