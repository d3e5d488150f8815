#!/usr/bin/env bash
# Prepares a Debian 12 machine for building and testing: system packages that are missing, and a
# virtualenv in build/venv with what requirements-dev.txt names. Quick when nothing is to be done.
#
# MARBLE_BASE_PYTHON chooses the interpreter of the virtualenv (default: python3 on the PATH).
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

# Runs a command as root: directly, or through sudo where that works without a question.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo -n "$@"
  else
    fail "these packages are missing and only root can install them: ${missing[*]}"
  fi
}

base_python=${MARBLE_BASE_PYTHON:-python3}
command -v "$base_python" >/dev/null 2>&1 || base_python=python3

# A probe for each package, so that machines that have the thing by other means are left alone.
missing=()
need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
has_header() {
  printf '#if !__has_include(<%s>)\n#error missing\n#endif\n' "$1" | g++ -E -x c++ -
}
has_python_header() {
  "$base_python" -c '
import os, sysconfig
raise SystemExit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}

need g++ command -v g++
need cmake command -v cmake
need git command -v git
need ninja-build command -v ninja
need ccache command -v ccache
need strace command -v strace
need libgtest-dev has_header gtest/gtest.h
need libgmock-dev has_header gmock/gmock.h
need libbenchmark-dev has_header benchmark/benchmark.h
need libxxhash-dev has_header xxhash.h
need libcli11-dev has_header CLI/CLI.hpp
need librocksdb-dev has_header rocksdb/db.h
need python3 command -v "$base_python"
need python3-venv "$base_python" -c 'import ensurepip, venv'
need python3-dev has_python_header

if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null 2>&1 ||
    fail "no apt-get here; please install by hand what Debian calls: ${missing[*]}"
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get -qq update </dev/null
  as_root apt-get -qq install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi

# The stamp names everything the virtualenv depends on; it is written last, so an interrupted
# installation is repeated.
venv=build/venv
stamp=$venv/marble.stamp
python_version=$("$base_python" -c 'import sys; print(sys.version.split()[0], sys.base_prefix)')
wanted=$(printf '%s\n' "$PWD" "$python_version" | cat - requirements-dev.txt | sha256sum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && "$venv/bin/python" -c ''; then
  say "virtualenv is up to date"
else
  say "installing Python packages into $venv"
  rm -rf "$venv"
  mkdir -p build
  "$base_python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    -r requirements-dev.txt </dev/null
  printf '%s\n' "$wanted" >"$stamp"
fi
say "ready"
