#!/usr/bin/env bash
# Fuzzes every byte parser: replays each target's corpus, then mutates it.
#
#   tools/fuzz.sh [SECONDS] [TARGET...]      seconds per target (default 60), all targets
#
# With clang and its libFuzzer (Debian: clang-16 libfuzzer-16-dev libclang-rt-16-dev) the targets
# are built for it in build/fuzz, with the address and undefined-behaviour sanitizers, and what
# covers new code is kept in build/fuzz-corpus for the next run. Without it the targets of the
# release build and a driver of our own do the same, blindly. MARBLE_FUZZ_DRIVER=1 asks for these.
# Inputs that found something are in build/fuzz-findings; the last lines are a table.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
[ $# -eq 0 ] || shift
targets=("$@")
[ $# -gt 0 ] || targets=(log manifest sst ipc key database operations)
findings=$PWD/build/fuzz-findings
logs=build/logs
mkdir -p "$findings" "$logs"
rm -f "$findings"/*

compiler=$(command -v clang++-19 || command -v clang++-16 || command -v clang++ || true)
has_libfuzzer() {
  [ -n "$compiler" ] && [ -z "${MARBLE_FUZZ_DRIVER:-}" ] &&
    echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
    "$compiler" -fsanitize=fuzzer -x c++ - -o "$findings/probe" 2>/dev/null
}
if has_libfuzzer; then
  how="libFuzzer of $(basename "$compiler"), address and undefined sanitizers"
  folder=build/fuzz
  MARBLE_CMAKE_FLAGS="-DCMAKE_CXX_COMPILER=$compiler" \
    bash tools/build.sh fuzz "${targets[@]/%/_fuzz}"
else
  how="the driver of the tree, no sanitizer"
  folder=build/release
  bash tools/build.sh release "${targets[@]/%/_fuzz}"
fi
rm -f "$findings/probe"
export ARROW_DEFAULT_MEMORY_POOL=system UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
# Of what a killed process leaves nothing can be said.
export ASAN_OPTIONS=detect_leaks=0

# libFuzzer's limits are wider than the driver's: sanitizers are slow and need memory themselves.
run_target() {
  local target=$1 corpus=()
  local arguments=("-max_total_time=$seconds" "-artifact_prefix=$findings/${target}_")
  if [ "$folder" = build/fuzz ]; then
    mkdir -p "build/fuzz-corpus/$target"
    corpus=("build/fuzz-corpus/$target")
    arguments+=(-timeout=120 -rss_limit_mb=2560 -malloc_limit_mb=256 -max_len=131072)
  fi
  "$folder/tests/${target}_fuzz" "${arguments[@]}" "${corpus[@]}" "tests/fuzz/corpus/$target" \
    >"$logs/fuzz-$target.log" 2>&1
}

executions() {
  local log=$logs/fuzz-$1.log
  { grep -oE 'Done [0-9]+ runs' "$log" || grep -oE '[0-9]+ mutations' "$log" ||
    grep -oE '^#[0-9]+' "$log" || echo 0; } | tail -n 1 | grep -oE '[0-9]+'
}

rows=()
failed=0
for target in "${targets[@]}"; do
  printf 'fuzz: %s for %s s\n' "$target" "$seconds"
  run_target "$target" || failed=1
  found=$(find "$findings" -name "${target}_*" | wc -l)
  rows+=("$(printf '%-12s %12s %7s' "$target" "$(executions "$target")" "$found")")
done
printf '\n%s\n%-12s %12s %7s\n' "$how" target executions finds
printf '%s\n' "${rows[@]}"
if [ "$failed" -ne 0 ]; then
  printf 'fuzz: FAILED; inputs are in %s, reports in %s/fuzz-TARGET.log\n' "$findings" "$logs"
  exit 1
fi
printf 'fuzz: passed\n'
