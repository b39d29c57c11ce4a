#!/usr/bin/env bash
# A real Kubernetes control plane on loopback for tests and benchmarks.
# See README.md; "run.sh help" lists the subcommands.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/quarterdeck-peers"
parts=(etcd apiserver controller-manager scheduler kwok)

die() { echo "run.sh: $*" >&2; exit 1; }

key() {
  (cd "$here" && cat go.mod go.sum ./*.go ./*.yaml && go env GOVERSION GOOS GOARCH) | sha256sum | cut -c1-16
}

# Builds once per content of this folder; others wait for the one that builds.
build() {
  command -v go >/dev/null || die "go is needed to build the control plane"
  bindir="$cache/controlplane/$(key)"
  bin="$bindir/controlplane"
  [ -x "$bin" ] && return
  mkdir -p "$bindir"
  exec 9>"$cache/controlplane/lock"
  flock 9
  if [ ! -x "$bin" ]; then
    echo "building the control plane (the first time takes several minutes) ..." >&2
    (cd "$here" && nice -n 5 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36" \
      -o "$bin.new" . 9>&-)
    ln -sf controlplane "$bindir/kubectl"
    mv "$bin.new" "$bin"
    # Builds of earlier contents of this folder.
    find "$cache/controlplane" -mindepth 1 -maxdepth 1 -type d -name "$(printf '[0-9a-f]%.0s' {1..16})" \
      ! -path "$bindir" -mtime +3 -exec rm -rf {} +
  fi
  exec 9>&-
}

alive() { # is the process in the pid file this state directory's component?
  local pid
  pid=$(cat "$state/pids/$1" 2>/dev/null) || return 1
  { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -- "controlplane $1 --state $state "
}

launch() {
  alive "$1" && return
  CONTROLPLANE_OWNER_PID="${owner:-$(cat "$state/owner" 2>/dev/null || true)}" \
    setsid "$bin" "$1" --state "$state" </dev/null >>"$state/logs/$1.log" 2>&1 9>&- &
  echo $! >"$state/pids/$1"
  disown
}

end() {
  alive "$1" || { rm -f "$state/pids/$1"; return 0; }
  local pid
  pid=$(cat "$state/pids/$1")
  kill -KILL "$pid" 2>/dev/null || true
  for _ in $(seq 100); do alive "$1" || break; sleep 0.05; done
  rm -f "$state/pids/$1"
}

ready() {
  "$bin" wait-ready --state "$state" || { tail -n 20 "$state"/logs/{etcd,apiserver}.log >&2; exit 1; }
}

help() {
  cat <<'H'
usage: run.sh SUBCOMMAND [--state DIR] ...

  build                                  build (once) and print the binary's folder
  start [--port P] [--owner-pid PID]     start everything; prints the kubeconfig's path
  stop [--purge]                         stop everything (and remove the state directory)
  kill-apiserver | start-apiserver       only the API server; same port, same data
  kill PART | run PART                   the same for etcd, controller-manager, scheduler, kwok
  status                                 pid and memory of each part
  seed --nodes N --pods M                fake nodes and pods; returns when all are Running
  churn --rate R --seconds S [--mode restarts|annotations|delete]
  shapes [--expected]                    pods in every odd state, in the namespace "shapes"
  user [--group G] [--namespace NS] NAME a client certificate; prints its kubeconfig's path
  logs --lines N [--rate R] [--text T]   append to the log that every fake pod has
  audit [--offset BYTES] [--agent S]     count API requests by user agent, verb and resource
  kubectl ARGS...                        kubectl as the administrator
  selftest                               all of it, on 5 nodes and 50 pods

The state directory is --state, else $CONTROLPLANE_STATE, else one in the cache.
H
}

cmd=${1:-help}
[ $# -gt 0 ] && shift
state="${CONTROLPLANE_STATE:-$cache/controlplane/state}"
port=0 owner='' purge=''
rest=()
while [ $# -gt 0 ]; do
  case "$cmd:$1" in
    kubectl:*) rest=("$@"); break ;;
    *:--state) state=$2; shift 2 ;;
    *:--state=*) state=${1#*=}; shift ;;
    start:--port) port=$2; shift 2 ;;
    start:--owner-pid) owner=$2; shift 2 ;;
    stop:--purge) purge=1; shift ;;
    *) rest+=("$1"); shift ;;
  esac
done
case "$state" in /*) ;; *) state="$PWD/$state" ;; esac

case "$cmd" in
  help|-h|--help) help ;;
  build) build; echo "$bindir" ;;
  start)
    build
    "$bin" init --state "$state" --port "$port"
    echo "$owner" >"$state/owner"
    launch etcd
    launch apiserver
    ready
    launch controller-manager
    launch scheduler
    launch kwok
    echo "$state/kubeconfig"
    ;;
  stop)
    for p in kwok scheduler controller-manager apiserver etcd; do end "$p"; done
    if [ -n "$purge" ] && [ -f "$state/ports.json" ]; then rm -rf "$state"; fi
    ;;
  kill-apiserver) end apiserver ;;
  start-apiserver) build; launch apiserver; ready; echo "$state/kubeconfig" ;;
  kill) end "${rest[0]}" ;;
  run) build; launch "${rest[0]}" ;;
  status)
    for p in "${parts[@]}"; do
      if alive "$p"; then
        pid=$(cat "$state/pids/$p")
        printf '%-20s pid %-8s rss %6d MiB  cpu %s\n' "$p" "$pid" \
          "$(($(awk '/VmRSS/{print $2}' "/proc/$pid/status") / 1024))" "$(ps -o cputime= -p "$pid" | tr -d ' ')"
      else
        printf '%-20s down\n' "$p"
      fi
    done
    ;;
  seed|churn|shapes|user|logs|audit) build; exec "$bin" "$cmd" --state "$state" "${rest[@]}" ;;
  kubectl) build; KUBECONFIG="$state/kubeconfig" exec "$bindir/kubectl" "${rest[@]}" ;;
  selftest)
    build
    state=$(mktemp -d)/controlplane
    export CONTROLPLANE_STATE=$state
    me="$here/run.sh"
    trap '"$me" stop --purge; rmdir "$(dirname "$state")" 2>/dev/null || true' EXIT
    began=$SECONDS
    echo "kubeconfig: $("$me" start --owner-pid $$)"
    "$me" seed --nodes 5 --pods 50
    n=$("$me" kubectl get pods -A --no-headers | grep -c ' Running ')
    [ "$n" = 50 ] || die "$n pods run, not 50"
    "$me" shapes
    "$me" shapes --expected | grep -oP '"(Name|Ready|Status|Restarts)": "\K[^"]*' | paste -d'|' - - - - | sort >"$state/want"
    "$me" kubectl get pods -n shapes --no-headers | sed -E 's/ +[^ ]+ *$//; s/ ago\)/_ago)/; s/ \(/_(/; s/ +/|/g; s/_/ /g' | sort >"$state/got"
    diff "$state/want" "$state/got" || die "kubectl shows the shapes differently"
    "$me" churn --rate 50 --seconds 2
    pod=$("$me" kubectl get pods -n accounts -o 'jsonpath=pod/{.items[0].metadata.name}')
    [ "$("$me" kubectl logs -n accounts "$pod" -c app --tail 3 | wc -l)" = 3 ] || die "no logs from $pod"
    [ "$("$me" kubectl exec -n accounts "$pod" -c app -- echo hello)" = hello ] || die "no exec in $pod"
    who=$("$me" user reader)
    KUBECONFIG=$who "$bindir/kubectl" get pods -A >/dev/null 2>"$state/err" && die "reader may list pods"
    grep -q forbidden "$state/err" || die "$(cat "$state/err")"
    "$me" kill-apiserver
    "$me" kubectl get --raw /readyz >/dev/null 2>&1 && die "the API server is still there"
    "$me" start-apiserver >/dev/null
    n=$("$me" kubectl get pods -A --no-headers | grep -c ' Running ')
    [ "$n" -ge 50 ] || die "$n pods run after the restart"
    "$me" status
    "$me" stop
    "$me" status | grep -vq down && die "something still runs"
    echo "selftest passed in $((SECONDS - began))s"
    ;;
  *) help >&2; exit 2 ;;
esac
