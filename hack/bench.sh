#!/usr/bin/env bash
# hack/bench.sh is "make bench": it builds what is measured, runs the benchmarks of test/bench and ends
# with their tables. They never fail on a number, and are no part of "make test".
#
#   hack/bench.sh                             all, in some 35 minutes
#   hack/bench.sh --only host,events          some of host, fleet, events, swarm, proxy, streams
#   hack/bench.sh --quick                     small sizes: does it all still work?
#   hack/bench.sh --hosts 200 --steady 30s    sizes of one's own; --help lists them
#   hack/bench.sh --write docs/benchmarks.md  put the tables there, of all benchmarks at once
#
# KUBEBUILDER_ASSETS, where it is set, names the folder of the etcd and the kube-apiserver to measure with.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

all='Host|Fleet|Events|Swarm|Proxy|Lists|Logs|Stats|Exec'
only=$all
write=
flags=()
while (($# > 0)); do
    case $1 in
    --only) # of small letters, and a comma between
        only=$(sed 's/host/Host/; s/fleet/Fleet/; s/events/Events/; s/swarm/Swarm/; s/proxy/Proxy|Lists/; s/streams/Logs|Stats|Exec/; s/,/|/g' <<<"${2:?--only host,fleet,events,swarm,proxy,streams}")
        shift
        ;;
    --quick)
        flags+=(--rounds 2 --long-rounds 0 --hosts 120 --containers 20 --steady 5s --events 150 --services 50 --steady-services 100 --bulk 64)
        flags+=(--log-viewers "1,20" --log-direct 1 --log-time 2s --stats-containers 5 --stats-time 3s)
        ;;
    --write)
        write=$(realpath "${2:?--write FILE}") # a benchmark runs in the folder of its package
        shift
        ;;
    --help)
        sed -n '2,/^source/{/^source/d; s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
        sed -n 's/^\t[A-Za-z]* *= flag\.[A-Za-z0-9]*("\([^"]*\)", \(.*\), "\(.*\)")$/  --\1 (\2): \3/p' test/bench/main_test.go
        exit
        ;;
    *) flags+=("$1") ;;
    esac
    shift
done

if [[ -n $write ]]; then
    [[ $only == "$all" ]] || die "--write replaces the tables of all benchmarks: leave out --only"
    flags+=(--write "$write")
fi

"$ROOT/hack/install-deps.sh" test
make --no-print-directory manager enginesim
if [[ -z ${KUBEBUILDER_ASSETS:-} ]]; then
    KUBEBUILDER_ASSETS=$("$ROOT/hack/envtest-assets.sh")
    export KUBEBUILDER_ASSETS
fi
say "building the benchmarks"
go test -c -o "$ROOT/bin/bench.test" ./test/bench

# Each is run once, for as long as it takes.
cd test/bench
exec "$ROOT/bin/bench.test" -test.run='^$' -test.bench="^Benchmark($only)\$" -test.benchtime=1x -test.timeout=1h "${flags[@]}"
