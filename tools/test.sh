#!/usr/bin/env bash
# Checks everything: style (ruff), types (mypy) and tests (pytest). Sets up .venv first.
#
#   ./tools/test.sh                    what CI runs; leaves out tests marked slow or gpu
#   ./tools/test.sh --slow             every test (gpu tests skip themselves without a GPU)
#   ./tools/test.sh --tests-only ...   no style, no types
#   ./tools/test.sh tests/data -k fix  other arguments go to pytest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh

select=(-m "not slow and not gpu")
checks=true
arguments=()
for argument in "$@"; do
  case $argument in
    --slow) select=() ;;
    --tests-only) checks=false ;;
    -h | --help)
      sed -n '2,7s/^# \{0,1\}//p' tools/test.sh
      exit 0
      ;;
    *) arguments+=("$argument") ;;
  esac
done

failed=()
check() {
  echo "== $*"
  "$@" || failed+=("$*")
}
if $checks; then
  check ruff check .
  check ruff format --check .
  check mypy seqebm plugins/speech/seqebm_speech plugins/ink/seqebm_ink
fi

# Last, so that pytest's closing line is what remains on the screen.
echo "== pytest"
status=0
# Two processes; each computes on one thread unless a test says otherwise.
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} python -m pytest -q -n 2 --dist worksteal ${select[@]+"${select[@]}"} ${arguments[@]+"${arguments[@]}"} || status=$?
if [ "${#failed[@]}" -gt 0 ]; then
  printf 'failed before the tests: %s\n' "${failed[@]}" >&2
  [ "$status" -ne 0 ] || status=1
fi
exit "$status"
