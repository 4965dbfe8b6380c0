#!/usr/bin/env bash
# The shape of energy surfaces, on problems small enough to look at: which losses collapse, what the
# simple architectures are, what inference over latent variables does, label bias.
#
#   ./run.sh                everything (5 minutes); tables on the screen, pictures in exp/
#
# Options: --seeds "0 1 2"  --tag NAME (results in exp-NAME)  --stage N  --stop-stage N
# Stages: 1 learning Y = X²  2 simple architectures  3 factor graphs and β  4 label bias  5 curves
# Run again to resume: finished steps leave a .done file and are skipped.
set -euo pipefail
started=$SECONDS
configs= seeds="0 1 2" stop_stage=5
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh"
options "$@"
source ../../tools/setup.sh
exp=exp${tag:+-$tag}

# step N NAME SCRIPT ARGUMENTS...
step() {
  local number=$1 name=$2; shift 2
  wanted "$number" || return 0
  say "stage $number: $name"
  once "$exp" "$name" python "$@"
  cat "$exp/$name.log"
}
step 1 parabola local/parabola.py "$exp" --seeds $seeds
step 2 simple local/simple.py "$exp"
step 3 inference local/inference.py "$exp"
step 4 label_bias local/label_bias.py "$exp"
step 5 curves local/curves.py "$exp"
echo "pictures: $(ls "$exp"/*.png "$exp"/*.gif 2>/dev/null | xargs); done in $((SECONDS - started)) s"
