# What recipes share: options, stages, and steps that are done once. Source it, do not run it.
#
# A recipe sets its defaults, calls `options "$@"`, then sources tools/setup.sh. It gets:
#   source audio download robust stage stop_stage tag configs seeds settings[]   from the command line
#                   and a variable for each name in `own_options` ("sets" for --sets VALUE);
#                   those that are also in `own_paths` are made absolute
#   wanted N        is stage N to be run?
#   once DIR STEP CMD...   run CMD, output in DIR/STEP.log; skipped if it was done before with the
#                   same command and the same configs (DIR/.done_STEP)
#   troubled MODEL DATA   decode and score DATA, and it under every trouble, in MODEL/robust; a table

fail() { printf 'run.sh: %s\n' "$*" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }
wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ]; }

options() {
  source= audio= download=false robust=false stage=1 stop_stage=${stop_stage:-9} tag= settings=()
  while [ $# -gt 0 ]; do
    case $1 in
      --download) download=true; shift; continue ;;
      --robust) robust=true; shift; continue ;;
      -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
      --data | --audio | --stage | --stop-stage | --tag | --configs | --seeds | --set)
        [ $# -ge 2 ] || fail "$1 needs a value" ;;
      --*) case " ${own_options:-} " in *" ${1#--} "*) ;; *) fail "unknown option $1 ($0 --help lists them)" ;; esac
        [ $# -ge 2 ] || fail "$1 needs a value" ;;
      *) fail "unknown option $1 ($0 --help lists them)" ;;
    esac
    case $1 in
      --data) case $2 in /*) source=$2 ;; *) source=$PWD/$2 ;; esac ;;
      --audio) case $2 in /*) audio=$2 ;; *) audio=$PWD/$2 ;; esac ;;
      --stage) stage=$2 ;;
      --stop-stage) stop_stage=$2 ;;
      --tag) tag=$2 ;;
      --configs) configs=$2 ;;
      --seeds) seeds=$2 ;;
      --set) settings+=(--set "$2") ;;
      *)
        local value=$2
        case " ${own_paths:-} " in *" ${1#--} "*) case $value in /*) ;; *) value=$PWD/$value ;; esac ;; esac
        printf -v "${1#--}" '%s' "$value" ;;
    esac
    shift 2
  done
  for number in "$stage" "$stop_stage"; do
    case $number in '' | *[!0-9]* | 0) fail "--stage and --stop-stage take whole numbers from 1, not '$number'" ;; esac
  done
  cd "$(dirname "$0")"
  for config in ${configs//+/ }; do
    [ -f "conf/$config.yaml" ] || fail "there is no conf/$config.yaml; there are: $(cd conf && ls | sed 's/.yaml//' | xargs)"
  done
}

# prepare CORPUS: data/ by `seqebm data prepare`, once.
prepare() {
  [ -e data/.done ] && return
  local more=()
  [ -z "$audio" ] || more=(--set "audio=$audio")
  if $download; then seqebm data prepare "$1" data --set download=true
  elif [ -n "$source" ]; then
    seqebm data prepare "$1" data --set "source=$source" ${more[@]+"${more[@]}"}
  else fail "give --data DIR (the corpus) or --download; README.md says where it is published"; fi
  touch data/.done
}

# summary LOG: its word error rate if it has one, else its last line.
summary() { { grep -m 1 "^word error rate" "$1" || tail -n 1 "$1"; } | tr -s ' ' | cut -c1-150; }

# bases FILE: a config file and those it builds on.
bases() {
  echo "$1"
  local base; base=$(sed -n 's/^base: *//p' "$1")
  [ -z "$base" ] || bases "$(dirname "$1")/$base"
}

# once DIR STEP COMMAND...: run a command with its output in DIR/STEP.log, unless it has been done
# with the same arguments and configs.
once() {
  local dir=$1 step=$2 made files=() word; shift 2
  for word in "$@"; do
    case $word in conf/*.yaml) files+=($(bases "$word")) ;; esac
  done
  made=$({ echo "$*"; cat ${files[@]+"${files[@]}"} </dev/null; } | cksum)
  mkdir -p "$dir"
  if [ -e "$dir/.done_$step" ]; then
    [ "$(cat "$dir/.done_$step")" = "$made" ] && return
    fail "$dir: $step was made with other settings or another conf/: delete it, or give a --tag"
  fi
  if ! "$@" >"$dir/$step.log" 2>&1; then
    printf '%s failed; the end of %s:\n' "$step" "$dir/$step.log" >&2
    tail -n 8 "$dir/$step.log" >&2
    exit 1
  fi
  echo "$made" >"$dir/.done_$step"
  echo "  $dir: $step done ($(summary "$dir/$step.log"))"
}

# troubled MODEL DATA: decode and score DATA as it is and under each trouble, made once beside it.
troubled() {
  local model=$1 data=$2 place name
  once "$data-troubles" prepare seqebm data prepare troubles "$data-troubles" --set "source=$data"
  for place in "$data" "$data-troubles"/*/; do
    name=clean
    [ "$place" = "$data" ] || name=$(basename "$place")
    once "$model/robust/$name" decode seqebm decode --model "$model" --data "$place" \
      --output "$model/robust/$name"
    once "$model/robust/$name" score seqebm score "$model/robust/$name" \
      --json "$model/robust/$name/score.json" --bootstrap 0
  done
  python ../troubles.py "$model"
}
