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

package swarm

import (
	"sync"
	"testing"
)

// outage is the death of one engine, which several tests share: a swarm takes long to see
// it, and to be whole again.
type outage struct {
	*bed
	// victim is the engine that dies, others are those that live.
	victim         string
	others         []string
	before, during phase
}

// phase is over when every test has left it. What follows is done once.
type phase struct {
	tests sync.WaitGroup
	then  sync.Once
}

func (p *phase) leave(then func()) {
	p.tests.Done()
	p.tests.Wait()
	p.then.Do(then)
}

// part is one test's in an outage.
type part struct {
	*outage
	left int // how many phases
}

// begin kills the victim when every test is ready for it.
func (p *part) begin(t *testing.T) {
	t.Helper()
	p.left++
	p.before.leave(func() { p.kill(t, p.victim) })
}

// end brings the victim back when every test has seen what there is to see without it.
func (p *part) end(t *testing.T) {
	t.Helper()
	p.left++
	p.during.leave(func() { p.heal(t) })
}

// giveUp is for a test that fails: the others do not wait for it.
func (p *part) giveUp() {
	if p.left < 1 {
		p.before.tests.Done()
	}
	if p.left < 2 {
		p.during.tests.Done()
	}
}

// outageTest is a test that calls begin, and then end.
type outageTest struct {
	name string
	run  func(*testing.T, *part)
}

// withoutLeader runs tests at once that lose the manager that leads; withoutFollower those
// that lose another one.
func withoutLeader(tests ...outageTest) func(*testing.T, *bed) {
	return func(t *testing.T, b *bed) {
		leader, followers := b.roles(t)
		(&outage{bed: b, victim: leader, others: followers}).run(t, tests)
	}
}

func withoutFollower(tests ...outageTest) func(*testing.T, *bed) {
	return func(t *testing.T, b *bed) {
		leader, followers := b.roles(t)
		(&outage{bed: b, victim: followers[0], others: []string{followers[1], leader}}).run(t, tests)
	}
}

func (o *outage) run(t *testing.T, tests []outageTest) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o.before.tests.Add(1)
			o.during.tests.Add(1)
			p := &part{outage: o}
			defer p.giveUp()
			t.Parallel() // nobody goes on before all have come here
			test.run(t, p)
		})
	}
}
