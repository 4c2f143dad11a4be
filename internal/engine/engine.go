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

package engine

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/volume"
)

// API versions an engine must overlap with. MinAPIVersion is Docker 19.03's.
const (
	MinAPIVersion = "1.40"
	MaxAPIVersion = "1.56"
)

// Engine is one connected Docker engine. Unary calls end with their context or
// the configured timeout, whichever is first; streams end with their context or
// Close. Every error is an *Error. Implementations are safe for concurrent use.
type Engine interface {
	Prober
	Lister
	Examiner
	Watcher
	Streamer
	Execer
	ContainerWriter
	ResourceWriter
	Puller
	Cleaner
	ServiceWriter
	SwarmFileWriter
	Forwarder

	// Close ends every connection, idle or in use, and what waits on them.
	Close() error
}

// Prober tells whether an engine is there and what it is.
type Prober interface {
	// Ping asks for the cheapest answer an engine has and negotiates the API
	// version the first time it succeeds.
	Ping(ctx context.Context) (Ping, error)
	// Version returns /version.
	Version(ctx context.Context) (Version, error)
	// Info returns the part of /info that the project uses.
	Info(ctx context.Context) (Info, error)
}

// ListPatience is how much longer than Config.Timeout a List of everything may
// take: an engine with tens of thousands of containers is as quick as any over a
// ping, and takes many seconds over its list.
const ListPatience = 30 * time.Second

// Lister reads objects.
type Lister interface {
	// List returns the objects of one kind; containers include stopped ones,
	// images leave out intermediate layers. Kinds of the swarm give a Conflict
	// error on an engine that is not a swarm manager.
	List(ctx context.Context, kind Kind, opts ListOptions) ([]Object, error)
	// Inspect returns the full JSON of one object.
	Inspect(ctx context.Context, kind Kind, id string) (json.RawMessage, error)
	// InspectSwarmNetwork returns the full JSON of a network of the swarm, as services
	// name them, on a manager. Inspect prefers the engine's own of the name: each has a
	// host and a bridge that are not the swarm's. As there, a beginning of an id will do
	// for a name.
	InspectSwarmNetwork(ctx context.Context, id string) (json.RawMessage, error)
}

// ListOptions narrow a List.
type ListOptions struct {
	// IDs keeps only these objects; empty means all. Unknown ids are left out
	// of the answer and are no error.
	IDs []string
	// Names keeps only secrets, configs or networks of these names. At most one of these
	// options is given.
	Names []string
	// Label keeps only objects that have it: a key, or key=value.
	Label string
	// Service keeps only the tasks of the service of that id.
	Service string
}

// Watcher follows an engine's events.
type Watcher interface {
	// Events opens /events. Since is inclusive; zero means from now on. The call
	// returns when the engine has answered with its headers.
	Events(ctx context.Context, opts EventsOptions) (EventStream, error)
}

// EventsOptions choose where an event stream starts.
type EventsOptions struct {
	Since time.Time
}

// EventStream yields events in the engine's order. It is not safe for
// concurrent use, Close excepted.
type EventStream interface {
	// Next blocks for the next event. io.EOF is the engine's clean end.
	Next() (Event, error)
	Close() error
}

// Streamer opens the long-lived reads of a container.
type Streamer interface {
	// Logs opens a container's log as the engine sends it: multiplexed frames,
	// or raw bytes for a TTY (LogStream.Multiplexed tells).
	Logs(ctx context.Context, id string, opts LogsOptions) (LogStream, error)
	// Stats opens a container's statistics, one sample a second.
	Stats(ctx context.Context, id string) (StatsStream, error)
}

// LogsOptions are the engine's own, with times to the nanosecond.
type LogsOptions struct {
	Stdout, Stderr bool
	Follow         bool
	Timestamps     bool
	// Since and Until are inclusive; zero means unbounded.
	Since, Until time.Time
	// Tail is the number of lines from the end; negative means all.
	Tail int
}

// LogStream is a container's log in flight.
type LogStream struct {
	io.ReadCloser
	// Multiplexed is true when stdout and stderr come in 8-byte-header frames,
	// false for the raw bytes of a TTY.
	Multiplexed bool
}

// StatsStream yields samples. It is not safe for concurrent use, Close excepted.
type StatsStream interface {
	Next() (container.StatsResponse, error)
	Close() error
}

// Execer runs commands in containers and attaches to them.
type Execer interface {
	ExecCreate(ctx context.Context, id string, req container.ExecCreateRequest) (execID string, err error)
	// ExecStart starts an exec and hijacks the connection.
	ExecStart(ctx context.Context, execID string, req container.ExecStartRequest) (Session, error)
	ExecInspect(ctx context.Context, execID string) (container.ExecInspectResponse, error)
	ExecResize(ctx context.Context, execID string, size TTYSize) error
	// Attach hijacks a connection to a container's own streams.
	Attach(ctx context.Context, id string, opts AttachOptions) (Session, error)
}

// TTYSize is a terminal's size in characters.
type TTYSize struct{ Height, Width uint }

// AttachOptions choose the streams of an Attach.
type AttachOptions struct {
	Stdin, Stdout, Stderr bool
	// Logs replays what the container has written before.
	Logs bool
}

