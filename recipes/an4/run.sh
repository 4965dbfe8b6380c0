#!/usr/bin/env bash
# Continuous speech: spelled letters, numbers and control words (CMU Census, "AN4"), from the
# corpus's mel cepstra, with its dictionary and its language model and nothing else.
#
#   ./run.sh --data DIR        the corpus: a directory with etc/ and feat/, or its archive (.tar.gz)
#   ./run.sh --data DIR --audio DIR   also decode the wavs of DIR through our own front-end
#   ./run.sh --data DIR --audio DIR --robust   these also under silence, noise, rooms, lines, codecs
#
# Options: --configs "phone_nll phone_mce"  of conf/      --seeds "0 1 2"
#          --set KEY=VALUE  --tag NAME (results in exp-NAME)  --stage N  --stop-stage N
# Stages: 1 prepare  2 train  3 decode and score  4 align, n-best and lattices  5 wavs  6 report
# Run again to resume: finished steps leave a .done file and are skipped.
set -euo pipefail
started=$SECONDS
configs=phone_nll seeds=0 stop_stage=6
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh"
options "$@"
source ../../tools/setup.sh
exp=exp${tag:+-$tag}

if wanted 1; then
  say "stage 1: prepare"
  prepare an4
  for part in train test; do seqebm data validate "data/$part"; done
fi
for seed in $seeds; do for config in $configs; do
  out=$exp/$config/seed$seed
  # Configs that go on from another model name it as init_from in a comment: "# from: CONFIG".
  from=$(sed -n 's/^# from: //p' "conf/$config.yaml")
  if wanted 2; then
    say "stage 2: train $config, seed $seed (progress in $out/train.log)"
    once "$out" train seqebm train "conf/$config.yaml" --data data/train --exp "$out" \
      --set training.seed="$seed" ${from:+--set training.init="$exp/$from/seed$seed"} \
      ${settings[@]+"${settings[@]}"}
  fi
  if wanted 3; then
    say "stage 3: decode and score $config, seed $seed"
    once "$out" decode seqebm decode --model "$out" --data data/test --output "$out/decode"
    once "$out" score seqebm score "$out/decode" --json "$out/score.json" --bootstrap 2000
  fi
done; done
first=$exp/${configs##* }/seed${seeds%% *}
if wanted 4; then
  say "stage 4: alignments, n-best and lattices of $first"
  once "$first" align seqebm align --model "$first" --data data/test --output "$first/align"
  once "$first" lattices seqebm decode --model "$first" --data data/test --nbest 10 --lattice \
    --ctm --output "$first/lattices"
fi
if wanted 5 && [ -e data/wav_test ]; then
  say "stage 5: the test utterances that are there as wavs, through our own MFCC"
  once "$first" wavs seqebm decode --model "$first" --data data/wav_test --output "$first/wavs"
  seqebm score "$first/wavs"
  python local/agreement.py "$first/decode/hyp.txt" "$first/wavs/hyp.txt"
  if $robust; then troubled "$first" data/wav_test; fi
fi
if wanted 6; then
  say "stage 6: report"
  python local/report.py "$exp"
fi
echo "done in $((SECONDS - started)) s"
