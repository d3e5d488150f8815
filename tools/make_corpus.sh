#!/usr/bin/env bash
# Makes the seeds of the fuzz targets, tests/fuzz/corpus, anew with the present code. Files whose
# names begin with "finding" are inputs that once found something, those with "old" are of formats
# that are still read; they stay.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/build.sh release make_corpus
find tests/fuzz/corpus -type f ! -name 'finding*' ! -name 'old*' -delete 2>/dev/null || true
build/release/tests/make_corpus tests/fuzz/corpus
