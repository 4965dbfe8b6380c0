#!/usr/bin/env bash
# Isolated characters in pen ink: elastic templates on a TDNN or a convnet, and their baselines.
#
#   ./run.sh                               synthetic digits (drawn here; no download)
#   ./run.sh --unipen DIR --pendigits DIR  the real corpora (README.md says where they are
#                                          published), or one of them: a directory or an archive
#
# Options: --sets "1a 1b 1c pendigits"     which of them; default: all but 1c, which takes longest
#          --configs "templates_nll"       of conf/; A+B: the energies of two of them, added
#          --seeds "0 1 2"
#          --set KEY=VALUE  --tag NAME (results in exp-NAME)  --stage N  --stop-stage N
# Stages: 1 prepare  2 train  3 decode and score  4 report and pictures
# Run again to resume: finished steps leave a .done file and are skipped.
set -euo pipefail
started=$SECONDS
configs="templates_nll sdnn_nll templates_nll+sdnn_nll convnet dtw_fixed" seeds=0 stop_stage=4
own_options="sets unipen pendigits" own_paths="unipen pendigits"
sets= unipen= pendigits=
source "$(dirname "${BASH_SOURCE[0]}")/../steps.sh"
options "$@"
source ../../tools/setup.sh
exp=exp${tag:+-$tag}
if [ -z "$sets" ]; then
  [ -z "$unipen" ] || sets="1a 1b"
  [ -z "$pendigits" ] || sets="$sets pendigits"
  sets=${sets:-synthetic}
fi

# prepared SET: data/SET by `seqebm data prepare`, once.
prepared() {
  [ -e "data/$1/.done" ] && return
  case $1 in
    synthetic) seqebm data prepare synthetic_ink "data/$1" --set what=digits ;;
    pendigits)
      [ -n "$pendigits" ] || fail "the set pendigits needs --pendigits DIR; see README.md"
      seqebm data prepare pendigits "data/$1" --set "source=$pendigits" ;;
    *)
      [ -n "$unipen" ] || fail "the set $1 needs --unipen DIR; see README.md"
      seqebm data prepare unipen "data/$1" --set "source=$unipen" --set "category=$1" ;;
  esac
  touch "data/$1/.done"
}

for set in $sets; do
  if wanted 1; then
    say "stage 1: prepare $set"
    prepared "$set"
    for part in train test; do seqebm data validate "data/$set/$part"; done
  fi
  for seed in $seeds; do for config in $configs; do
    out=$exp/$set/$config/seed$seed
    case $config in
      *+*) added=(); for part in ${config//+/ }; do added+=("$exp/$set/$part/seed$seed/decode"); done ;;
      *) added=() ;;
    esac
    if wanted 2 && [ ${#added[@]} -eq 0 ]; then
      say "stage 2: $set: train $config, seed $seed (progress in $out/train.log)"
      once "$out" train seqebm train "conf/$config.yaml" --data "data/$set/train" --exp "$out" \
        --set training.seed="$seed" ${settings[@]+"${settings[@]}"}
    fi
    if wanted 3; then
      if [ ${#added[@]} -gt 0 ]; then
        once "$out" decode python local/add.py "$out/decode" "${added[@]}"
      else
        once "$out" decode seqebm decode --model "$out" --data "data/$set/test" --output "$out/decode"
      fi
      once "$out" score seqebm score "$out/decode" --json "$out/score.json" --bootstrap 2000
    fi
  done; done
done
if wanted 4; then
  say "stage 4: report"
  python local/report.py "$exp"
  for set in $sets; do
    python local/errors.py "$exp/$set/${configs%% *}/seed${seeds%% *}" "data/$set/test"
  done
fi
echo "done in $((SECONDS - started)) s"
