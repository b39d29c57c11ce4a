#!/usr/bin/env bash
# Captures the golden pods again: objects as a real API server holds them, and
# what kubectl prints of them, in one go.
set -euo pipefail
cd "$(dirname "$0")"
run=../peers/controlplane/run.sh
export CONTROLPLANE_STATE="${CONTROLPLANE_STATE:-$(mktemp -d)}"
"$run" start >/dev/null
trap '"$run" stop --purge' EXIT
"$run" shapes
"$run" kubectl get pods -n shapes -o json | python3 -c '
import json, sys
pods = json.load(sys.stdin)["items"]
for pod in pods:
    pod["metadata"].pop("managedFields", None)
print(json.dumps({"apiVersion": "v1", "kind": "PodList", "items": pods}, indent=1))' >pods.json
"$run" kubectl get pods -n shapes --no-headers >pods.txt
