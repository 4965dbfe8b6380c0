#!/usr/bin/env bash
# Every loss on the same lattice, from the same initialisation: pen digits, with a TDNN and elastic
# templates, and with a TDNN/HMM; with and without an architecture that forbids collapse.
#
#   ./run.sh                    synthetic digits (drawn here; no download)
#   ./run.sh --pendigits DIR    UCI pen digits: pendigits-orig.tra.Z and .tes.Z, or the .gz
#
# Options: --configs "templates hmm"  --losses "nll,hinge"  --seeds "0 1 2"
#          --tag NAME (results in exp-NAME)  --stage N  --stop-stage N
# Stages: 1 prepare  2 train and measure  3 time  4 report
# Run again to resume: what has a result is skipped.
set -euo pipefail
started=$SECONDS
configs="templates hmm templates_fixed hmm_local hmm_narrow hmm_narrow_local" seeds="0 1 2"
own_options="pendigits losses" own_paths="pendigits"
pendigits= losses= stop_stage=4
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh"
options "$@"
source ../../tools/setup.sh
set=${pendigits:+pendigits} set=${set:-synthetic}
data=data/$set exp=exp${tag:+-$tag}/$set
[ ${#settings[@]} -eq 0 ] || fail "--set is not for this recipe: every loss has its settings (local/sweep.py)"

if wanted 1 && [ ! -e "$data/.done" ]; then
  say "stage 1: prepare $set"
  if [ -n "$pendigits" ]; then seqebm data prepare pendigits "$data" --set "source=$pendigits"
  else seqebm data prepare synthetic_ink "$data" --set what=digits; fi
  touch "$data/.done"
fi
if wanted 2; then
  for config in $configs; do
    case $config in
      templates | hmm) default=all ;;
      hmm_narrow) default=nll ;;
      *) default=energy,perceptron,hinge,lvq2,nll ;;
    esac
    say "stage 2: $config"
    python local/sweep.py "$data" "$exp" "$config" "${losses:-$default}" $seeds
  done
fi
if wanted 3; then say "stage 3: time"; python local/times.py "$data" "$exp"; fi
if wanted 4; then
  say "stage 4: report"
  python local/report.py "$exp" | tee "$exp/results.md"
  echo "picture: $exp/losses.png"
fi
echo "done in $((SECONDS - started)) s"
