#!/usr/bin/env bash
# Captures the goldens again: objects as a real API server holds them (as JSON,
# pods and nodes as protobuf too), and what kubectl prints of them, in one go.
set -euo pipefail
cd "$(dirname "$0")"
run=../peers/controlplane/run.sh
export CONTROLPLANE_STATE="${CONTROLPLANE_STATE:-$(mktemp -d)}"
"$run" start >/dev/null
trap '"$run" stop --purge' EXIT
k() { "$run" kubectl "$@"; }

# A list without what the projection never sees.
list() {
  python3 -c '
import json, sys
items = json.load(sys.stdin)["items"]
for item in items:
    item["metadata"].pop("managedFields", None)
print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1))'
}

# kubectl cannot be told to ask for protobuf; its proxy passes the question on.
protobuf() {
  # The tool itself, so that it can be stopped by its own pid.
  "$("$run" build)/kubectl" --kubeconfig "$CONTROLPLANE_STATE/kubeconfig" proxy --port 0 >"$CONTROLPLANE_STATE/proxy" &
  local proxy=$! at=''
  while [ -z "$at" ]; do
    sleep 0.2
    at=$(grep -o '127.0.0.1:[0-9]*' "$CONTROLPLANE_STATE/proxy" || true)
  done
  python3 - "http://$at$1" <<'P'
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Accept": "application/vnd.kubernetes.protobuf"})
sys.stdout.buffer.write(urllib.request.urlopen(request).read())
P
  kill "$proxy"
}

"$run" seed --nodes 20 --pods 0
"$run" shapes
k get pods -n shapes -o json | list >pods.json
k get pods -n shapes --no-headers >pods.txt
protobuf '/api/v1/namespaces/shapes/pods' >pods.pb

k apply -f nodes.manifest.json >/dev/null
python3 - <<'P' | while read -r name status; do k patch node "$name" --subresource=status --type=merge -p "$status" >/dev/null; done
import json
for node in json.load(open("nodes.manifest.json"))["items"]:
    print(node["metadata"]["name"], json.dumps({"status": node["status"]}, separators=(",", ":")))
P
k get nodes -l shape=node -o json | list >nodes.json
k get nodes -l shape=node --no-headers >nodes.txt
protobuf '/api/v1/nodes?labelSelector=shape%3Dnode' >nodes.pb

k create namespace workload-shapes >/dev/null
for node in $(k get nodes -l 'shape!=node' -o name | head -3); do k label "$node" shape-ds=three >/dev/null; done
k apply -f workloads.manifest.json >/dev/null
kinds=deployments,statefulsets,daemonsets,replicasets,jobs,cronjobs
# Until nothing changes any more; the rollout that hangs begins when its old pods are up.
k wait -n workload-shapes --for=jsonpath='{.status.readyReplicas}'=3 deployment/rolling statefulset/fine --timeout=90s >/dev/null
k patch -n workload-shapes deployment rolling --type=merge \
  -p '{"spec":{"template":{"spec":{"nodeSelector":{"no-such":"node"}}}}}' >/dev/null
sleep 10
k get "$kinds" -n workload-shapes -o json | list >workloads.json
k get "$kinds" -n workload-shapes --no-headers >workloads.txt
