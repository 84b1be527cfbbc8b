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
# A stage is a command and the files that decide its result.  Its key covers the command, those files, the program and
# the key of the stage before; a stamp with that key means the stage is done.  Same key, same bytes: a result that was
# removed is made again without touching what rests on it.

key=start
stage_is_done() { [ "$(cat "$out/stamp/$1" 2>/dev/null)" = "$key" ] && { [ -z "$2" ] || [ -e "$2" ]; }; }

# stage NAME RESULT RECIPE COMMAND...   RESULT is removed before a fresh start; RECIPE may be "".
stage() {
    name=$1 result=$2 recipe=$3
    shift 3
    key=$({ echo "$key" "$@"; [ -z "$recipe" ] || cat "$recipe"; } | cksum | tr ' ' '-')
    if stage_is_done "$name" "$result"; then
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
    stage corpus "" tools/corpus.sh sh tools/corpus.sh "$text"
fi
key=$key-$(cksum <"$artel" | tr ' ' '-')
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
stage router "$out/router" "" "$artel" router train "$out/data" -o "$out/router"

{
    echo "mode: ple"
    echo "router: $out/router"
    echo "experts:"
    for d in $domains; do echo "  - {name: $d, model: $out/expert-$d/model}"; done
} >"$out/compose.yaml"
stage compose "$out/model" "$out/compose.yaml" "$artel" compose "$out/compose.yaml" -o "$out/model"

# ---- measuring ------------------------------------------------------------------------------------------------------

mkdir -p "$out/eval" "$out/samples"
windows=200
[ -z "$quick" ] || windows=8
measure() { "$artel" eval "$2" --data "$out/data" --split test --windows $windows --json >"$out/eval/$1.jsonl"; }
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
        python) printf 'def read_file(path):\n' ; return ;;
        esac
    fi
    first=$(find "$text/$1" -type f | LC_ALL=C sort | sed -n 1p)
    head -c 400 "$first" | tr -s '[:space:]' ' ' | cut -d ' ' -f 1-4
}
sample() {
    "$artel" generate "$out/model" -p "$(prompt "$1")" -n 80 --temperature 0.7 --top-k 40 --seed 7 \
        >"$out/samples/$1.txt" 2>"$out/samples/$1.log"
}
for d in $domains; do stage "sample-$d" "" "" sample "$d"; done

# ---- the report -----------------------------------------------------------------------------------------------------

# value FILE DOMAIN FIELD, field FILE FIELD: one number out of lines of JSON.
value() { sed -n "/\"domain\": *\"$2\"/s/.*\"$3\": *\([-0-9.eE+]*\).*/\1/p" "$1" | sed -n 1p; }
# (before the first list of the line: what stands in lists has fields of the same names)
field() { sed -n "s/^[^[]*\"$2\": *\([-0-9.eE+]*\).*/\1/p" "$1" | sed -n 1p; }
# Standard input as a JSON string; control characters other than line ends become spaces.
quoted() {
    printf '"'
    tr '\000-\011\013-\037' ' ' | tr '\n' '\001' | sed 's/[\\"]/\\&/g' | tr '\001' '\n' |
        awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }'
    printf '"'
}

# The line of each expert for its own domain.
for d in $domains; do grep "\"domain\": *\"$d\"" "$out/eval/expert-$d.jsonl"; done >"$out/eval/experts.jsonl"

