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

package mask

// imageItem is an image in a list.
var imageItem = fields{
	"Id ParentId RepoTags.* RepoDigests.* Created Size SharedSize VirtualSize Containers": keep,

	"Labels":      labels,
	"Descriptor":  descriptor,
	"Manifests.*": manifest,
}

// image is an image's inspect. ContainerConfig, of engines before 25, is left out: it is a build step's command.
var image = fields{
	"Id Parent RepoTags.* RepoDigests.* Created DockerVersion Architecture Variant Os OsVersion Size VirtualSize": keep,

	"Comment Author":       hide,
	"Config":               containerConfig,
	"GraphDriver.Name":     keep,
	"RootFS":               fields{"Type Layers.*": keep},
	"Metadata.LastTagTime": keep,
	"Descriptor":           descriptor,
	"Manifests.*":          manifest,
}

// imageLayer is a line of an image's history: a build step, with its arguments.
var imageLayer = fields{
	"Id Created Size Tags.*": keep,
	"CreatedBy Comment":      hide,
}

// descriptor is without annotations, which are labels.
var descriptor = fields{
	"mediaType digest size artifactType": keep,
	"platform":                           platform,
}

var platform = fields{"architecture os variant": keep}

// manifest is without the identity of who signed and built it: that names the builder's sources.
var manifest = fields{
	"ID Available Kind Size.Content Size.Total": keep,

	"Descriptor":              descriptor,
	"ImageData.Platform":      platform,
	"ImageData.Size.Unpacked": keep,
	"ImageData.Containers.*":  keep,
	"AttestationData.For":     keep,
}
