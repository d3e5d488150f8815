#!/usr/bin/env bash
# Configures and builds one CMake preset with the Arrow of build/venv.
#
#   tools/build.sh PRESET [TARGET...]       e.g. tools/build.sh release, tools/build.sh tsan db_test
#
# MARBLE_CMAKE_FLAGS adds options, MARBLE_JOBS sets the number of compilers at once (default: one a
# core).
set -euo pipefail
cd "$(dirname "$0")/.."

preset=${1:?usage: tools/build.sh PRESET [TARGET...]}
shift
flags=()
[ "$preset" = release ] && flags+=(-DMARBLE_BUILD_PYTHON=ON)
read -ra more <<<"${MARBLE_CMAKE_FLAGS:-}"
flags+=("${more[@]}")
targets=()
[ $# -eq 0 ] || targets=(--target "$@")
cmake --preset "$preset" -DMARBLE_PYTHON="$PWD/build/venv/bin/python" "${flags[@]}" >/dev/null
cmake --build --preset "$preset" --parallel "${MARBLE_JOBS:-$(nproc)}" "${targets[@]}"
