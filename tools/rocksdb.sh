#!/usr/bin/env bash
# Builds the RocksDB that the benchmarks compare with: version 11, from the source inside the crate
# rust-librocksdb-sys, by cargo, optimised for this machine. Debian's RocksDB computes its checksums
# in software, which no fair peer does. Leaves build/rocksdb/{include,lib}, which CMake finds there;
# the normal build needs none of it. Quick when nothing is to be done.
#
# Needs a cargo of at least $cargo_wanted; g++ and (installed here if missing) libclang, which the
# crate's build script asks for.
set -euo pipefail
cd "$(dirname "$0")/.."

crate=rust-librocksdb-sys
version=0.49.0+11.12.0
cargo_wanted=1.91
jobs=${MARBLE_JOBS:-$(nproc)}
root=$PWD/build/rocksdb
project=$PWD/build/rocksdb-build

say() { printf 'rocksdb: %s\n' "$*"; }
fail() {
  say "$*" >&2
  exit 1
}

stamp=$root/marble.stamp
wanted="$crate $version $(g++ -dumpfullversion) $(grep -m 1 '^flags' /proc/cpuinfo | sha256sum)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
  say "up to date in build/rocksdb"
  exit 0
fi

command -v cargo >/dev/null 2>&1 || fail "no cargo here; version $cargo_wanted or later is needed"
found=$(cargo --version | cut -d ' ' -f 2)
[ "$(printf '%s\n' "$cargo_wanted" "$found" | sort -V | head -n 1)" = "$cargo_wanted" ] ||
  fail "cargo is $found; version $cargo_wanted or later is needed"
if ! ls /usr/lib/llvm-*/lib/libclang.so* >/dev/null 2>&1; then
  say "installing libclang"
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
    libclang1-14 libclang-common-14-dev </dev/null >/dev/null
fi

# An empty library that depends on the crate is all that cargo needs to build it.
mkdir -p "$project/src"
: >"$project/src/lib.rs"
cat >"$project/Cargo.toml" <<TOML
[package]
name = "rocksdb-build"
version = "0.0.0"
edition = "2021"

[workspace]

[dependencies]
$crate = { version = "=${version%%+*}", default-features = false, features = [
  "static", "bindgen-runtime", "lz4", "zstd"] }
TOML
say "building version ${version#*+} in build/rocksdb-build; this takes half an hour on two cores"
export RUSTFLAGS='-C target-cpu=native' CFLAGS='-march=native' CXXFLAGS='-march=native'
cargo build --quiet --release --jobs "$jobs" --manifest-path "$project/Cargo.toml"

source_directory=$(cargo metadata --format-version 1 --manifest-path "$project/Cargo.toml" |
  python3 -c '
import json, os, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == sys.argv[1]:
        print(os.path.dirname(package["manifest_path"]))' "$crate")
rm -rf "$root"
mkdir -p "$root/lib"
cp -r "$source_directory/rocksdb/include" "$root/include"
for library in rocksdb lz4 zstd; do
  # Of several builds of a library the last is the one just made.
  newest=$(find "$project/target/release/build" -name "lib$library.a" -printf '%T@ %p\n' |
    sort -n | tail -n 1 | cut -d ' ' -f 2-)
  [ -n "$newest" ] || fail "cargo left no lib$library.a"
  cp "$newest" "$root/lib/"
done
# The function is there only if the flags took effect. (No grep -q: it would end nm early.)
nm -C "$root/lib/librocksdb.a" 2>/dev/null | grep crc32c_3way >/dev/null ||
  fail "this RocksDB computes checksums in software; is the processor without SSE 4.2 and PCLMUL?"
printf '%s\n' "$wanted" >"$stamp"
say "ready in build/rocksdb"
