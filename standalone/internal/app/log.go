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

package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"strconv"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"gopkg.in/natefinch/lumberjack.v2"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlzap "sigs.k8s.io/controller-runtime/pkg/log/zap"
)

const (
	// logMegabytes and logBackups bound the log: 20 MB are some weeks of a steady fleet.
	logMegabytes, logBackups = 20, 3
	// toStderr as a log file means standard error.
	toStderr = "-"
)

// processLog is where everything that logs in this process goes: klog, controller-runtime, etcd, the standard library,
// and what else is written to standard error. There is one, because most of these are process globals.
//
// Standard error itself gets the manager's errors, which are the user's concern, where the control plane's, which
// retries until it succeeds, mostly are not.
type processLog struct {
	io.Writer
	user      io.Writer       // standard error, the real one
	userLevel zap.AtomicLevel // what the manager says there
	restores  []func() error
}

func openLog(dir *dataDir, opts Options) (*processLog, error) {
	l := &processLog{Writer: os.Stderr, user: os.Stderr, userLevel: zap.NewAtomicLevelAt(zapcore.ErrorLevel)}
	if opts.LogFile != toStderr {
		file := &lumberjack.Logger{Filename: opts.LogFile, MaxSize: logMegabytes, MaxBackups: logBackups}
		if file.Filename == "" {
			file.Filename = dir.file("standalone.log")
		}
		l.Writer = file
		l.restores = append(l.restores, file.Close)
		if _, err := fmt.Fprintf(l, "standalone: process %d starts on %s\n", os.Getpid(), dir.path); err != nil {
			return nil, fmt.Errorf("write the log: %w", err)
		}
		stderr, restore, err := divertStderr(file)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("divert standard error: %w", err), l.close())
		}
		l.user = stderr
		l.restores = append(l.restores, restore)
	}
	if err := l.configureKlog(opts.Verbosity); err != nil {
		return nil, errors.Join(fmt.Errorf("configure the control plane's log: %w", err), l.close())
	}
	stdlog.SetOutput(l)
	ctrl.SetLogger(ctrlzap.New(ctrlzap.WriteTo(l), ctrlzap.RawZapOpts(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		if opts.LogFile == toStderr {
			return core
		}
		short := zap.NewDevelopmentEncoderConfig()
		short.StacktraceKey = zapcore.OmitKey // the log has it
		return zapcore.NewTee(core, zapcore.NewCore(zapcore.NewConsoleEncoder(short), zapcore.AddSync(l.user), l.userLevel))
	}))))
	return l, nil
}

// etcd is a logger for etcd: warnings and worse, and to the user what it ends the process for, such as broken data.
func (l *processLog) etcd() *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	core := zapcore.NewCore(encoder, zapcore.AddSync(l), zapcore.WarnLevel)
	if l.user != l.Writer {
		core = zapcore.NewTee(core, zapcore.NewCore(encoder, zapcore.AddSync(l.user), zapcore.PanicLevel))
	}
	return zap.New(core)
}

// configureKlog has klog write each line once, and tell the user when it ends the process.
func (l *processLog) configureKlog(verbosity int) error {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{
		"logtostderr":     "false",
		"one_output":      "true",
		"stderrthreshold": "FATAL",
		"v":               strconv.Itoa(verbosity),
	} {
		if err := flags.Set(name, value); err != nil {
			return err
		}
	}
	klog.SetOutput(l)
	if l.Writer == os.Stderr && verbosity == 0 {
		// A terminal, or a container's log, that also has the manager's lines: there what goes well is not worth one.
		klog.SetOutputBySeverity("INFO", io.Discard)
	}
	klog.OsExit = func(code int) {
		fmt.Fprintln(l.user, "standalone: the control plane failed beyond repair; the end of the log says why")
		os.Exit(code)
	}
	return nil
}

// quiet keeps off standard error what parts that stop complain of, such as a lost leadership.
func (l *processLog) quiet() { l.userLevel.SetLevel(zapcore.FatalLevel) }

// close restores standard error and closes the file. What logs after that writes to standard error, or the file again.
func (l *processLog) close() error {
	klog.Flush()
	var errs []error
	for i := len(l.restores) - 1; i >= 0; i-- {
		errs = append(errs, l.restores[i]())
	}
	return errors.Join(errs...)
}
