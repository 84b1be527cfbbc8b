#!/bin/sh
# From raw text to a modular language model, measured: teacher, experts distilled from it, router, composition, report.
#
#     ./demo.sh                  English, French, German and Python from Debian packages (Debian only)
#     ./demo.sh --text FOLDER    your own text: FOLDER/<domain>/ holds the files of each domain
#     ./demo.sh --quick          a few steps of everything: shows that it works, not what it can do
#     ./demo.sh --out DIR        results go to DIR instead of build/demo
#
# Needs nothing but a shell on Debian: see tools/setup.sh.  Interrupt it at any time; the next run goes on where this
# one stopped, and stages whose inputs did not change are not run again.  The recipes are in demo/.
set -eu
began=$(date +%s)
usage() { sed -n '4,7s/^# *//p' "$0" >&2; exit 2; }

text=""
quick=""
out=""
while [ $# -gt 0 ]; do
    case $1 in
    --text) [ $# -ge 2 ] || usage; text=$(cd "$2" && pwd) || exit 2; shift ;;
    --out) [ $# -ge 2 ] || usage; mkdir -p "$2"; out=$(cd "$2" && pwd); shift ;;
    --quick) quick=yes ;;
    *) usage ;;
    esac
    shift
done
cd "$(dirname "$0")"
out=${out:-build/demo}
jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
artel=${ARTEL:-build/artel}
mkdir -p "$out/log" "$out/stamp"

