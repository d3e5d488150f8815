#!/usr/bin/env bash
# Makes tests/golden/v1 anew with the present code. tests/golden/README.md says when it may be done.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/build.sh release make_golden
build/release/tests/make_golden tests/golden/v1
