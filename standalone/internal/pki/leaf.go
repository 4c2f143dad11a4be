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

package pki

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Names are the subject alternative names of a serving certificate.
type Names struct {
	DNS []string
	IPs []net.IP
}

// NewNames sorts hosts, each a DNS name or an IP address, into Names without repeats or blanks.
func NewNames(hosts ...string) Names {
	var n Names
	for _, host := range hosts {
		host = strings.TrimSpace(host)
		if ip := net.ParseIP(host); ip != nil {
			if !slices.ContainsFunc(n.IPs, ip.Equal) {
				n.IPs = append(n.IPs, ip)
			}
		} else if host != "" && !slices.Contains(n.DNS, host) {
			n.DNS = append(n.DNS, host)
		}
	}
	return n
}

// missingFrom is the first name that cert does not carry, or "". A certificate with more names than asked for is
// as good.
func (n Names) missingFrom(cert *x509.Certificate) string {
	for _, name := range n.DNS {
		if !slices.Contains(cert.DNSNames, name) {
			return name
		}
	}
	for _, ip := range n.IPs {
		if !slices.ContainsFunc(cert.IPAddresses, ip.Equal) {
			return ip.String()
		}
	}
	return ""
}

// leaf says what a certificate has to say.
type leaf struct {
	name   string // the file's name without its ending
	user   string // the common name; a user's name where it is a client's
	groups []string
	usage  x509.ExtKeyUsage
	names  Names // of a server
}

// stale says why cert has to be made again, or "". validity is what a new one would get: a certificate is renewed
// when a third of that is left, and lives on when the setting was shortened since.
func (l leaf) stale(cert *x509.Certificate, ca *authority, now time.Time, validity time.Duration) string {
	switch {
	case cert.CheckSignatureFrom(ca.cert) != nil:
		return "it is signed by another authority"
	case cert.Subject.CommonName != l.user || !sameSet(cert.Subject.Organization, l.groups):
		return fmt.Sprintf("its subject is %s", cert.Subject)
	case !slices.Contains(cert.ExtKeyUsage, l.usage):
		return "its usage is another one"
	case l.names.missingFrom(cert) != "":
		return fmt.Sprintf("it does not name %s", l.names.missingFrom(cert))
	case now.Before(cert.NotBefore):
		return fmt.Sprintf("it is not valid before %s", cert.NotBefore.Format(time.RFC3339))
	case !now.Before(renewAt(cert, validity)):
		return fmt.Sprintf("it ends at %s", cert.NotAfter.Format(time.RFC3339))
	}
	return ""
}

// sameSet compares without order, which DER does not keep for the values of one attribute.
func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// renewAt is when a third of validity is left.
func renewAt(cert *x509.Certificate, validity time.Duration) time.Time {
	return cert.NotAfter.Add(-validity / 3)
}