say() { printf 'demo: %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }
stopped() {
    say "stopped; what is done is kept, ./demo.sh goes on from here" >&2
    exit 130
}
trap stopped INT TERM HUP

# ---- stages ---------------------------------------------------------------------------------------------------------
# A stage is a command and the files that decide its result.  Its key covers the command, those files and the key of
# the stage before; a stamp with that key means the stage is done.

key=start
stage_is_done() { [ "$(cat "$out/stamp/$1" 2>/dev/null)" = "$key" ]; }

# stage NAME RESULT RECIPE COMMAND...   RESULT is removed before a fresh start; RECIPE may be "".
stage() {
    name=$1 result=$2 recipe=$3
    shift 3
    key=$({ echo "$key" "$@"; [ -z "$recipe" ] || cat "$recipe"; } | cksum | tr ' ' '-')
    if stage_is_done "$name"; then
        say "$name: done before"
        return
    fi
    started=$(date +%s)
    if [ "$(cat "$out/stamp/$name.begun" 2>/dev/null)" = "$key" ] && has_checkpoint "$result"; then
        say "$name: going on"
        set -- "$@" --resume
    else
        say "$name"
        [ -z "$result" ] || rm -rf "$result"
        echo "$key" >"$out/stamp/$name.begun"
    fi
    status=0
    "$@" || status=$?
    [ "$status" -ne 130 ] || stopped
    [ "$status" -eq 0 ] || fail "$name failed (exit $status): $*"
    echo "$key" >"$out/stamp/$name"
    rm -f "$out/stamp/$name.begun"
    say "$name: $(($(date +%s) - started)) s"
}
has_checkpoint() { [ -n "$1" ] && [ -n "$(ls "$1/checkpoints" 2>/dev/null)" ]; }

# ---- set-up, program, text ------------------------------------------------------------------------------------------

if [ -z "${ARTEL:-}" ]; then
    sh tools/setup.sh
    say "building (log: $out/log/build.log)"
    { cmake --preset release && cmake --build build -j "$jobs" --target artel; } >"$out/log/build.log" 2>&1 || {
        tail -n 30 "$out/log/build.log" >&2
        fail "the build failed"
    }
    say "built: $(($(date +%s) - began)) s"
fi

if [ -z "$text" ]; then
    text=$out/corpus
    stage corpus "$text" tools/corpus.sh sh tools/corpus.sh "$text"
fi
domains=""
for folder in "$text"/*/; do
    [ -d "$folder" ] || fail "$text: no folders; expected one for each domain"
    domain=$(basename "$folder")
    case $domain in
    *[!A-Za-z0-9_-]*) fail "$folder: a domain's name is made of letters, digits, - and _" ;;
    esac
    domains="$domains $domain"
done
count=$(echo "$domains" | wc -w)
[ "$count" -ge 2 ] || fail "$text: one domain; a router needs at least two"

# ---- the pipeline ---------------------------------------------------------------------------------------------------

# few STEPS: in a quick run, that many steps of a small batch.
few() { [ -z "$quick" ] || echo "--set train.steps=$1 --set train.batch=4 --set train.save_every=$1 --set train.eval_every=$1"; }
vocab=4096
[ -z "$quick" ] || vocab=512

sources=""
for d in $domains; do sources="$sources --domain $d=$text/$d"; done
stage data "$out/data" "" "$artel" data build $sources --vocab $vocab --max-diff 5 --split 0.9,0.05,0.05 -o "$out/data"

stage teacher "$out/teacher" demo/teacher.yaml \
    "$artel" train demo/teacher.yaml -o "$out/teacher" --set data.train="$out/data" $(few 12)
for d in $domains; do
    stage "expert-$d" "$out/expert-$d" demo/expert.yaml \
        "$artel" distill demo/expert.yaml -o "$out/expert-$d" --set data.train="$out/data" \
        --set "data.domains=[$d]" --set distill.teacher="$out/teacher/model" $(few 8)
done
stage dense "$out/dense" demo/dense.yaml \
    "$artel" train demo/dense.yaml -o "$out/dense" --set data.train="$out/data" $(few 16)
stage router "$out/router" "" "$artel" router train --data "$out/data" -o "$out/router"

{
    echo "mode: ple"
    echo "router: $out/router"
    echo "experts:"
    for d in $domains; do echo "  - {name: $d, model: $out/expert-$d/model}"; done
} >"$out/compose.yaml"
stage compose "$out/model" "$out/compose.yaml" "$artel" compose "$out/compose.yaml" -o "$out/model"

# ---- measuring ------------------------------------------------------------------------------------------------------

mkdir -p "$out/eval" "$out/samples"
measure() { "$artel" eval "$2" --data "$out/data" --split test --json >"$out/eval/$1.jsonl"; }
stage eval-teacher "" "" measure teacher "$out/teacher/model"
stage eval-dense "" "" measure dense "$out/dense/model"
stage eval-modular "" "" measure modular "$out/model"
for d in $domains; do stage "eval-$d" "" "" measure "expert-$d" "$out/expert-$d/model"; done
route() { "$artel" router eval "$out/router" --data "$out/data" --split test --json >"$out/eval/router.json"; }
stage eval-router "" "" route

# The beginning of a text of each domain; for one's own text, the first words of its first file.
prompt() {
    if [ "$text" = "$out/corpus" ]; then
        case $1 in
        en) echo "To open the file," ; return ;;
        fr) echo "Pour ouvrir le fichier," ; return ;;
        de) echo "Um die Datei zu öffnen," ; return ;;
        py) printf 'def read_file(path):\n' ; return ;;
        esac
    fi
    find "$text/$1" -type f | LC_ALL=C sort | sed -n 1p | xargs -I{} head -c 400 {} | tr '\n' ' ' | cut -d ' ' -f 1-4
}
sample() {
    "$artel" generate "$out/model" -p "$(prompt "$1")" -n 80 --temperature 0.7 --top-k 40 --seed 7 \
        >"$out/samples/$1.txt" 2>"$out/samples/$1.log"
}
for d in $domains; do stage "sample-$d" "" "" sample "$d"; done

stage report "$out/report.html" "" "$artel" report "$out" -o "$out/report.html"

# ---- the table ------------------------------------------------------------------------------------------------------

# value FILE DOMAIN FIELD: one number out of lines of JSON.
value() {
    sed -n "/\"domain\": *\"$2\"/s/.*\"$3\": *\([-0-9.eE+]*\).*/\1/p" "$1" | sed -n 1p
}
echo
printf '%-10s %10s %12s %12s %12s\n' domain tokens teacher expert dense
for d in $domains; do
    printf '%-10s %10d %12.2f %12.2f %12.2f\n' "$d" "$(value "$out/eval/teacher.jsonl" "$d" tokens)" \
        "$(value "$out/eval/teacher.jsonl" "$d" ppl)" "$(value "$out/eval/expert-$d.jsonl" "$d" ppl)" \
        "$(value "$out/eval/dense.jsonl" "$d" ppl)"
done
printf '%-10s %10d %12.2f %12.2f %12.2f   (expert: the composed model, routed)\n' all \
    "$(value "$out/eval/teacher.jsonl" all tokens)" "$(value "$out/eval/teacher.jsonl" all ppl)" \
    "$(value "$out/eval/modular.jsonl" all ppl)" "$(value "$out/eval/dense.jsonl" all ppl)"
echo "perplexity on the test split, lower is better"
echo
field() { sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" "$out/eval/router.json" | sed -n 1p; }
printf 'router: precision %.4f, recall %.4f, F1 %.4f\n' "$(field precision)" "$(field recall)" "$(field f1)"
for d in $domains; do
    printf '\n--- %s: %s\n' "$d" "$(grep -i expert "$out/samples/$d.log" | sed -n 1p)"
    cat "$out/samples/$d.txt"
    echo
done
say "the model is $out/model, the report $out/report.html, $(($(date +%s) - began)) s in all"
