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
	"archive/tar"
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// step is one command of a script: the arguments of docker, or of another program that
// calls it ("script" for a terminal, "compose").
type step struct {
	args  []string
	stdin string
	// with names the program; empty is docker.
	with string
	// last compares only the last line: a terminal echoes what is typed before its
	// other side is raw, or not, as it happens.
	last bool
}

// d is a docker command, split at spaces; what is quoted stays together.
func d(line string) step { return step{args: split(line)} }

// tty is a docker command at a terminal, where input is typed.
func tty(line, input string) step {
	return step{with: "script", args: []string{"-qec", "docker " + line, "/dev/null"}, stdin: input, last: true}
}

var words = regexp.MustCompile(`'[^']*'|\S+`)

func split(line string) []string {
	all := words.FindAllString(line, -1)
	for i, word := range all {
		all[i] = strings.Trim(word, "'")
	}
	return all
}

// scripts are what the stock CLI has to do as it does it on the engine itself. Each leaves
// the engine as it was.
var scripts = map[string][]step{
	"version and info": {
		d("version"), d("info"), d("system info --format {{.ID}}"), d("ps --all"), d("images"), d("image ls --all --quiet"),
	},
	"run": {
		d("run --rm busybox:test echo hello"),
		d("run --rm busybox:test sh -c 'echo out; echo err >&2; exit 3'"),
		d("run --rm busybox:test no-such-command"),
		d("run --rm no-such-image:ever true"),
		{args: split("run --rm --interactive busybox:test cat"), stdin: "some\x00bytes\n"},
		{args: split("run --rm --interactive busybox:test sh -c 'wc -c'"), stdin: strings.Repeat("0123456789", 200_000)},
		d("run --rm busybox:test sh -c 'head -c 5000000 /dev/zero | tr \\0 x'"),
		tty("run -it --rm --name terminal busybox:test sh", "tty; exit 5\n"),
	},
	"a container's life": {
		d("create --name web --env A=b --label l=m busybox:test sh -c 'echo started; while sleep 1; do :; done'"),
		d("start web"), d("ps"), d("inspect --format '{{.State.Status}} {{.Config.Env}}' web"), d("port web"),
		d("exec web echo in"), d("exec web sh -c 'exit 4'"), d("exec web no-such-command"), d("exec --detach web touch /made"),
		{args: split("exec --interactive web cat"), stdin: "typed\n"}, tty("exec -it web sh", "echo at a terminal; exit 6\n"),
		d("top web -o comm"), d("logs web"), d("logs --tail 1 web"), d("logs --since 1s --until 0s no-such"),
		d("pause web"), d("ps --filter status=paused --format {{.Names}}"), d("unpause web"),
		d("rename web site"), d("update --memory 64m --memory-swap 64m site"), d("inspect --format {{.HostConfig.Memory}} site"),
		d("stats --no-stream --format {{.Name}} site"), d("restart --time 0 site"),
		d("kill site"), d("wait site"), d("start --attach no-such"), d("rm site"), d("rm site"),
	},
	"attach and follow": {
		d("run --detach --interactive --name echo busybox:test sh -c 'head -n 2; exit 7'"),
		// The end of stdin comes long after the container's: an engine stops sending output when it sees it.
		{with: "sh", args: []string{"-c", "(echo one; echo two; docker wait echo > waited; sleep 2) | docker attach echo"}}, d("logs --follow echo"), d("wait echo"), d("rm -f echo"),
	},
	"files": {
		d("run --detach --name files busybox:test sleep 600"),
		d("cp in.txt files:/in.txt"), d("exec files cat /in.txt"), d("diff files"), d("cp files:/in.txt out.txt"), {with: "cat", args: []string{"out.txt"}},
		d("cp files:/no-such ."), {args: split("cp - files:/"), stdin: tarOf("from-stdin", "piped")}, d("exec files cat /from-stdin"),
		d("export --output files.tar files"), d("rm -f files"),
	},
	"images": {
		d("tag busybox:test other:tag"), d("image inspect --format {{.RepoTags}} other:tag"), d("history --quiet other:tag"),
		d("save --output saved.tar other:tag"), d("rmi other:tag"), d("load --input saved.tar"), d("rmi other:tag"), d("rmi other:tag"),
		{args: split("import - imported:test"), stdin: tarOf("file", "content")}, d("image inspect --format {{.Os}} imported:test"), d("rmi imported:test"),
		d("run --name base busybox:test touch /x"), d("commit --message m base committed:test"), d("rmi committed:test"), d("rm base"),
		d("build --tag built:test --build-arg WORD=built context"), d("run --rm built:test"), d("rmi --force built:test"),
	},
	"networks and volumes": {
		d("network create --label a=b net"), d("network inspect --format '{{.Name}} {{.Driver}} {{.Labels}}' net"), d("network ls --filter name=net --format {{.Name}}"),
		d("run --detach --name joined busybox:test sleep 600"), d("network connect net joined"), d("network disconnect net joined"), d("rm -f joined"),
		d("network rm net"), d("network inspect net"),
		d("volume create vol"), d("volume inspect --format '{{.Name}} {{.Driver}}' vol"), d("run --rm --volume vol:/v busybox:test touch /v/kept"),
		d("run --rm --volume vol:/v busybox:test ls /v"), d("volume rm vol"), d("volume rm vol"),
	},
	"the system": {
		{with: "sh", args: []string{"-c", `docker create --name told busybox:test true > id && docker start told && docker wait told &&
			docker events --since 1m --until $(($(date +%s) + 1)) --filter container=$(cat id) --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}'; docker rm told`}},
		d("run --name old busybox:test true"), d("system df --format '{{.Type}} {{.TotalCount}} {{.Active}}'"), d("container prune --force"),
		d("events --since 0 --until 1s --filter container=no-such"), d("login --username u --password-stdin 127.0.0.1:1"), d("pull 127.0.0.1:1/no:such"),
	},
}

