#!/usr/bin/env bash
# Handwritten words in pen ink: a TDNN/HMM trained on characters, then on whole words, and decoded
# freely, with an n-gram of characters and with lexica.
#
#   ./run.sh                 synthetic words (drawn here; no download)
#   ./run.sh --unipen DIR    UNIPEN, category 6 (README.md says where it is published): a directory
#                            or an archive
#
# Options: --words lower|letters      a to z only, or capitals too        --per_writer 150|all
#          --configs "global_nll"     of conf/      --seeds "0 1 2"
#          --set KEY=VALUE  --tag NAME (results in exp-NAME)  --stage N  --stop-stage N
# Stages: 1 prepare  2 characters: bootstrap, cut, train  3 words: train  4 decode and score
#         5 report and pictures
# Run again to resume: finished steps leave a .done file and are skipped.
set -euo pipefail
started=$SECONDS
configs=global_nll seeds=0 stop_stage=5
own_options="unipen words per_writer" own_paths="unipen"
unipen= words=lower per_writer=150
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh"
options "$@"
source ../../tools/setup.sh
set=synthetic
[ -z "$unipen" ] || set=$words-$per_writer
data=data/$set exp=exp${tag:+-$tag}/$set

# The training data is train_dev, so that penalties can be chosen on dev, whose writers are others.
train=$data/train_dev dev=$data/dev
if wanted 1; then
  say "stage 1: prepare $set"
  if [ ! -e "$data/.done" ]; then
    if [ -n "$unipen" ]; then
      limit=(); [ "$per_writer" = all ] || limit=(--set "per_writer=$per_writer")
      seqebm data prepare unipen "$data" --set "source=$unipen" --set category=words \
        --set "labels=$words" --set dev_share=0.12 ${limit[@]+"${limit[@]}"}
    else
      seqebm data prepare synthetic_ink "$data" --set what=words \
        --set repetitions=3 --set dev_writers=4
    fi
    capitals=(); [ "$words" = lower ] || capitals=(--capitals)
    python local/lexicon.py 25000 "$data/list" ${capitals[@]+"${capitals[@]}"}
    for size in 25 50; do
      for part in dev test; do
        python local/lexicon.py "${size}000" "$data/${size}k.$part" "$data/$part" \
          ${capitals[@]+"${capitals[@]}"} | tee -a "$data/lexica.txt"
      done
    done
    seqebm lm "$data/list" --characters --order 4 --output "$data/characters.arpa"
    touch "$data/.done"
  fi
  for part in train_dev dev test; do seqebm data validate "$data/$part"; done
fi

# trained CONFIG OUT DATA SETTINGS...: its own settings come last, so that those of the command line
# do not undo what makes it what it is ("before" has 0 epochs).
trained() {
  local config=$1 out=$2 from=$3; shift 3
  say "train $out (progress in $out/train.log)"
  once "$out" train seqebm train "conf/$config.yaml" --data "$from" --exp "$out" \
    ${settings[@]+"${settings[@]}"} --set training.seed="$seed" "$@"
}

# decoded MODEL NAME PART OPTIONS...: MODEL/PART-NAME, with its score.
decoded() {
  local model=$1 out=$1/$3-$2 part=$3; shift 3
  once "$out" decode seqebm decode --model "$model" --data "$data/$part" --output "$out" \
    --no-confidence "$@"
  once "$out" score seqebm score "$out" --json "$out/score.json" --bootstrap 2000
}

# best MODEL NAME: of those decodings of dev that are called NAME=VALUE, the VALUE of least error.
best() { python local/best.py "$1" "$2"; }

for seed in $seeds; do
  if wanted 2; then
    say "stage 2: characters, seed $seed"
    # A first segmentation, from a flat start; the characters that it cuts; a network that knows
    # these; and that network as a recogniser of words.
    trained bootstrap "$exp/bootstrap/seed$seed" "$train"
    once "$exp/bootstrap/seed$seed" cut python local/cut.py "$exp/bootstrap/seed$seed" "$train" \
      "$data/characters-$seed"
    trained characters "$exp/characters/seed$seed" "$data/characters-$seed"
    trained global_nll "$exp/before/seed$seed" "$train" --set training.epochs=0 \
      --set training.init="$exp/characters/seed$seed"
  fi
  if wanted 3; then
    say "stage 3: words, seed $seed"
    for config in $configs; do
      # Configs go on from the model that a comment names: "# from: CONFIG"; none: a flat start.
      from=$(sed -n 's/^# from: //p' "conf/$config.yaml")
      trained "$config" "$exp/$config/seed$seed" "$train" \
        ${from:+--set training.init="$exp/$from/seed$seed"}
    done
  fi
  if wanted 4; then
    say "stage 4: decode and score, seed $seed"
    for config in before $configs; do
      model=$exp/$config/seed$seed
      for penalty in -3 -1 0 1 3 6 10 15; do decoded "$model" "none=$penalty" dev --word-penalty "$penalty"; done
      free=$(best "$model" none)
      decoded "$model" none test --word-penalty "$free"
      for penalty in -4 -2 0; do
        decoded "$model" "25k=$penalty" dev --word-penalty "$penalty" --lexicon "$data/25k.dev"
      done
      lexicon=$(best "$model" 25k)
      decoded "$model" 25k test --word-penalty "$lexicon" --lexicon "$data/25k.test"
      [ "$config" != before ] || continue
      for penalty in -3 -2 -1 0; do
        decoded "$model" "ngram=$penalty" dev --word-penalty "$penalty" --lm "$data/characters.arpa"
      done
      decoded "$model" ngram test --word-penalty "$(best "$model" ngram)" --lm "$data/characters.arpa"
      decoded "$model" 50k test --word-penalty "$lexicon" --lexicon "$data/50k.test"
    done
  fi
done
if wanted 5; then
  say "stage 5: report"
  python local/report.py "$exp"
  cat "$data/lexica.txt"
fi
echo "done in $((SECONDS - started)) s"
