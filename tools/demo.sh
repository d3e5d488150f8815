#!/usr/bin/env bash
# The main job: prepares the machine, builds the Python packages, and runs examples/nycflights,
# which loads a year of flights, replays it as a stream, reopens the files in a new process and
# answers questions from them. The report and the plot land in build/nycflights; arguments are
# handed on.
set -euo pipefail
cd "$(dirname "$0")/.."

bash tools/setup.sh
printf 'demo: building (some minutes the first time)\n'
bash tools/build.sh release marble_python | tail -n 1
export PYTHONPATH=$PWD/build/release/python
exec build/venv/bin/python examples/nycflights --out build/nycflights "$@"