// Session is a hijacked connection. CloseWrite ends stdin and leaves output open.
type Session interface {
	io.ReadWriteCloser
	CloseWrite() error
	// Multiplexed is true when output comes in 8-byte-header frames.
	Multiplexed() bool
}

// ContainerWriter changes containers.
type ContainerWriter interface {
	ContainerCreate(ctx context.Context, name string, req container.CreateRequest) (id string, err error)
	// ContainerCreateRaw is ContainerCreate with the body in the API's own JSON, which
	// reaches the engine as it is: no field is lost that the SDK does not know.
	ContainerCreateRaw(ctx context.Context, name string, body json.RawMessage) (id string, err error)
	ContainerStart(ctx context.Context, id string) error
	// ContainerStop and ContainerRestart give the process grace before the kill;
	// a negative grace means the container's own.
	ContainerStop(ctx context.Context, id string, grace time.Duration) error
	ContainerRestart(ctx context.Context, id string, grace time.Duration) error
	ContainerKill(ctx context.Context, id, signal string) error
	ContainerPause(ctx context.Context, id string) error
	ContainerUnpause(ctx context.Context, id string) error
	ContainerRename(ctx context.Context, id, name string) error
	ContainerResize(ctx context.Context, id string, size TTYSize) error
	ContainerRemove(ctx context.Context, id string, force, volumes bool) error
}

// ResourceWriter changes images, volumes and networks.
type ResourceWriter interface {
	// ImageImport makes an image out of a root filesystem tar.
	ImageImport(ctx context.Context, ref string, tar io.Reader) error
	ImageRemove(ctx context.Context, id string, force bool) error
	// ImageTag gives an image a further name.
	ImageTag(ctx context.Context, id, repository, tag string) error
	VolumeCreate(ctx context.Context, req volume.CreateRequest) error
	VolumeRemove(ctx context.Context, name string, force bool) error
	NetworkCreate(ctx context.Context, req network.CreateRequest) (id string, err error)
	NetworkRemove(ctx context.Context, id string) error
	// NetworkConnect puts a container on a network; endpoint is the API's JSON of an
	// EndpointSettings, nil for the engine's defaults.
	NetworkConnect(ctx context.Context, id, containerID string, endpoint json.RawMessage) error
	NetworkDisconnect(ctx context.Context, id, containerID string, force bool) error
}

// ServiceWriter changes services and nodes of a swarm on a manager.
type ServiceWriter interface {
	ServiceCreate(ctx context.Context, spec swarm.ServiceSpec, opts ...ServiceOption) (id string, err error)
	// ServiceUpdate gives a Conflict error when version is not the current one.
	ServiceUpdate(ctx context.Context, id string, version uint64, spec swarm.ServiceSpec, opts ...ServiceOption) error
	// ServiceUpdateRaw is ServiceUpdate with the spec in the API's own JSON. With
	// rollback the engine takes the spec before the current one in its place.
	ServiceUpdateRaw(ctx context.Context, id string, version uint64, spec json.RawMessage, rollback bool) error
	ServiceRemove(ctx context.Context, id string) error
	// NodeUpdate replaces a node's spec, in the API's own JSON; it gives a Conflict
	// error when version is not the current one.
	NodeUpdate(ctx context.Context, id string, version uint64, spec json.RawMessage) error
}

// ServiceOptions go with the write of a service, beside its spec.
type ServiceOptions struct {
	// RegistryAuth is the value of the API's header X-Registry-Auth, a secret with which
	// the nodes pull the image. With empty an update leaves what the service has.
	RegistryAuth string
}

// ServiceOption sets one of ServiceOptions.
type ServiceOption func(*ServiceOptions)

// WithRegistryAuth has the nodes pull the image with credentials.
func WithRegistryAuth(auth string) ServiceOption {
	return func(o *ServiceOptions) { o.RegistryAuth = auth }
}

// SwarmFileWriter makes and removes the secrets and configs of a swarm on a manager.
// Their content never changes, and the engine never tells that of a secret.
type SwarmFileWriter interface {
	// SecretCreate gives a Conflict error when the name is taken.
	SecretCreate(ctx context.Context, spec swarm.SecretSpec) (id string, err error)
	// SecretRemove gives an Invalid error while a service names the secret.
	SecretRemove(ctx context.Context, id string) error
	// ConfigCreate and ConfigRemove are the same for configs.
	ConfigCreate(ctx context.Context, spec swarm.ConfigSpec) (id string, err error)
	ConfigRemove(ctx context.Context, id string) error
}

// Forwarder carries what others wrote: requests of the Docker API as they are.
type Forwarder interface {
	// Forward sends a request, whose URL has the path with its version's prefix and
	// the query, and returns the engine's answer whatever its status. The answer's body
	// has no bound. A long one gets a connection of its own; the others share those of
	// unary calls. There is no deadline but the request's context; Close ends it too.
	Forward(req *http.Request, long bool) (*http.Response, error)
	// Dial opens a connection that speaks plain HTTP/1.1 to the engine, has a
	// CloseWrite method, and ends with Close. ctx bounds the dial only.
	Dial(ctx context.Context) (net.Conn, error)
}
