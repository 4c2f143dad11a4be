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

package sim

import (
	"fmt"
	"strconv"
	"strings"
)

// evaluate computes an arithmetic expression of + - * / % ( ), comparisons,
// numbers and variables.
func evaluate(expr string, value func(name string) string) (int, error) {
	a := &arith{src: expr, value: value}
	n, err := a.compare()
	if err == nil && a.rest() != "" {
		err = fmt.Errorf("arithmetic syntax error")
	}
	return n, err
}

type arith struct {
	src   string
	depth int
	value func(string) string
}

func (a *arith) rest() string {
	a.src = strings.TrimLeft(a.src, " \t\n")
	return a.src
}

func (a *arith) take(ops ...string) string {
	for _, op := range ops {
		if strings.HasPrefix(a.rest(), op) {
			a.src = a.src[len(op):]
			return op
		}
	}
	return ""
}

func (a *arith) compare() (int, error) {
	left, err := a.sum()
	if err != nil {
		return 0, err
	}
	op := a.take("<=", ">=", "==", "!=", "<", ">")
	if op == "" {
		return left, nil
	}
	right, err := a.sum()
	if err != nil {
		return 0, err
	}
	holds := map[string]bool{
		"<=": left <= right, ">=": left >= right, "==": left == right, "!=": left != right, "<": left < right, ">": left > right,
	}[op]
	if holds {
		return 1, nil
	}
	return 0, nil
}

func (a *arith) sum() (int, error) {
	n, err := a.product()
	for err == nil {
		op := a.take("+", "-")
		if op == "" {
			break
		}
		var m int
		if m, err = a.product(); op == "+" {
			n += m
		} else {
			n -= m
		}
	}
	return n, err
}

func (a *arith) product() (int, error) {
	n, err := a.operand()
	for err == nil {
		op := a.take("*", "/", "%")
		if op == "" {
			break
		}
		var m int
		m, err = a.operand()
		switch {
		case err != nil:
		case op == "*":
			n *= m
		case m == 0:
			err = fmt.Errorf("divide by zero")
		case op == "/":
			n /= m
		default:
			n %= m
		}
	}
	return n, err
}

func (a *arith) operand() (int, error) {
	if a.depth++; a.depth > maxNesting {
		return 0, unsupported{"arithmetic nested that deep"}
	}
	defer func() { a.depth-- }()
	switch a.take("(", "-", "+", "$") {
	case "(":
		n, err := a.compare()
		if err == nil && a.take(")") == "" {
			err = fmt.Errorf("arithmetic syntax error")
		}
		return n, err
	case "-":
		n, err := a.operand()
		return -n, err
	case "+", "$":
		return a.operand()
	}
	s := a.rest()
	if v := name(s); v != "" {
		a.src = s[len(v):]
		n, _ := strconv.Atoi(a.value(v))
		return n, nil
	}
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(s[:end])
	if err != nil {
		return 0, fmt.Errorf("arithmetic syntax error")
	}
	a.src = s[end:]
	return n, nil
}
