#!/usr/bin/env bash
# Builds the tools that Quarterdeck is measured beside, into the cache where
# run.py looks for them. Nothing is installed anywhere else.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/quarterdeck-peers"
mkdir -p "$cache/tools/bin"

# sofka, with the lock file that it was published with.
[ -x "$cache/tools/bin/sofka" ] ||
  CARGO_TARGET_DIR="$cache/sofka-target" nice -n 10 cargo install sofka --version 0.34.0 --locked --root "$cache/tools"

# k9s, as the tool of a small module that pins it.
[ -x "$cache/tools/bin/k9s" ] ||
  (cd "$here/k9s" && nice -n 10 go build -trimpath -o "$cache/tools/bin/k9s" github.com/derailed/k9s)

ls -l "$cache/tools/bin"
