#!/usr/bin/env bash
# Spoken words of speakers never heard: DSPSpeech-20, 12 Mandarin and 8 English words, in folds.
#
#   ./run.sh --data DIR     the corpus: its recordings, or an archive (README.md: where it is)
#   ./run.sh --data DIR --inner        settings: trained without the test speakers, and tried on
#                                      those of the next fold; never on what is reported
#   ./run.sh --data DIR --robust       also under silence, hiss, noise, rooms, lines and codecs
#
# Options: --configs "templates convnet"   --folds "0 1 2 3 4"   --seeds "0 1 2"
#          --jobs N  --set KEY=VALUE  --tag NAME (results in exp-NAME)  --stage N  --stop-stage N
# Stages: 1 prepare  2 train  3 decode and score  4 report
# Run again to resume: finished steps leave a .done file and are skipped.
set -euo pipefail
started=$SECONDS
configs="templates templates_pooled convnet hmm dtw_fixed" seeds=0 folds="0 1 2 3 4" jobs= stop_stage=4
inner=false rest=()
for word in "$@"; do
  case $word in --inner) inner=true ;; *) rest+=("$word") ;; esac
done
own_options="folds jobs"
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh"
options ${rest[@]+"${rest[@]}"}
source ../../tools/setup.sh
train=train test=test exp=exp${tag:+-$tag}
if $inner; then train=inner test=dev exp=exp-inner${tag:+-$tag}; fi
jobs=${jobs:-$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)}
threads=$((($(nproc 2>/dev/null || echo 1) + jobs - 1) / jobs))

if wanted 1; then
  say "stage 1: prepare"
  prepare dspspeech
  cut -d' ' -f2- data/fold0/train/text | sort -u >data/words.txt
  if $robust; then
    for fold in $folds; do
      once "data/fold$fold/$test-troubles" prepare seqebm data prepare troubles \
        "data/fold$fold/$test-troubles" --set "source=data/fold$fold/$test"
    done
  fi
fi

# experiment FOLD CONFIG SEED: train, decode and score one.
experiment() {
  local fold=$1 config=$2 seed=$3 out=$exp/fold$1/$2/seed$3 data
  if wanted 2; then
    once "$out" train seqebm train "conf/$config.yaml" --data "data/fold$fold/$train" --exp "$out" \
      --set training.seed="$seed" --set training.threads="$threads" ${settings[@]+"${settings[@]}"}
  fi
  if wanted 3; then
    for data in "data/fold$fold/$test" $($robust && ls -d "data/fold$fold/$test-troubles"/*/); do
      local name=clean
      case $data in *-troubles/*) name=$(basename "$data") ;; esac
      once "$out/$name" decode seqebm decode --model "$out" --data "$data" --output "$out/$name"
      once "$out/$name" score seqebm score "$out/$name" --json "$out/$name/score.json" --bootstrap 0
    done
  fi
}
if wanted 2 || wanted 3; then
  say "stages 2 and 3: train, decode and score, $jobs at a time (progress in $exp/.../train.log)"
  running=0
  for seed in $seeds; do for fold in $folds; do for config in $configs; do
    experiment "$fold" "$config" "$seed" &
    running=$((running + 1))
    if [ "$running" -ge "$jobs" ]; then wait -n; running=$((running - 1)); fi
  done; done; done
  while [ "$running" -gt 0 ]; do wait -n; running=$((running - 1)); done
fi
if wanted 4; then say "stage 4: report"; python local/report.py "$exp"; fi
echo "done in $((SECONDS - started)) s"
