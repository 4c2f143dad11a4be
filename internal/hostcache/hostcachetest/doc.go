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

// Package hostcachetest has a fake engine.Connector for tests of hostcache and
// of what is built upon it: a real Cache over engines that live in memory and do
// what the test says, at the moment it says so.
//
//	connector := hostcachetest.NewConnector()
//	docker := connector.Add("unix:///fake.sock")
//	docker.Put(hostcachetest.Container("c1", "web", "running"))
//	docker.Fail(hostcachetest.Ping, err) // until docker.Heal
//
// It has only the calls that the cache makes; every other one panics. The fake
// does nothing with time but in Delay, and works inside testing/synctest.
package hostcachetest