func tarOf(name, content string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644, Typeflag: tar.TypeReg}) // a Buffer takes everything
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	return b.String()
}

// TestDockerCLI runs each script on the engine itself and through the proxy, with a token
// and with a client certificate, and compares output and exit codes. Behind a balancer one
// way in is enough: it is the connections that may differ.
func TestDockerCLI(t *testing.T) {
	b := newBed(t, testbed.DockerdOptions{})
	token := b.user(t, dcv1.HostAdmin)
	cert, key := b.certificate(t, "ada", dcv1.HostAdmin)
	want := map[string][]result{}
	for name, script := range scripts {
		want[name] = play(t, b.direct(t), script)
	}
	b.modes(t, token, func(t *testing.T, midway func()) {
		clis := map[string]*dockerCLI{"token": b.proxied(t, token)}
		if b.address == b.addresses[0] {
			clis["certificate"] = b.withCertificate(t, cert, key)
		}
		names := slices.Sorted(maps.Keys(scripts))
		for i, name := range names {
			if i == len(names)/2 {
				midway()
			}
			t.Run(name, func(t *testing.T) {
				for way, cli := range clis {
					compare(t, way, scripts[name], want[name], play(t, cli, scripts[name]))
				}
			})
		}
	})
}

func compare(t *testing.T, way string, script []step, want, got []result) {
	t.Helper()
	for i, s := range script {
		if d := cmp.Diff(want[i], got[i]); d != "" {
			t.Errorf("%s: %s %.200q differs from the engine's own (-engine +proxy):\n%s", way, s.with, s.args, d)
		}
	}
}

// play runs a script and returns what does not differ from one run to the next.
func play(t *testing.T, c *dockerCLI, script []step) []result {
	t.Helper()
	writeFile(t, filepath.Join(c.dir, "in.txt"), []byte("copied\n"))
	if err := os.MkdirAll(filepath.Join(c.dir, "context"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(c.dir, "context", "Dockerfile"), []byte("FROM busybox:test\nARG WORD\nCOPY file /file\nRUN echo $WORD >> /file\nCMD [\"cat\", \"/file\"]\n"))
	writeFile(t, filepath.Join(c.dir, "context", "file"), []byte("a file\n"))
	results := make([]result, len(script))
	for i, s := range script {
		program := "docker"
		if s.with != "" {
			program = s.with
		}
		cmd := c.command(t, program, s.args...)
		cmd.Stdin = strings.NewReader(s.stdin)
		got := runCommand(t, cmd)
		got.Stdout, got.Stderr = steady(got.Stdout), steady(got.Stderr)
		if s.last {
			got.Stdout = lastLine(got.Stdout)
		}
		results[i] = got
	}
	return results
}

// volatile is what differs though nothing does.
var volatile = []struct {
	pattern *regexp.Regexp
	becomes string
}{
	{regexp.MustCompile(`[0-9a-f]{64}`), "<id>"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "<id>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ][0-9:.+Z]+`), "<time>"},
	{regexp.MustCompile(`(About|Less than|\d+) (an? )?(seconds?|minutes?|hour)( ago)?`), "<ago>"},
	{regexp.MustCompile(`Up <ago>`), "Up"},
	{regexp.MustCompile(`/tmp/\S+`), "<file>"},
	{regexp.MustCompile(` {2,}`), "  "},
	{regexp.MustCompile(`Runtimes: .*`), "Runtimes"}, // the order of a Go map
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\r\n"), "\n")
	return lines[len(lines)-1]
}

func steady(text string) string {
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.becomes)
	}
	return text
}
