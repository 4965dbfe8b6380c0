#!/usr/bin/env bash
# Isolated spoken digits: a TDNN and elastic templates trained jointly, and its baselines.
#
#   ./run.sh                               a small synthetic corpus (made here; no download)
#   ./run.sh --corpus fsdd --data DIR      the real Free Spoken Digit Dataset, leaving one speaker
#                                          out in turn (local/README.md: where it is published)
#   ./run.sh --corpus fsdd --download      the same, fetching it first
#
# Options:
#   --configs "A B"   files of conf/ to train        --seeds "0 1 2"   random seeds
#   --folds "X Y"     test speakers (fsdd)           --set KEY=VALUE   override a config key
#   --stage N, --stop-stage N                        --jobs N          trainings at a time
#   --tag NAME        results in exp/CORPUS-NAME (use it with --set: other settings, other place)
#   --robust          also test under silence, hiss, noise, rooms, lines and codecs
#   --voices N        fsdd: train also on digits of N voices of eSpeak NG (32; 0: none)
#   --inner           fsdd: leaves two speakers out; how settings are chosen, never what is reported
#
# Stages: 1 prepare  2 validate  3 train  4 decode  5 score  6 report and pictures
# Run again to resume: finished steps leave a .done file and are skipped.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
started=$SECONDS

corpus=synthetic source= download=false robust=false inner=false voices=32 stage=1 stop_stage=6 jobs= configs= seeds=0 folds= tag=
settings=()
fail() { printf 'run.sh: %s\n' "$*" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
    --download) download=true; shift; continue ;;
    --robust) robust=true; shift; continue ;;
    --inner) inner=true; shift; continue ;;
    -h | --help) sed -n '2,20s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --corpus | --data | --stage | --stop-stage | --jobs | --configs | --seeds | --folds | --tag | --set | --voices)
      [ $# -ge 2 ] || fail "$1 needs a value" ;;
    *) fail "unknown option $1 (./run.sh --help lists them)" ;;
  esac
  case $1 in
    --corpus) corpus=$2 ;;
    --data) case $2 in /*) source=$2 ;; *) source=$PWD/$2 ;; esac ;;
    --stage) stage=$2 ;;
    --stop-stage) stop_stage=$2 ;;
    --jobs) jobs=$2 ;;
    --configs) configs=$2 ;;
    --seeds) seeds=$2 ;;
    --folds) folds=$2 ;;
    --voices) voices=$2 ;;
    --tag) tag=$2 ;;
    --set) settings+=(--set "$2") ;;
  esac
  shift 2
done
for number in "$stage" "$stop_stage" ${jobs:+"$jobs"}; do
  case $number in '' | *[!0-9]* | 0) fail "--stage, --stop-stage and --jobs take whole numbers from 1, not '$number'" ;; esac
done
case $voices in '' | *[!0-9]*) fail "--voices takes a whole number, not '$voices'" ;; esac
cd "$here"
speakers="george jackson nicolas theo yweweler"
# pairs A B C...: inner/A-B inner/A-C ...
pairs() {
  while [ $# -gt 1 ]; do
    local first=$1 second; shift
    for second; do echo "inner/$first-$second"; done
  done
}
case $corpus in
  synthetic) folds=${folds:-all} configs=${configs:-"tdnn_templates all_frames dtw_fixed"} voices=0 ;;
  fsdd)
    if $inner; then folds=${folds:-$(pairs $speakers)}; fi
    folds=${folds:-$speakers}
    configs=${configs:-"tdnn_templates templates_pooled cnn_baseline dtw_fixed"}
    [ -n "$source" ] || $download || [ -e data/fsdd/.done ] ||
      fail "--corpus fsdd needs --data DIR (the corpus) or --download; see local/README.md"
    ;;
  *) fail "unknown corpus $corpus: choose synthetic or fsdd" ;;
esac
for config in $configs; do
  [ -f "conf/$config.yaml" ] || fail "there is no conf/$config.yaml; there are: $(cd conf && ls | sed 's/.yaml//' | xargs)"
done
source ../../tools/setup.sh

data=data/$corpus exp=exp/$corpus
if $inner; then exp=$exp-inner; fi
exp=$exp${tag:+-$tag}
jobs=${jobs:-$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)}
say() { printf '\n== %s\n' "$*"; }
wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }
split() { if [ "$1" = all ]; then echo "$data/$2"; else echo "$data/$1/$2"; fi; }

# Every (fold, config, seed) is one experiment, exp/CORPUS/FOLD/CONFIG/seedN (inner/A-B: A-B).
experiments() {
  for seed in $seeds; do for fold in $folds; do for config in $configs; do
    echo "$fold $config $seed $exp/${fold#inner/}/$config/seed$seed"
  done; done; done
}

# What an experiment was made with; a .done file made with something else is not believed.
made_with() {
  local others=$voices
  case $1 in dtw_*) others=0 ;; esac
  { cat "conf/$1.yaml" conf/tdnn_templates.yaml; echo "$SETTINGS $others"; } | cksum
}

# each STEP: run the function STEP on every experiment, $jobs at a time, once.
each() {
  step=$1
  export -f "$step" split made_with
  export data step voices
  SETTINGS=
  [ "${#settings[@]}" -eq 0 ] || SETTINGS=$(printf '%q ' "${settings[@]}")
  THREADS=$(((($(nproc 2>/dev/null || echo 1)) + jobs - 1) / jobs))
  export SETTINGS THREADS
  experiments | xargs -P "$jobs" -L 1 bash -c '
    set -euo pipefail
    mkdir -p "$4"
    if [ -e "$4/.done_$step" ]; then
      [ "$(cat "$4/.done_$step")" = "$(made_with "$2")" ] && exit 0
      echo "$4: was made with another conf/$2.yaml or --set: delete it, or give a --tag" >&2
      exit 255
    fi
    if ! "$step" "$@" >"$4/$step.log" 2>&1; then
      echo "$4: $step failed; the end of $4/$step.log:" >&2
      tail -n 5 "$4/$step.log" >&2
      exit 255   # xargs starts no more
    fi
    made_with "$2" >"$4/.done_$step"
    echo "  $4: ${step} done ($(tail -n 1 "$4/$step.log" | cut -c1-150))"' _
}

# The test speakers are watched while training, never selected on: hence no early stopping.
train() {
  eval "set -- \"\$@\" $SETTINGS"
  local fold=$1 config=$2 seed=$3 out=$4 more=(); shift 4
  case $voices,$config in
    0,* | *,dtw_*) ;;   # classic templates are people's recordings
    *) more=(--data "$data/voices/train") ;;
  esac
  seqebm train "conf/$config.yaml" --data "$(split "$fold" train)" ${more[@]+"${more[@]}"} --valid "$(split "$fold" test)" \
    --exp "$out" --set training.seed="$seed" --set training.threads="$THREADS" "$@" \
    --set training.patience=null
}
decode() { seqebm decode --model "$4" --data "$(split "$1" test)" --output "$4/decode"; }
score() {
  seqebm score "$4/decode" --json "$4/score.json" --confusion "$4/confusion.png" --bootstrap 2000
}
# The same under every trouble.
withstand() {
  local place name
  for place in "$(split "$1" troubles)"/*/; do
    name=$(basename "$place")
    seqebm decode --model "$4" --data "$place" --output "$4/troubles/$name"
    seqebm score "$4/troubles/$name" --json "$4/troubles/$name/score.json" --bootstrap 0
  done
}

