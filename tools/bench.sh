#!/usr/bin/env bash
# Measures Marble beside RocksDB, LevelDB and LMDB, from a fresh clone on a fresh Debian 12:
# prepares the machine, builds, runs the key-value benchmark in its quick mode and the one in
# Python, and writes build/bench/report.md with plots and build/bench/*.json with all figures.
#
#   tools/bench.sh                         1 million rows
#   tools/bench.sh --full                  10 million rows; hours
#   tools/bench.sh --workloads seek,scan   any other option of the benchmark too; --help lists them
#   tools/bench.sh --tables                tables instead, beside DuckDB, Lance, Parquet, Feather;
#                                          takes the options of benchmarks/python_tables.py,
#                                          writes build/bench/tables/report.md
#
# --no-rocksdb-build takes Debian's RocksDB, which computes checksums in software, where RocksDB 11
# has not been built yet; --no-python leaves out the benchmark in Python. RocksDB 11 takes half an
# hour to build and needs a cargo of 1.91 or later (tools/rocksdb.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'bench: %s\n' "$*"; }

build_rocksdb=yes
with_python=yes
tables=no
python_rows=200000
arguments=()
for argument in "$@"; do
  case $argument in
    --no-rocksdb-build) build_rocksdb=no ;;
    --no-python) with_python=no ;;
    --tables) tables=yes ;;
    *) arguments+=("$argument") ;;
  esac
  [ "$argument" != --full ] || python_rows=1000000
done

bash tools/setup.sh
out=build/bench
if [ "$tables" = yes ]; then
  say "building"
  bash tools/build.sh release marble_python >/dev/null
  build/venv/bin/python -m pip install --quiet --disable-pip-version-check \
    'pylance>=14' </dev/null
  mkdir -p "$out/tables"
  PYTHONPATH=build/release/python build/venv/bin/python benchmarks/python_tables.py \
    --directory "$out/tables/rows" --json "$out/tables/tables.json" "${arguments[@]}"
  case " ${arguments[*]:-} " in
    *" --help "* | *" --list "*) exit ;;
  esac
  exec build/venv/bin/python benchmarks/report.py --output "$out/tables" "$out/tables/tables.json"
fi
missing=()
for package in libleveldb-dev liblmdb-dev; do
  dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "installing ${missing[*]}"
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo -n)
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi
if [ "$build_rocksdb" = yes ]; then
  bash tools/rocksdb.sh || say "going on with the RocksDB of the system, if there is one"
fi

say "building"
targets=(key_value_benchmark)
[ "$with_python" = no ] || targets+=(marble_python)
bash tools/build.sh release "${targets[@]}" >/dev/null
program=build/release/benchmarks/key_value_benchmark
case " ${arguments[*]:-} " in
  *" --help "* | *" --list "*) exec "$program" "${arguments[@]}" ;;
esac

mkdir -p "$out"
"$program" --directory "$out/databases" "${arguments[@]}" --json "$out/key_value.json"
reports=("$out/key_value.json")
if [ "$with_python" = yes ]; then
  say "from Python"
  build/venv/bin/python -m pip install --quiet --disable-pip-version-check \
    'rocksdict>=0.3' 'lmdb>=1.6' </dev/null
  PYTHONPATH=build/release/python build/venv/bin/python benchmarks/python_key_value.py \
    --rows "$python_rows" --directory "$out/python-databases" --json "$out/python.json"
  reports+=("$out/python.json")
fi
build/venv/bin/python benchmarks/report.py --output "$out" "${reports[@]}"
