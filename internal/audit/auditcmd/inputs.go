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

package auditcmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/audit/heads"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
)

const (
	// apiTimeout bounds each request to the cluster.
	apiTimeout = 30 * time.Second
	// maxKeyFile and maxHeads bound what is read of the user's files.
	maxKeyFile = 4 << 10
	maxHeads   = 100_000
)

// inputs are what a trail is judged by.
type inputs struct {
	chainKeys, headKeys [][]byte
	heads               []audit.Head       // the user's own word
	published           []audit.SignedHead // with a good signature
	problems            []error
}

// read gets keys and heads. It is done before the trail is read, or a record that is
// written meanwhile would be missed.
func (o *options) read(ctx context.Context, s Streams) (*inputs, error) {
	in := &inputs{}
	if len(o.keyFiles) > 0 {
		if err := in.keysFromFiles(o.keyFiles); err != nil {
			return nil, err
		}
	} else if err := in.fromCluster(ctx, o); err != nil {
		return nil, fmt.Errorf("%w; to check without a cluster give --key-file", err)
	}
	for _, name := range o.headFiles {
		if err := in.headsFromFile(name, s.In); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (in *inputs) add(version []byte) error {
	chain, err := keyring.Derive(version, keyring.AuditChain)
	if err != nil {
		return err
	}
	head, err := keyring.Derive(version, keyring.AuditHeads)
	if err != nil {
		return err
	}
	in.chainKeys, in.headKeys = append(in.chainKeys, chain), append(in.headKeys, head)
	return nil
}

func (in *inputs) keysFromFiles(names []string) error {
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("reading a key: %w", err)
		}
		b, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("reading a key: %w", err)
		}
		if len(b) != keyring.KeySize {
			if b, err = base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b))); err != nil || len(b) != keyring.KeySize {
				return fmt.Errorf("%s is not a key: want %d bytes, raw or in base64, as the Secret %s has them", name, keyring.KeySize, keyring.SecretName)
			}
		}
		if err := in.add(b); err != nil {
			return err
		}
	}
	return nil
}

func (in *inputs) fromCluster(ctx context.Context, o *options) error {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return fmt.Errorf("finding a cluster: %w", err)
	}
	cfg.Timeout = apiTimeout
	c, err := client.New(cfg, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		return fmt.Errorf("reaching the cluster: %w", err)
	}
	return in.fromClient(ctx, c, o.namespace)
}

func (in *inputs) fromClient(ctx context.Context, c client.Reader, namespace string) error {
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: keyring.SecretName}, secret); err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	versions, err := keyring.Versions(secret.Data)
	if err != nil {
		return fmt.Errorf("the keys in Secret %s/%s are of no use: %w", namespace, keyring.SecretName, err)
	}
	for _, v := range versions {
		if err := in.add(v.Bytes); err != nil {
			return err
		}
	}
	published, err := heads.List(ctx, c, namespace, in.headKeys)
	if errors.Is(err, heads.ErrNotRead) {
		return err
	}
	in.published = published
	if err != nil {
		in.problems = append(in.problems, err)
	}
	return nil
}

func (in *inputs) headsFromFile(name string, stdin io.Reader) error {
	r := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("reading heads: %w", err)
		}
		defer f.Close()
		r = f
	}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if n > maxHeads {
			return fmt.Errorf("reading heads: %s has more than %d", name, maxHeads)
		}
		if err := in.head(text); err != nil {
			return fmt.Errorf("reading heads: %s line %d: %w", name, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading heads: %s: %w", name, err)
	}
	return nil
}

func (in *inputs) head(text string) error {
	if signed, err := audit.ParseSignedHead(text); err == nil {
		if !signed.SignedBy(in.headKeys) {
			in.problems = append(in.problems, fmt.Errorf("the kept head of chain %s is not signed with any of the keys", signed.Chain))
			return nil
		}
		in.published = append(in.published, signed)
		return nil
	}
	head, err := audit.ParseHead(text)
	if err != nil {
		return err
	}
	in.heads = append(in.heads, head)
	return nil
}
