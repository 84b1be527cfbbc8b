#!/bin/sh
# Many small mixtures on tables, by artel and by PyTorch: bench/peers/run.sh --peer mode comes here.
#
#     PYTHON=... ARTEL=... bench/peers/mode.sh ROUNDS JOBS
#
# 20 runs: digits and letter (tools/tables.sh), 5 seeds each, with and without mutual distillation; 4 experts, dense gates, batches
# of 32, constant learning rate, Adam, a validation an epoch.  So many JOBS side by side, one thread each.  artel's time is
# that of whole processes, `artel train` from the recipe to the report; PyTorch's is training alone (torch_mode.py).
set -eu
rounds=$1
jobs=$2
python=${PYTHON:-python3}
artel=${ARTEL:-build/artel}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

tables=${XDG_CACHE_HOME:-$HOME/.cache}/artel/tables
sh tools/tables.sh -o "$tables" digits letter >/dev/null
mkdir "$work/data"
# name, file, label, hidden units, epochs, rows to learn from
for set in "digits digits.csv.gz c65 32 60 300" "letter letter.rda lettr 64 40 2000"; do
    # shellcheck disable=SC2086
    set -- $set
    for seed in 1 2 3 4 5; do
        for alpha in 0 0.1; do
            echo "$1-$alpha-$seed" "--set data.train=$tables/$2 --set table.label=$3 --set model.hidden_size=$4" \
                "--set table.epochs=$5 --set table.rows=$6 --set losses.mutual_distillation=$alpha --set seed=$seed"
            printf '{"hidden": %s, "lr": 0.001, "epochs": %s, "alpha": %s, "seed": %s, "experts": 4, "batch": 32}\n' \
                "$4" "$5" "$alpha" "$seed" >"$work/data/$1-$alpha-$seed.json"
        done
    done
done >"$work/runs"

all() {
    rm -rf "$work/out"
    # shellcheck disable=SC2016
    xargs -P "$jobs" -L 1 sh -c 'name=$1; shift; exec "$0" train bench/peers/mode.yaml -q --threads 1 -o "$OUT/$name" "$@"' "$artel" \
        <"$work/runs" >/dev/null
}
export OUT="$work/out"
all # once for what PyTorch is to learn from
while read -r name rest; do
    file=$(echo "$rest" | sed 's/.*data.train=\([^ ]*\).*/\1/')
    "$artel" predict "$work/out/$name/model" "$file" --inputs -q >"$work/data/$name.csv"
done <"$work/runs"

accuracy() {
    for set in digits letter; do
        cat "$work/out/$set"-*/result.json | sed -n 's/.*"accuracy":[^0-9]*\([0-9.]*\).*/\1/p' |
            awk -v set=$set '{ s += $1 } END { printf "\"%s\": %.4f", set, s / NR }'
        [ $set = letter ] || printf ', '
    done
}
seconds() { date +%s.%N; }
round=0
while [ $round -lt "$rounds" ]; do
    began=$(seconds)
    all
    ended=$(seconds)
    printf 'A {"name": "artel", "runs": %d, "jobs": %d, "seconds": %s, "accuracy": {%s}}\n' "$(wc -l <"$work/runs")" "$jobs" \
        "$(awk -v a="$began" -v b="$ended" 'BEGIN { printf "%.3f", b - a }')" "$(accuracy)"
    "$python" bench/peers/torch_mode.py --data "$work/data" --jobs "$jobs" | sed 's/^/B /'
    round=$((round + 1))
done | tee "$work/results"
"$python" - "$work/results" <<'PY'
import json, statistics, sys
took, name = {"A": [], "B": []}, ""
for line in open(sys.argv[1]):
    result = json.loads(line[2:])
    took[line[0]].append(result["seconds"])
    name = result["name"]
a, b = (statistics.median(took[k]) for k in "AB")
print(f"artel {a:.2f} s, {name} {b:.2f} s, ratio {b / a:.2f} (medians of {len(took['A'])})")
PY
