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
	"flag"
	"fmt"
	"io"
	"log"
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
	// logSize and logFiles bound the log: 20 MB are some weeks of a steady fleet.
	logSize, logFiles = 20, 3
)

// openLog sends everything that logs in this process to one place and returns that place. The manager's errors go to
// standard error too: they are the user's concern, where the control plane's, which retries until it succeeds, mostly
// are not.
func openLog(dir *dataDir, opts Options) (io.WriteCloser, error) {
	var sink io.WriteCloser = &lumberjack.Logger{Filename: dir.file("standalone.log"), MaxSize: logSize, MaxBackups: logFiles}
	switch opts.LogFile {
	case "":
	case "-":
		sink = noClose{os.Stderr}
	default:
		sink = &lumberjack.Logger{Filename: opts.LogFile, MaxSize: logSize, MaxBackups: logFiles}
	}
	if _, err := fmt.Fprintf(sink, "standalone: process %d starts on %s\n", os.Getpid(), dir.path); err != nil {
		return nil, fmt.Errorf("write the log: %w", err)
	}
	if err := configureKlog(sink, opts.Verbosity); err != nil {
		return nil, fmt.Errorf("configure the control plane's log: %w", err)
	}
	log.SetOutput(sink) // net/http, for one

	ctrl.SetLogger(ctrlzap.New(ctrlzap.WriteTo(sink), ctrlzap.RawZapOpts(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		if opts.LogFile == "-" {
			return core
		}
		console := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
		return zapcore.NewTee(core, zapcore.NewCore(console, zapcore.Lock(os.Stderr), zapcore.ErrorLevel))
	}))))
	return sink, nil
}

// configureKlog has klog write each line once, to w.
func configureKlog(w io.Writer, verbosity int) error {
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
	klog.SetOutput(w)
	return nil
}

// noClose is a writer that is not ours to close.
type noClose struct{ io.Writer }

func (noClose) Close() error { return nil }
