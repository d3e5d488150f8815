#!/usr/bin/env bash
# All tests, from a fresh clone on a fresh Debian 12: prepares the machine, builds, and runs what
# docs/testing.md lists. Ends at the first failure; the last line says how it went.
#
#   tools/test.sh             the gate (.ci/run calls this)
#   tools/test.sh all         the gate and the wheel
#   tools/test.sh setup build campaign    the full campaigns: about an hour
#   tools/test.sh STEP...     only these steps, e.g. "tools/test.sh setup build ctest"
#
# Each step's full output is in build/logs/STEP.log. MARBLE_SEED fixes the random tests' seed.
set -euo pipefail
cd "$(dirname "$0")/.."

gate_steps=(setup format tidy tools build ctest planted sstables python install tsan asan)
all_steps=("${gate_steps[@]}" wheel)
long_steps=(campaign coverage)
python=build/venv/bin/python
fuzz_targets=(log_fuzz manifest_fuzz sst_fuzz ipc_fuzz key_fuzz database_fuzz operations_fuzz)
unit_tests=()
for folder in tests/unit/*/; do unit_tests+=("$(basename "$folder")_test"); done
logs=build/logs
databases=$PWD/build/test-databases
began=$SECONDS
mkdir -p "$logs"

clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# Runs step_NAME with its output in a log, and says every half minute that it lives.
run_step() {
  local name=$1 start=$SECONDS status heart
  printf 'test: %-9s started at %s\n' "$name" "$(clock $((SECONDS - began)))"
  (
    while sleep 30 >/dev/null 2>&1; do
      printf 'test: %-9s %s ... %s\n' "$name" "$(clock $((SECONDS - start)))" \
        "$(tail -n 1 "$logs/$name.log" 2>/dev/null | cut -c1-80)"
    done
  ) &
  heart=$!
  # Not behind "||": there a failing command in the middle of a step would not end it.
  set +e
  (
    set -e
    "step_$name"
  ) >"$logs/$name.log" 2>&1 </dev/null
  status=$?
  set -e
  kill "$heart" 2>/dev/null || true
  wait "$heart" 2>/dev/null || true
  if [ "$status" -ne 0 ]; then
    tail -n 80 "$logs/$name.log"
    failures "$name"
    printf 'test: FAILED in step "%s" after %s; all of its output is in %s\n' \
      "$name" "$(clock $((SECONDS - start)))" "$logs/$name.log"
    exit 1
  fi
  printf 'test: %-9s passed in %s  %s\n' "$name" "$(clock $((SECONDS - start)))" \
    "$(summary "$name")"
}

# What failed, behind all else: a reader may get the last lines only.
failures() {
  grep -hE -A 4 '(: Failure$|^E  |runtime error:|ERROR: |WARNING: ThreadSanitizer)' \
    "$logs/$1.log" | head -n 12 || true
  grep -hF "[  FAILED  ]" "$logs/$1.log" | head -n 6 || true
}

# One line of figures out of a step's log.
summary() {
  case $1 in
    ctest | asan | tsan) grep -hE '^[0-9]+% tests passed' "$logs/$1.log" | tail -n 1 || true ;;
    python | tools) grep -hE '[0-9]+ passed' "$logs/$1.log" | tail -n 1 || true ;;
    campaign | coverage) printf '\n' && cat "build/$1/report.md" ;;
    tidy | planted | sstables | install | wheel) tail -n 1 "$logs/$1.log" ;;
  esac
}

step_setup() { bash tools/setup.sh; }
step_format() { bash tools/format.sh --check; }
step_tidy() { "$python" tools/tidy.py; }
step_tools() { "$python" -m pytest -q tests/tools; }
step_build() { bash tools/build.sh release; }

# Databases that tests leave behind go to one folder for the SSTable check. The two long tests run
# beside each other, one a core.
step_ctest() {
  rm -rf "$databases"
  mkdir -p "$databases"
  MARBLE_TEST_DIRECTORY=$databases ctest --preset release --parallel "$(nproc)" \
    --exclude-regex '^tidy$'
}

# Five known bugs, planted one by one, are each caught by the test named for it.
step_planted() { "$python" tools/planted.py --gate; }

step_sstables() { "$python" tools/check_sstables.py "$databases"; }

step_python() {
  MARBLE_TEST_DIRECTORY=$databases PYTHONPATH=$PWD/build/release/python \
    "$python" -m pytest -q tests/python --durations=5
}

# Another project finds the installed library and runs against it.
step_install() {
  rm -rf build/installed build/consumer
  cmake --install build/release --prefix build/installed
  cmake -S tests/install -B build/consumer -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$PWD/build/installed" -DMARBLE_PYTHON="$PWD/$python"
  cmake --build build/consumer
  ctest --test-dir build/consumer --output-on-failure
  echo "an outside project found marble and ran"
}

# The wheel that `pip install .` makes, installed and imported away from the tree.
step_wheel() {
  rm -rf build/wheel build/wheel-site
  "$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
  "$python" -m pip install --quiet --no-deps --target build/wheel-site build/wheel/*.whl
  (cd build && PYTHONPATH=wheel-site venv/bin/python ../tests/install/use_wheel.py)
}

step_campaign() { "$python" tools/campaign.py; }

# A build of its own that counts branches, and what the tests of C++ take of them.
step_coverage() {
  local targets=(behaviour_test model_test crash_test concurrency_test)
  targets+=("${unit_tests[@]}" "${fuzz_targets[@]}")
  bash tools/build.sh coverage "${targets[@]}"
  find build/coverage -name '*.gcda' -delete
  # What sources that are gone have left there is not to be counted: gcovr stumbles over it.
  ninja -C build/coverage -t cleandead
  find build/coverage -name '*.gcno' -exec sh -c 'test -e "${1%.gcno}.o" || rm "$1"' _ {} \;
  MARBLE_MODEL_OPERATIONS=210000 MARBLE_CRASH_CYCLES=40 MARBLE_FAILED_ALLOCATIONS=2000 \
    ctest --preset coverage --parallel "$(nproc)" \
    --tests-regex "^($(IFS='|'; echo "${targets[*]}"))(_[0-9])?\$"
  "$python" tools/coverage.py
}

# Sanitizers: of each build only what needs it. The code is slow, so long tests run shortened. Arrow
# takes memory from malloc then: its own allocators hide overruns, and the one it prefers is taken
# for a misuse of locks when the process ends.
step_asan() {
  local targets=(behaviour_test model_test crash_test concurrency_test "${unit_tests[@]}")
  targets+=("${fuzz_targets[@]}")
  bash tools/build.sh asan "${targets[@]}"
  ARROW_DEFAULT_MEMORY_POOL=system ASAN_OPTIONS=detect_stack_use_after_return=1 \
    LSAN_OPTIONS=suppressions=$PWD/tools/lsan.supp \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    MARBLE_MODEL_OPERATIONS=21000 MARBLE_CRASH_CYCLES=20 MARBLE_POWER_CUTS=30 \
    MARBLE_ALTER_OPERATIONS=120 MARBLE_CRASH_IMAGES=460 MARBLE_IO_ERRORS=400 MARBLE_DAMAGES=240 \
    MARBLE_FULL_DISK_CYCLES=1 MARBLE_FAILED_ALLOCATIONS=60 MARBLE_FAULT_OPERATIONS=1500 \
    MARBLE_DESCRIPTOR_ROUNDS=1 MARBLE_STRESS_ROUNDS=100 MARBLE_SOAK_SECONDS=1 \
    ctest --preset asan --parallel "$(nproc)" \
    --tests-regex "^($(IFS='|'; echo "${targets[*]}"))(_[0-9])?\$"
}

# The crash tests recover on several threads. Those that fork are left out: Arrow's allocators have
# fork handlers that are taken for a misuse of locks. So are those that wait for Arrow's futures.
step_tsan() {
  local targets=(concurrency_test crash_test behaviour_test base_test io_test sst_test tree_test)
  bash tools/build.sh tsan "${targets[@]}"
  ARROW_DEFAULT_MEMORY_POOL=system \
    TSAN_OPTIONS=suppressions=$PWD/tools/tsan.supp:halt_on_error=1:second_deadlock_stack=1 \
    MARBLE_STRESS_ROUNDS="${MARBLE_STRESS_ROUNDS:-250}" MARBLE_POWER_CUTS=30 \
    MARBLE_CRASH_IMAGES=230 MARBLE_IO_ERRORS=200 \
    MARBLE_FULL_DISK_CYCLES=1 MARBLE_FAILED_ALLOCATIONS=60 MARBLE_SOAK_SECONDS=1 \
    MARBLE_DAMAGES=120 \
    GTEST_FILTER='-KillTest.*:OutOfMemoryTest.*:LargeDamageTest.*' \
    ctest --preset tsan --parallel "$(nproc)" \
    --tests-regex "^($(IFS='|'; echo "${targets[*]}"))(_[0-9])?\$"
}

steps=("$@")
[ $# -gt 0 ] || steps=("${gate_steps[@]}")
[ "${1:-}" != all ] || steps=("${all_steps[@]}")
for step in "${steps[@]}"; do
  [ "$(type -t "step_$step")" = function ] || {
    echo "test: no step '$step'; there are: ${all_steps[*]} ${long_steps[*]}"
    exit 2
  }
done
for step in "${steps[@]}"; do run_step "$step"; done
printf 'test: PASSED: %s in %s\n' "${steps[*]}" "$(clock $((SECONDS - began)))"