# What an earlier version prepared has no inner folds.
if $inner && [ ! -e "$data/inner" ]; then rm -f "$data/.done"; fi
if wanted 1 && [ ! -e "$data/.done" ]; then
  say "stage 1: prepare $corpus"
  if [ "$corpus" = synthetic ]; then
    seqebm data prepare synthetic_digits "$data"
  else
    $download && options=(--set download=true) || options=(--set "source=$source")
    seqebm data prepare fsdd "$data" "${options[@]}"
  fi
  touch "$data/.done"
fi
if wanted 1 && [ "$voices" -gt 0 ] && [ "$(cat "$data/voices/.done" 2>/dev/null)" != "$voices" ]; then
  say "stage 1: $voices voices of eSpeak NG"
  rm -f "$data/voices/.done"
  seqebm data prepare synthetic_digits "$data/voices" --set "train_speakers=$voices" --set test_speakers=0
  echo "$voices" >"$data/voices/.done"
fi
if wanted 3 && [ "$voices" -gt 0 ] && [ "$(cat "$data/voices/.done" 2>/dev/null)" != "$voices" ]; then
  fail "$data/voices has other voices than --voices $voices: run stage 1"
fi
if wanted 1 && $robust; then
  for fold in $folds; do
    [ -e "$(split "$fold" troubles)/.done" ] && continue
    say "stage 1: troubles of $fold"
    seqebm data prepare troubles "$(split "$fold" troubles)" --set "source=$(split "$fold" test)"
    touch "$(split "$fold" troubles)/.done"
  done
fi
if wanted 2; then
  say "stage 2: validate"
  for fold in $folds; do
    for part in train test; do seqebm data validate "$(split "$fold" $part)"; done
    [ "$corpus" = fsdd ] && break   # the folds hold the same files
  done
fi
if wanted 3; then say "stage 3: train ($jobs at a time; progress in exp/.../train.log)"; each train; fi
if wanted 4; then say "stage 4: decode"; each decode; fi
if wanted 5; then say "stage 5: score"; each score; fi
if wanted 5 && $robust; then say "stage 5: decode and score under troubles"; each withstand; fi
if wanted 6; then
  say "stage 6: report"
  python local/report.py "$exp" --corpus "$corpus"
  first=$(experiments | head -n 1 | cut -d' ' -f4)
  fold=${folds%% *}
  wav=$(head -n 1 "$(split "$fold" test)/wav.scp" | cut -d' ' -f2-)
  case $wav in /*) ;; *) wav=$(split "$fold" test)/$wav ;; esac
  seqebm decode --model "$first" "$wav" --plot "$exp/example.png"
  echo "decode your own files: source .venv/bin/activate; seqebm decode --model recipes/digits/$first FILE.wav"
fi
echo "done in $((SECONDS - started)) s"
