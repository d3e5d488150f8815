#!/usr/bin/env bash
# Formats all C++ of the tree with the pinned clang-format; with --check only says what differs.
set -euo pipefail
cd "$(dirname "$0")/.."

formatter=build/venv/bin/clang-format
[ -x "$formatter" ] || bash tools/setup.sh
mode=(-i)
[ "${1:-}" = --check ] && mode=(--dry-run --Werror)
git ls-files -z --cached --others --exclude-standard -- '*.h' '*.hpp' '*.cc' '*.cpp' |
  xargs -0 -r ls -d 2>/dev/null | tr '\n' '\0' |
  xargs -0 -r -n 20 "$formatter" --ferror-limit=3 "${mode[@]}"
