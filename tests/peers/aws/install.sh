#!/usr/bin/env bash
# boto3 and moto in a virtual environment of their own, made once for each
# content of requirements.txt. Prints the path of its Python.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/quarterdeck-peers/aws"
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
place="$cache/$( (cat "$here/requirements.txt"; echo "$version") | sha256sum | cut -c1-16)"
if [ ! -e "$place/complete" ]; then
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  if [ ! -e "$place/complete" ]; then
    echo "installing boto3 and moto ..." >&2
    rm -rf "$place"
    python3 -m venv "$place" >&2
    "$place/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
    touch "$place/complete"
  fi
  exec 9>&-
fi
echo "$place/bin/python"
