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

package heads

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/audit"
)

const (
	// interval is how often a head that changed is published.
	interval = 10 * time.Second
	// renewal is how often one that did not is: it shows that its process lives, and
	// keeps it from being collected.
	renewal = 24 * time.Hour
	// writeTimeout bounds one publishing, and so what a stop waits for the last one.
	writeTimeout = 3 * time.Second
)

// Options say what is published.
type Options struct {
	// Client writes Leases. It must not be a cached one.
	Client client.Client
	// Namespace is the manager's own.
	Namespace string
	// Head returns the head of the chain: Trail's.
	Head func() audit.Head
	// Key returns what heads are signed with: the keyring's AuditHeads.
	Key func() []byte
	Log logr.Logger
	// Clock is the time; nil is the system's.
	Clock clock.WithTicker
}

// Publisher publishes the head of one chain. Its owner closes it after everything that
// records, and before the trail.
type Publisher struct {
	o    Options
	stop context.CancelFunc
	done chan struct{}
	once sync.Once

	// The rest is the goroutine's.
	last      audit.SignedHead      // as published
	lease     *coordinationv1.Lease // as last written; nil before
	collected time.Time             // when others' were last looked through
	failed    bool
}

// Publish begins to publish.
func Publish(o Options) *Publisher {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Publisher{o: o, stop: stop, done: make(chan struct{})}
	go p.run(ctx)
	return p
}

// Close publishes the last head and ends the Publisher. It waits a few seconds at most.
func (p *Publisher) Close() error {
	p.once.Do(p.stop)
	<-p.done
	return nil // a head that could not be published is in the log
}

func (p *Publisher) run(ctx context.Context) {
	defer close(p.done)
	ticker := p.o.Clock.NewTicker(interval)
	defer ticker.Stop()
	for {
		p.publish(ctx)
		select {
		case <-ticker.C():
		case <-ctx.Done():
			p.publish(context.WithoutCancel(ctx))
			return
		}
	}
}

// publish publishes the head if it changed, or once a day.
func (p *Publisher) publish(ctx context.Context) {
	now := p.o.Clock.Now()
	head := p.o.Head()
	changed, due := head != p.last.Head, now.Sub(p.last.Time) >= renewal
	if !changed && !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	signed := audit.SignHead(p.o.Key(), head, now)
	err := p.write(ctx, signed)
	if err == nil {
		p.last = signed
		p.tidy(ctx, now)
	}
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return // stopping: once more, without this context
	}
	if err != nil && !p.failed {
		p.o.Log.Error(err, "The head of the audit chain could not be published; it is tried again. Meanwhile records cut off the trail's end may not show")
	}
	p.failed = err != nil
}

// tidy collects once a day.
func (p *Publisher) tidy(ctx context.Context, now time.Time) {
	if now.Sub(p.collected) < renewal {
		return
	}
	p.collected = now
	if err := p.collect(ctx, now); err != nil {
		p.o.Log.Error(err, "Old heads of audit chains could not be collected; it is tried again in a day")
	}
}

// write writes the Lease, and puts it back where somebody else changed or deleted it.
func (p *Publisher) write(ctx context.Context, head audit.SignedHead) error {
	lease := &coordinationv1.Lease{}
	if p.lease != nil {
		lease = p.lease.DeepCopy()
	}
	lease.Namespace, lease.Name = p.o.Namespace, leaseName(head.Chain)
	put(lease, head)
	var err error
	if p.lease == nil {
		err = p.o.Client.Create(ctx, lease)
	} else {
		err = p.o.Client.Update(ctx, lease)
	}
	switch {
	case p.lease == nil && apierrors.IsAlreadyExists(err), apierrors.IsConflict(err):
		// Our own write may have been done without its answer reaching us.
		if err = p.overwrite(ctx, lease, head); err == nil {
			return nil
		}
	case p.lease != nil && apierrors.IsNotFound(err):
		p.o.Log.Info("Somebody deleted the Lease with the head of this process's audit chain; it is made anew", "lease", lease.Name)
		p.lease = nil
		return p.write(ctx, head)
	}
	if err != nil {
		return fmt.Errorf("writing Lease %s/%s: %w", lease.Namespace, lease.Name, err)
	}
	p.lease = lease
	return nil
}

// overwrite puts the head into a Lease that is not as we left it.
func (p *Publisher) overwrite(ctx context.Context, lease *coordinationv1.Lease, head audit.SignedHead) error {
	found := &coordinationv1.Lease{}
	if err := p.o.Client.Get(ctx, client.ObjectKeyFromObject(lease), found); err != nil {
		return err
	}
	there, err := audit.ParseSignedHead(found.Annotations[Annotation])
	ours := err == nil && there.SignedBy([][]byte{p.o.Key()}) && there.Chain == head.Chain && there.Seq >= p.last.Seq
	if !ours {
		p.o.Log.Info("Somebody changed the Lease with the head of this process's audit chain; it is put right", "lease", found.Name)
	}
	put(found, head)
	if err := p.o.Client.Update(ctx, found); err != nil {
		return err
	}
	p.lease = found
	return nil
}
