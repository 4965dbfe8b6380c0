#!/usr/bin/env bash
# Sets up what the recipes and the tests need: a virtual environment in .venv with the core and
# the first-party plugins, installed so that edits take effect at once.
#
#   ./tools/setup.sh          set up; does nothing if all is up to date
#   source tools/setup.sh     the same, then use .venv in this shell (as run.sh and test.sh do)
#
# Needs Python 3.11 or newer and pip's usual access to packages; nothing else. Variables:
#   PYTHON        the interpreter to use (default: the first suitable one on the PATH)
#   SEQEBM_VENV   where the environment goes (default: .venv next to pyproject.toml)

if [ -z "${BASH_VERSION:-}" ]; then
  echo "setup: source this from bash, or run ./tools/setup.sh and activate .venv" >&2
  # shellcheck disable=SC2317
  return 1 2>/dev/null || exit 1
fi

_seqebm_setup() (
  # A subshell: a caller that sources this file keeps its own options and directory.
  set -euo pipefail
  root=$1 venv=$2
  cd "$root" || exit 1

  # Everything that is installed comes from these; one pip call, so that torch and torchaudio,
  # which must match, are resolved together. Compatible mode: the checkout itself is on the path, and
  # is found before a folder of the same name is taken for a package, in the folder above it.
  packages=(--config-settings editable_mode=compat -e ".[dev]" -e "plugins/speech[synthesis]" -e "plugins/ink[synthesis,wordlist]")
  manifests=(pyproject.toml plugins/speech/pyproject.toml plugins/ink/pyproject.toml)
  minimum="3.11"
  suitable="import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"

  say() { printf 'setup: %s\n' "$*" >&2; }
  fail() {
    say "$1"
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
  }

  # The path is part of it: an environment that was copied points at another checkout.
  wanted() {
    cksum "${manifests[@]}"
    "$venv/bin/python" -VV
    printf '%s\n' "$root" "${packages[@]}"
  }

  find_python() {
    if [ -n "${PYTHON:-}" ]; then
      "$PYTHON" -c "$suitable" >/dev/null 2>&1 || fail \
        "PYTHON=$PYTHON cannot be used: it must be Python $minimum or newer, with venv and ensurepip."
      printf '%s' "$PYTHON"
      return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do
      # Being on the PATH is not enough: a shim may stand there for a version that is not active.
      if "$candidate" -c "$suitable" >/dev/null 2>&1; then
        printf '%s' "$candidate"
        return
      fi
    done
    found=$(python3 -V 2>&1 || true)
    fail "no Python $minimum or newer with the venv module was found (python3 is: ${found:-absent})." \
      "Debian, Ubuntu:  sudo apt install python3 python3-venv" \
      "macOS:           brew install python" \
      "elsewhere:       https://www.python.org/downloads/" \
      "or name one:     PYTHON=/path/to/python3.12 $root/tools/setup.sh"
  }

  stamp="$venv/seqebm-setup"
  if [ -f "$stamp" ] && now=$(wanted 2>/dev/null) && [ "$now" = "$(cat "$stamp")" ]; then
    exit 0
  fi

  # Two runs at once (a recipe and the tests) must not install into each other.
  if command -v flock >/dev/null; then
    exec 9<pyproject.toml
    flock -n 9 || { say "waiting for another set-up of $venv to end"; flock 9; }
    if [ -f "$stamp" ] && now=$(wanted 2>/dev/null) && [ "$now" = "$(cat "$stamp")" ]; then
      exit 0
    fi
  fi

  if [ -e "$venv" ] && ! "$venv/bin/python" -c "$suitable" >/dev/null 2>&1; then
    # Only what we made is ours to replace.
    [ -f "$stamp" ] || [ -f "$venv/seqebm-unfinished" ] || fail \
      "$venv exists but holds no working Python $minimum or newer, and was not made by this script." \
      "Move it away (mv '$venv' '$venv.old') or choose another place: SEQEBM_VENV=DIR"
    say "$venv no longer works; making it anew"
    rm -rf "$venv"
  fi
  if [ ! -e "$venv" ]; then
    python=$(find_python) || exit 1
    say "making $venv with $("$python" -V)"
    mkdir -p "$venv" || fail "$venv cannot be made; choose another place: SEQEBM_VENV=DIR"
    touch "$venv/seqebm-unfinished"
    "$python" -m venv "$venv" || fail \
      "the virtual environment could not be made." \
      "On Debian and Ubuntu: sudo apt install python3-venv"
  fi
  rm -f "$stamp"

  say "installing the core and its plugins with pip (minutes the first time, for PyTorch)"
  log="$venv/setup.log"
  quiet=()
  [ -t 2 ] || quiet=(-q)
  if ! "$venv/bin/python" -m pip install --disable-pip-version-check ${quiet[@]+"${quiet[@]}"} \
    "${packages[@]}" 2>&1 | tee "$log" >&2; then
    fail "pip failed; its output is in $log. Usual causes:" \
      "no network or a proxy:  set HTTPS_PROXY, or PIP_INDEX_URL to a mirror" \
      "a full disk:            PyTorch takes up to 6 GB; make room, or set SEQEBM_VENV and TMPDIR" \
      "no wheel for this Python: name another one, PYTHON=python3.12, after rm -rf '$venv'" \
      "then run $root/tools/setup.sh again: it goes on from here"
  fi
  check="import seqebm, numba, soundfile, torch, torchaudio"
  "$venv/bin/python" -c "$check" || fail \
    "the installed packages do not work together (above)." \
    "Start afresh: rm -rf '$venv' && $root/tools/setup.sh"

  wanted >"$stamp"
  rm -f "$venv/seqebm-unfinished"
  say "done; activate with: source '$venv/bin/activate'"
)

_seqebm_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
_seqebm_venv=${SEQEBM_VENV:-$_seqebm_root/.venv}
_seqebm_setup "$_seqebm_root" "$_seqebm_venv"
_seqebm_status=$?
if [ "${BASH_SOURCE[0]:-$0}" = "$0" ]; then
  exit "$_seqebm_status"
elif [ "$_seqebm_status" -ne 0 ]; then
  return "$_seqebm_status"
fi
export VIRTUAL_ENV=$_seqebm_venv
export PATH=$_seqebm_venv/bin:$PATH
unset PYTHONHOME
