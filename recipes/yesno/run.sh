#!/usr/bin/env bash
# Connected words: eight times Hebrew "yes" or "no" in each of 60 recordings of one speaker.
#
#   ./run.sh --data DIR     the corpus: waves_yesno/, or the archive waves_yesno.tar.gz
#   ./run.sh --download     fetch it first (4.7 MB)
#   ./run.sh --data DIR --robust   also under silence, hiss, noise, rooms, lines and codecs
#
# Options: --configs "hmm ctc"  --set KEY=VALUE  --tag NAME (results in exp-NAME)
#          --stage N  --stop-stage N
# Stages: 1 prepare  2 train  3 decode and score  4 align
# Run again to resume: finished steps leave a .done file and are skipped.
set -euo pipefail
started=$SECONDS
configs="hmm"
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh"
options "$@"
source ../../tools/setup.sh
exp=exp${tag:+-$tag}

if wanted 1; then say "stage 1: prepare"; prepare yesno; fi
for config in $configs; do
  out=$exp/$config
  if wanted 2; then
    say "stage 2: train $config"
    once "$out" train seqebm train "conf/$config.yaml" --data data/train --exp "$out" \
      ${settings[@]+"${settings[@]}"}
  fi
  if wanted 3; then
    say "stage 3: decode and score $config"
    once "$out" decode seqebm decode --model "$out" --data data/test --output "$out/decode"
    seqebm score "$out/decode" --json "$out/score.json"
    if $robust; then troubled "$out" data/test; fi
  fi
done
if wanted 4; then
  first=$exp/${configs%% *}
  say "stage 4: align"
  once "$first" align seqebm align --model "$first" --data data/test --output "$first/align"
  head -n 8 "$first/align/words.ctm"
fi
echo "done in $((SECONDS - started)) s"
