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

package proxy

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/lru"

	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
)

const (
	// tokenCacheTTL is how long the answer about a token holds: what kube-apiserver's
	// own webhooks take, and the most that a deleted ServiceAccount keeps its way in.
	tokenCacheTTL = 10 * time.Second
	// tokenReviewTimeout bounds one TokenReview with its retries. It takes a
	// millisecond where all is well.
	tokenReviewTimeout = 5 * time.Second
)

var (
	// ErrUnauthenticated says that a request has no credentials, or none that are
	// accepted.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrAuthenticationUnavailable says that nobody knows: the kube-apiserver was not
	// asked, or did not answer.
	ErrAuthenticationUnavailable = errors.New("authentication is unavailable")
	// ErrTooManyRefused says that a source sent too many bad tokens to have another one
	// looked at now.
	ErrTooManyRefused = errors.New("too many bad tokens from this address")
)

// Authenticator says who asks, as the cluster's kube-apiserver would.
type Authenticator struct {
	trust *trustSource
	// frontProxy, certificates and tokens are the ways to prove who asks, and reviews is
	// that of tokens without its cache.
	frontProxy, certificates, tokens, reviews authenticator.Request

	// refused bounds the tokens that a source may get wrong, and reviewing the unknown
	// ones under review at once. accepted are tokens that were right lately: they are
	// not held up by what others send from the same address.
	refused   *limit.Rates
	reviewing *limit.Counter
	accepted  *lru.Cache
}

// NewAuthenticator returns an Authenticator that asks the kube-apiserver of config,
// whose identity needs the ClusterRole system:auth-delegator and, in kube-system,
// the Role extension-apiserver-authentication-reader. Start must run for it to be
// ready.
func NewAuthenticator(config *rest.Config, log logr.Logger) (*Authenticator, error) {
	if config == nil {
		return nil, errors.New("the proxy needs a kube-apiserver to ask who its callers are")
	}
	// The kube-apiserver's priority and fairness bounds the rate. The client's default
	// of 5 a second would make users wait for each other.
	config = rest.CopyConfig(config)
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("the proxy's client for reviews: %w", err)
	}
	a := &Authenticator{
		trust:     &trustSource{client: client, log: log},
		refused:   limit.NewRates(defaultRefusedRate, defaultRefusedRate*refusedBurst),
		reviewing: limit.NewCounter(maxReviews),
		accepted:  lru.New(rememberAccepted),
	}
	tokens := authenticatorfactory.DelegatingAuthenticatorConfig{
		TokenAccessReviewClient:  client.AuthenticationV1(),
		TokenAccessReviewTimeout: tokenReviewTimeout,
		CacheTTL:                 tokenCacheTTL,
		// Three tries within a second: over a restarted connection, not over an outage.
		WebhookRetryBackoff: &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 3, Jitter: 0.2, Steps: 3},
	}
	reviews := tokens
	reviews.CacheTTL = 0
	// One for each means, where the factory would make one for all: what a request may
	// do, and for how long, depends on which it was.
	var errs []error
	for of, with := range map[*authenticator.Request]authenticatorfactory.DelegatingAuthenticatorConfig{
		&a.frontProxy: {RequestHeaderConfig: a.trust.requestHeaders()},
		&a.certificates: {
			ClientCertificateCAContentProvider: caProvider(func() dynamiccertificates.CAContentProvider { return a.trust.get().clientCA }),
		},
		&a.tokens:  tokens,
		&a.reviews: reviews,
	} {
		var err error
		*of, _, err = with.New()
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("the proxy's authenticator: %w", err)
	}
	return a, nil
}

// Start keeps the CA bundles current until ctx ends.
func (a *Authenticator) Start(ctx context.Context) error {
	a.trust.run(ctx)
	return nil
}

// Ready says why requests cannot be judged yet; nil once they can.
func (a *Authenticator) Ready() error { return a.trust.ready() }

// ClientCAs are the CAs whose client certificates are of use now.
func (a *Authenticator) ClientCAs() *x509.CertPool { return a.trust.get().pool }

// Authenticate returns who sent the request, and takes the proof out of it: the bearer
// token and the front proxy's headers, believed or not. It knows nothing of cookies.
// The error is one of those above, with what the log may know and the caller may not.
func (a *Authenticator) Authenticate(r *http.Request, source string) (*caller.Caller, error) {
	if err := a.Ready(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthenticationUnavailable, err)
	}
	token, tokenErr := takeToken(r)
	defer a.stripFrontProxy(r.Header)

	who, frontErr := accepted(a.frontProxy.AuthenticateRequest(r))
	if frontErr == nil {
		return &caller.Caller{User: who, Means: caller.FrontProxy}, nil
	}
	who, certErr := accepted(a.certificates.AuthenticateRequest(r))
	if certErr == nil {
		return &caller.Caller{User: who, Means: caller.Certificate, Expires: r.TLS.PeerCertificates[0].NotAfter}, nil
	}
	if token != "" {
		return a.AuthenticateToken(r.Context(), source, token)
	}
	if tokenErr != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnauthenticated, tokenErr)
	}
	return nil, errors.Join(frontErr, certErr)
}

// accepted turns an authenticator's answer into a user or one of the errors above.
func accepted(response *authenticator.Response, ok bool, err error) (user.Info, error) {
	switch {
	case err != nil && unavailable(err):
		return nil, fmt.Errorf("%w: %w", ErrAuthenticationUnavailable, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnauthenticated, err)
	case !ok, response.User.GetName() == user.Anonymous: // a front proxy may say so
		return nil, ErrUnauthenticated
	}
	return response.User, nil
}

// stripFrontProxy takes out the headers that only a front proxy may set, so that
// nothing behind can take them for true.
func (a *Authenticator) stripFrontProxy(h http.Header) {
	t := a.trust.get()
	for _, name := range slices.Concat(t.userHeaders, t.uidHeaders, t.groupHeaders) {
		h.Del(name)
	}
	for name := range h {
		if slices.ContainsFunc(append([]string{"X-Remote-"}, t.extraHeaders...), func(prefix string) bool {
			return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
		}) {
			delete(h, name)
		}
	}
}

// unavailable reports whether an error says that nobody was asked or answered,
// rather than that the credentials are bad.
func unavailable(err error) bool {
	if several, ok := err.(utilerrors.Aggregate); ok { //nolint:errorlint // an Aggregate does not unwrap
		return slices.ContainsFunc(several.Errors(), unavailable)
	}
	var status apierrors.APIStatus
	var network net.Error
	return errors.As(err, &status) || errors.As(err, &network) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
