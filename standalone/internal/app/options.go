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
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/dockercontrol/dockercontrol/standalone/internal/controlplane"
	"github.com/dockercontrol/dockercontrol/standalone/internal/pki"
)

// Options are what the program's own flags decide.
type Options struct {
	// DataDir holds everything that is kept.
	DataDir string
	// APIAddress and ProxyAddress are host:port; port 0 takes a free one.
	APIAddress, ProxyAddress string
	// AllowRemote permits addresses that other machines reach.
	AllowRemote bool
	// ExtraNames are further DNS names and IP addresses for the serving certificates.
	ExtraNames []string
	// CertificateValidity is how long a certificate lives; it is renewed when a third is left.
	CertificateValidity time.Duration
	// AutoscalerPeriod is how often HorizontalPodAutoscalers look at their metrics.
	AutoscalerPeriod time.Duration
	// WithManager runs the manager too.
	WithManager bool
	// LogFile takes the log; "-" is standard error, empty is standalone.log in DataDir.
	LogFile string
	// Verbosity of the control plane's log, klog's -v.
	Verbosity int
}

// The bounds of AutoscalerPeriod. A look is three requests, so that the shortest is nothing to be afraid of.
const (
	minAutoscalerPeriod = 100 * time.Millisecond
	maxAutoscalerPeriod = time.Hour
)

// DefaultOptions are the flags' defaults. DataDir has none.
func DefaultOptions() Options {
	return Options{
		APIAddress:          "127.0.0.1:6443",
		ProxyAddress:        "127.0.0.1:8443",
		CertificateValidity: pki.DefaultValidity,
		AutoscalerPeriod:    controlplane.DefaultAutoscalerPeriod,
		WithManager:         true,
	}
}

// BindFlags adds a flag for each option, with the present values as defaults.
func (o *Options) BindFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.DataDir, "data-dir", o.DataDir,
		"Directory for everything that is kept: the cluster's data, certificates, admin.kubeconfig, ca.crt. It is made if it is not there. Required.")
	fs.StringVar(&o.APIAddress, "api-address", o.APIAddress,
		"Address of the Kubernetes API; port 0 takes a free one.")
	fs.StringVar(&o.ProxyAddress, "proxy-address", o.ProxyAddress,
		"Address of the proxy and the console, over TLS; port 0 takes a free one, 0 alone serves none.")
	fs.BoolVar(&o.AllowRemote, "allow-remote", o.AllowRemote,
		"Permit addresses that other machines reach. Without it every address has to be on loopback.")
	fs.StringSliceVar(&o.ExtraNames, "tls-san", o.ExtraNames,
		"Further DNS names and IP addresses for the serving certificates, comma-separated.")
	fs.DurationVar(&o.CertificateValidity, "certificate-validity", o.CertificateValidity,
		"How long a certificate lives; it is renewed when a third of that is left.")
	fs.DurationVar(&o.AutoscalerPeriod, "horizontal-pod-autoscaler-sync-period", o.AutoscalerPeriod,
		"How often a HorizontalPodAutoscaler looks at its metrics.")
	fs.BoolVar(&o.WithManager, "manager", o.WithManager,
		"Run the manager in this process too; false runs the control plane alone.")
	fs.StringVar(&o.LogFile, "log-file", o.LogFile,
		"File for the log, rotated; - is standard error (default standalone.log in the data directory, errors on standard error too).")
	fs.IntVar(&o.Verbosity, "control-plane-verbosity", o.Verbosity,
		"How much of the control plane is logged: 0 is little, 4 is for debugging.")
}

// Validate says what is wrong with the options, all of it.
func (o *Options) Validate() error {
	var errs []error
	if o.DataDir == "" {
		errs = append(errs, errors.New("--data-dir is required: name a directory for the cluster's data, certificates and admin.kubeconfig"))
	}
	errs = append(errs, o.CheckAddress("--api-address", o.APIAddress))
	if o.ProxyAddress != NoAddress {
		errs = append(errs, o.CheckAddress("--proxy-address", o.ProxyAddress))
	}
	if o.CertificateValidity < pki.MinValidity || o.CertificateValidity > pki.MaxValidity {
		errs = append(errs, fmt.Errorf("--certificate-validity %s is out of range: it must be %s to %s", o.CertificateValidity, pki.MinValidity, pki.MaxValidity))
	}
	if o.AutoscalerPeriod < minAutoscalerPeriod || o.AutoscalerPeriod > maxAutoscalerPeriod {
		errs = append(errs, fmt.Errorf("--horizontal-pod-autoscaler-sync-period %s is out of range: it must be %s to %s",
			o.AutoscalerPeriod, minAutoscalerPeriod, maxAutoscalerPeriod))
	}
	return errors.Join(errs...)
}

// NoAddress as an address means: serve none.
const NoAddress = "0"

// CheckAddress refuses an address that is not host:port, or that other machines reach where that is not allowed. flag is
// the flag it came by.
func (o *Options) CheckAddress(flag, address string) error {
	host, _, err := splitAddress(address)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if !host.IsLoopback() && !o.AllowRemote {
		return fmt.Errorf("%s %s can be reached from other machines: give it a loopback address such as 127.0.0.1, "+
			"or add --allow-remote if that is what you want", flag, address)
	}
	return nil
}

// splitAddress reads host:port. No host is every address of the machine. Names other than localhost are not looked up:
// what they mean may change under a running server.
func splitAddress(address string) (net.IP, string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", fmt.Errorf("%q is not host:port: %w", address, err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, "", fmt.Errorf("%q has the port %q, want a number from 0 to 65535", address, port)
	}
	switch host {
	case "":
		return net.IPv6unspecified, port, nil
	case "localhost":
		return net.IPv4(127, 0, 0, 1), port, nil
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return nil, "", fmt.Errorf("%q has the host %q, want an IP address or localhost", address, host)
	}
	return ip, port, nil
}
