#!/usr/bin/env bash
# Sequence labelling with linear-chain CRFs: one model, a loss for each name in the literature, and
# what label bias costs. The corpora are made here (local/tagging.py).
#
#   ./run.sh
#
# Options: --configs "nll hinge"  --set KEY=VALUE  --tag NAME (results in exp-NAME)
#          --stage N  --stop-stage N
# Stages: 1 prepare  2 train  3 report
# Run again to resume: finished steps leave a .done file and are skipped.
set -euo pipefail
started=$SECONDS
configs="nll hinge margin_hinge perceptron log memm"
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh"
options "$@"
source ../../tools/setup.sh
exp=exp${tag:+-$tag}
toy=(seqebm --plugin local/tagging.py data prepare toy)

if wanted 1; then
  say "stage 1: prepare"
  once data/tags prepare "${toy[@]}" data/tags
  once data/rib_rob prepare "${toy[@]}" data/rib_rob --set corpus=rib_rob --set train=2000
fi
if wanted 2; then
  say "stage 2: train"
  # Two at a time: most of what so small a model takes is starting.
  export OMP_NUM_THREADS=1
  waiting=()
  begin() {
    [ "${#waiting[@]}" -lt 2 ] || { wait "${waiting[0]}"; waiting=("${waiting[@]:1}"); }
    once "$@" &
    waiting+=($!)
  }
  for config in $configs; do
    begin "$exp/tags/$config" train seqebm train "conf/$config.yaml" --data data/tags/train \
      --exp "$exp/tags/$config" ${settings[@]+"${settings[@]}"}
  done
  # To convergence, as Lafferty et al. did: label bias grows with training.
  long=(--set frontend.size=4 --set training.epochs=40 --set training.batch_size=100
    --set training.learning_rate=0.2 --set training.schedule=constant)
  for config in nll memm; do
    begin "$exp/rib_rob/$config" train seqebm train "conf/$config.yaml" --data data/rib_rob/train \
      --exp "$exp/rib_rob/$config" "${long[@]}" ${settings[@]+"${settings[@]}"}
  done
  for job in "${waiting[@]}"; do wait "$job"; done
fi
if wanted 3; then say "stage 3: report"; python local/report.py "$exp"; fi
echo "done in $((SECONDS - started)) s"