curve() { printf '{"name": "%s", "metrics": "%s/metrics.jsonl", "x": "tokens", "y": "%s"%s}' "$@"; }
training_chart() { # of the distillation, the part that is the text's own
    printf '{"title": "Training loss", "x": "tokens", "y": "nats a token", "series": [\n  '
    curve teacher teacher loss ', "smooth": true'
    printf ',\n  '
    curve dense dense loss ', "smooth": true'
    for d in $domains; do
        printf ',\n  '
        curve "expert $d" "expert-$d" ce ', "smooth": true'
    done
    printf ']}'
}
validation_chart() { # DOMAIN
    printf '{"title": "Validation loss, %s", "x": "tokens", "y": "nats a token", "series": [\n  ' "$1"
    curve teacher teacher val_loss ', "domain": "'"$1"'"'
    printf ',\n  '
    curve dense dense val_loss ', "domain": "'"$1"'"'
    printf ',\n  '
    curve "expert $1" "expert-$1" val_loss ', "domain": "'"$1"'"'
    printf ']}'
}
comparison() { # the perplexities, as a table or as bars
    cat <<END
"title": "Perplexity on the test split", "key": "domain", "from": [
  {"title": "teacher", "file": "eval/teacher.jsonl", "field": "ppl"},
  {"title": "expert of the domain", "file": "eval/experts.jsonl", "field": "ppl"},
  {"title": "composed model, routed", "file": "eval/modular.jsonl", "field": "ppl"},
  {"title": "one dense student", "file": "eval/dense.jsonl", "field": "ppl"}]
END
}
describe() {
    cat <<END
{"title": "A modular language model", "subtitle": "Experts: $(echo $domains | tr ' ' ',')",
 "sections": [
 {"heading": "In short",
  "text": "A teacher was trained on every domain. One small expert for each domain was distilled from it. A router reads a text and picks the expert that continues it. The dense student has the size of one expert and was trained on every domain, for as many steps as all experts together.",
  "figures": {"perplexity, composed": $(value "$out/eval/modular.jsonl" all ppl),
              "perplexity, dense": $(value "$out/eval/dense.jsonl" all ppl),
              "perplexity, teacher": $(value "$out/eval/teacher.jsonl" all ppl),
              "router F1": $(field "$out/eval/router.json" f1)}},
 {"heading": "Perplexity", "bars": {$(comparison), "label": "perplexity, lower is better"}, "table": {$(comparison)}},
 {"heading": "Training", "chart": $(training_chart)},
$(for d in $domains; do printf ' {"chart": %s},\n' "$(validation_chart "$d")"; done)
 {"heading": "Router", "text": "Rows are the domain a sequence is from, columns the domain the router said.",
  "confusion": {"title": "Test split", "file": "eval/router.json"}},
 {"heading": "Samples", "samples": [
END
    comma=""
    for d in $domains; do
        printf '%s  {"label": %s, "prompt": %s, "file": "samples/%s.txt"}\n' "$comma" \
            "$(who "$d" | quoted)" "$(prompt "$d" | quoted)" "$d"
        comma=","
    done
    printf ' ]}]}\n'
}
who() { printf '%s: %s\n' "$1" "$(grep -a -i expert "$out/samples/$1.log" | sed -n 1p)"; }
report() {
    describe >"$out/report.json"
    "$artel" report "$out/report.json" -o "$out/report.html"
}
stage report "$out/report.html" "" report

# ---- the table ------------------------------------------------------------------------------------------------------

echo
printf '%-10s %10s %12s %12s %12s\n' domain tokens teacher expert dense
for d in $domains; do
    printf '%-10s %10d %12.2f %12.2f %12.2f\n' "$d" "$(value "$out/eval/teacher.jsonl" "$d" tokens)" \
        "$(value "$out/eval/teacher.jsonl" "$d" ppl)" "$(value "$out/eval/experts.jsonl" "$d" ppl)" \
        "$(value "$out/eval/dense.jsonl" "$d" ppl)"
done
printf '%-10s %10d %12.2f %12.2f %12.2f\n' all \
    "$(value "$out/eval/teacher.jsonl" all tokens)" "$(value "$out/eval/teacher.jsonl" all ppl)" \
    "$(value "$out/eval/modular.jsonl" all ppl)" "$(value "$out/eval/dense.jsonl" all ppl)"
echo "Perplexity on the test split, lower is better; \"all\" of the experts is the composed model, routed."
echo
printf 'router: precision %.4f, recall %.4f, F1 %.4f\n' "$(field "$out/eval/router.json" precision)" \
    "$(field "$out/eval/router.json" recall)" "$(field "$out/eval/router.json" f1)"
for d in $domains; do
    printf '\n--- %s\n' "$(who "$d")"
    cat "$out/samples/$d.txt"
    echo
done
echo
say "the model is $out/model, the report $out/report.html; $(($(date +%s) - began)) s"
