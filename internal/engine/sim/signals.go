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
	"net/http"
	"strconv"
	"strings"
	"syscall"
)

const (
	sigHup  = int(syscall.SIGHUP)
	sigInt  = int(syscall.SIGINT)
	sigKill = int(syscall.SIGKILL)
	sigTerm = int(syscall.SIGTERM)
)

var signalNumbers = map[string]int{
	"ABRT": int(syscall.SIGABRT), "ALRM": int(syscall.SIGALRM), "CHLD": int(syscall.SIGCHLD), "CONT": int(syscall.SIGCONT),
	"HUP": sigHup, "INT": sigInt, "KILL": sigKill, "PIPE": int(syscall.SIGPIPE), "QUIT": int(syscall.SIGQUIT),
	"STOP": int(syscall.SIGSTOP), "TERM": sigTerm, "TSTP": int(syscall.SIGTSTP), "URG": int(syscall.SIGURG),
	"USR1": int(syscall.SIGUSR1), "USR2": int(syscall.SIGUSR2), "WINCH": int(syscall.SIGWINCH),
}

// parseSignal reads a signal's number or name, with or without SIG.
func parseSignal(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n <= 64 {
		return n, nil
	}
	if n, ok := signalNumbers[strings.TrimPrefix(strings.ToUpper(s), "SIG")]; ok {
		return n, nil
	}
	return 0, errorf(http.StatusBadRequest, "Invalid signal: %s", s)
}

// harmless reports whether a process that does nothing about the signal lives on.
func harmless(sig int) bool {
	switch syscall.Signal(sig) {
	case syscall.SIGCHLD, syscall.SIGWINCH, syscall.SIGURG, syscall.SIGCONT:
		return true
	}
	return false
}
