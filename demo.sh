#!/bin/sh
# From raw text to a modular language model, measured: teacher, experts distilled from it, router, composition, report;
# and beside them what they are measured against: one dense student, and the same without a teacher.
#
#     ./demo.sh                  English, French, German and Python from Debian packages (Debian only)
#     ./demo.sh --text FOLDER    your own text: FOLDER/<domain>/ holds the files of each domain
#     ./demo.sh --text FOLDER --newcomer FOLDER/<domain>    and the text of one more, which is added to a mixture at the end
#     ./demo.sh --quick          a few steps of everything: shows that it works, not what it can do
#     ./demo.sh --seeds N        the students N times, from other initial values: is the difference chance?
#     ./demo.sh --out DIR        results go to DIR instead of build/demo
#
# Needs nothing but a shell on Debian: see tools/setup.sh.  Interrupt it at any time; the next run goes on where this
# one stopped, and stages whose inputs did not change are not run again.  The recipes are in demo/.
set -eu
began=$(date +%s)
usage() { sed -n '5,10s/^# *//p' "$0" >&2; exit 2; }

text=""
newcomer=""
quick=""
out=""
seeds=1
while [ $# -gt 0 ]; do
    case $1 in
    --text) [ $# -ge 2 ] || usage; text=$(cd "$2" && pwd) || exit 2; shift ;;
    --newcomer) [ $# -ge 2 ] || usage; newcomer=$(cd "$2" && pwd) || exit 2; shift ;;
    --out) [ $# -ge 2 ] || usage; mkdir -p "$2"; out=$(cd "$2" && pwd); shift ;;
    --seeds) [ $# -ge 2 ] || usage; seeds=$2; shift ;;
    --quick) quick=yes ;;
    *) usage ;;
    esac
    shift
done
case $seeds in [1-9]) ;; *) usage ;; esac
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

# ---- how much, and how long -------------------------------------------------------------------------------------------

vocab=2048
[ -z "$quick" ] || vocab=512
steps_of() { sed -n 's/.*steps: *\([0-9]*\).*/\1/p' "$1"; }
teacher_steps=$(steps_of demo/teacher.yaml)
student_steps=$(steps_of demo/student.yaml)
expert_steps=$(steps_of demo/expert.yaml)
life_steps=$(steps_of demo/life.yaml)
newcomer_steps=$(steps_of demo/newcomer.yaml)
review_steps=$(sed -n 's/.*review: *\([0-9]*\).*/\1/p' demo/newcomer.yaml)
[ -z "$quick" ] || { teacher_steps=12 student_steps=8 expert_steps=8 life_steps=8 newcomer_steps=8 review_steps=1; }
program=$(cksum <"$artel" | tr ' ' '-')
before() { [ "$program" = "$(cat "$out/stamp/program" 2>/dev/null)" ] && [ -f "$out/stamp/$1" ]; }
rate() { # RECIPE: tokens/s, measured
    "$artel" bench step "$1" --steps 20 --set model.vocab_size=$vocab --json -q |
        sed -n 's/.*"tokens_per_s": *\([0-9.]*\).*/\1/p'
}
estimate() { # DOMAINS...
    all=$(($# * expert_steps))
    t=0 taught=0 plain=0
    before teacher || t=$teacher_steps
    for suffix in $(seq -f '-%g' 7 $((6 + seeds))); do
        [ "$suffix" != -7 ] || suffix=""
        before "student$suffix" || taught=$((taught + student_steps))
        before "student-alone$suffix" || plain=$((plain + student_steps))
        before "dense-taught$suffix" || taught=$((taught + all))
        before "dense$suffix" || plain=$((plain + all))
        for d in "$@"; do
            before "expert$suffix-$d" || taught=$((taught + expert_steps))
            before "alone$suffix-$d" || plain=$((plain + expert_steps))
        done
    done
    # A step with a teacher adds the teacher's forward pass, a third of its own step.  The rest (data, measuring, samples)
    # is worth about 3000 steps of a student, the mixture and its newcomer about 2500; text from the network is counted as
    # 30 s.
    awk -v teacher="$(rate demo/teacher.yaml)" -v student="$(rate demo/student-alone.yaml)" \
        -v t=$t -v taught=$taught -v plain=$plain -v fetch="$([ -n "$text" ] || [ -f "$out/stamp/corpus" ] || echo 30)" 'BEGIN {
        if (!teacher || !student) {
            print "how long this takes could not be measured"
            exit
        }
        tokens = 4 * 128
        train = tokens * (t / teacher + (taught + plain) / student + taught / (3 * teacher))
        whole = train + tokens * 5500 / student + fetch
        printf "a student trains at %.0f tokens/s here, the teacher at %.0f: ", student, teacher
        printf "about %.0f min from here, %.0f of them training", whole / 60 + 0.5, train / 60 + 0.5
    }'
}
folders="de en fr python"
[ -z "$text" ] || folders=$(ls "$text")
# shellcheck disable=SC2086
say "$(estimate $folders)"
echo "$program" >"$out/stamp/program"

if [ -z "$text" ]; then
    text=$out/corpus
    key=$key-$(cat tools/*_text.awk tools/translated_lines.awk | cksum | tr ' ' '-')
    stage corpus "$text" tools/corpus.sh sh tools/corpus.sh "$text"
    stage corpus-es "$out/newcomer" tools/corpus_languages.sh \
        sh tools/corpus.sh --languages es --sources descriptions,man -o "$out/newcomer"
    newcomer=$out/newcomer/es
fi
key=$key-$program
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

dense_steps=$((count * expert_steps)) # a dense student learns as long as all the experts together

# lessons STEPS SEED: how long and from which initial values; in a quick run of small batches.
lessons() {
    echo "--set train.steps=$1 --set seed=$2"
    [ -z "$quick" ] || echo "--set train.batch=4 --set train.save_every=$1 --set train.eval_every=$1"
}

sources=""
for d in $domains; do sources="$sources --domain $d=$text/$d"; done
stage data "$out/data" "" "$artel" data build $sources --vocab $vocab --max-diff 5 --split 0.9,0.05,0.05 -o "$out/data"
stage router "$out/router" "" "$artel" router train "$out/data" -o "$out/router"
stage teacher "$out/teacher" demo/teacher.yaml \
    "$artel" train demo/teacher.yaml -o "$out/teacher" --set data.train="$out/data" $(lessons $teacher_steps 7)

# One run of a student: with the teacher, or from text alone.
taught() { # NAME RECIPE STEPS SEED SET...
    run=$1 recipe=$2 steps=$3 seed=$4
    shift 4
    stage "$run" "$out/$run" "$recipe" "$artel" distill "$recipe" -o "$out/$run" --set data.train="$out/data" \
        --set distill.teacher="$out/teacher/model" $(lessons $steps $seed) "$@"
}
alone() {
    run=$1 recipe=$2 steps=$3 seed=$4
    shift 4
    stage "$run" "$out/$run" "$recipe" "$artel" train "$recipe" -o "$out/$run" --set data.train="$out/data" \
        $(lessons $steps $seed) "$@"
}
composition() { # FOLDER PREFIX: the experts PREFIX-<domain> behind the router
    {
        echo "mode: ple"
        echo "router: $out/router"
        echo "experts:"
        for d in $domains; do echo "  - {name: $d, model: $out/$2-$d/model}"; done
    } >"$out/$1.yaml"
    stage "$1" "$out/$1" "$out/$1.yaml" "$artel" compose "$out/$1.yaml" -o "$out/$1"
}
# Dense and experts go on from one beginning, with other text than there.  Names of further seeds end in the seed.
students() { # SEED SUFFIX
    on=$(($1 + 100))
    taught "student$2" demo/student.yaml $student_steps $1
    start="init=$out/student$2/model"
    for d in $domains; do
        taught "expert$2-$d" demo/expert.yaml $expert_steps $on --set "$start" --set "data.domains=[$d]"
    done
    taught "dense-taught$2" demo/expert.yaml $dense_steps $on --set "$start"
    alone "student-alone$2" demo/student-alone.yaml $student_steps $1
    start="init=$out/student-alone$2/model"
    for d in $domains; do
        alone "alone$2-$d" demo/expert-alone.yaml $expert_steps $on --set "$start" --set "data.domains=[$d]"
    done
    alone "dense$2" demo/expert-alone.yaml $dense_steps $on --set "$start"
    composition "model$2" "expert$2"
    composition "model-alone$2" "alone$2"
}
students 7 ""

# ---- measuring ------------------------------------------------------------------------------------------------------

# Every model on the same tokens: those after the first $route_on of a window, which only the router reads.
mkdir -p "$out/eval" "$out/samples"
windows=200
route_on=32
[ -z "$quick" ] || windows=8
measure() {
    "$artel" eval "$2" --data "$out/data" --split test --windows $windows --route-on $route_on --usage --json \
        >"$out/eval/$1.jsonl"
}
evaluations() { # SUFFIX
    stage "eval-dense$1" "" "" measure "dense$1" "$out/dense$1/model"
    stage "eval-dense-taught$1" "" "" measure "dense-taught$1" "$out/dense-taught$1/model"
    stage "eval-alone$1" "" "" measure "alone$1" "$out/model-alone$1"
    stage "eval-experts$1" "" "" measure "experts$1" "$out/model$1"
}
stage eval-teacher "" "" measure teacher "$out/teacher/model"
evaluations ""
route() { "$artel" router eval "$out/router" --data "$out/data" --split "$1" --json >"$out/eval/router-$1.json"; }
stage eval-router-test "" "" route test
stage eval-router-validation "" "" route validation

# The beginning of a text of each domain; for one's own text, the first words of its first file.
prompt() {
    if [ "$text" = "$out/corpus" ]; then
        case $1 in
        en) echo "This package contains" ; return ;;
        fr) echo "Ce paquet fournit" ; return ;;
        de) echo "Dieses Paket enthält" ; return ;;
        python) printf 'def read_file(path):\n' ; return ;;
        esac
    fi
    first=$(find "$text/$1" -type f | LC_ALL=C sort | sed -n 1p)
    head -c 400 "$first" | tr -s '[:space:]' ' ' | cut -d ' ' -f 1-4
}
temperatures="0.3 0.8 1.0"
samples=6 # of each domain at each temperature; the first is shown, all are counted
[ -z "$quick" ] || samples=1
sample() { # DOMAIN
    groups=""
    for t in $temperatures; do
        k=1
        while [ $k -le $samples ]; do
            "$artel" generate "$out/model" -p "$(prompt "$1")" -n 100 --temperature "$t" --seed "$k" \
                >"$out/samples/$1-$t-$k.txt" 2>"$out/samples/$1-$t-$k.log" || return
            k=$((k + 1))
        done
        groups="$groups group=$t $(ls "$out/samples/$1-$t"-*.txt)"
    done
    # shellcheck disable=SC2086
    find "$text/$1" -type f -exec cat {} + | LC_ALL=C awk -f tools/fluency.awk - $groups >"$out/samples/$1.fluency"
}
for d in $domains; do stage "sample-$d" "" tools/fluency.awk sample "$d"; done

k=2
while [ $k -le "$seeds" ]; do
    students $((k + 6)) "-$((k + 6))"
    evaluations "-$((k + 6))"
    k=$((k + 1))
done

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

# f1 SPLIT LENGTH: of the router, for texts of so many tokens.
f1() {
    sed 's/.*"per_length": *\[//' "$out/eval/router-$1.json" | tr '}' '\n' |
        sed -n "s/.*\"length\": *$2,.*\"f1\": *\([0-9.]*\).*/\1/p"
}
lengths="8 16 32 128"
# last FIELD RUN...: the sum over runs of the last such number in their metrics.
last() {
    what=$1
    shift
    for run in "$@"; do sed -n "s/.*\"$what\": *\([0-9.]*\).*/\1/p" "$out/$run/metrics.jsonl" | tail -n 1; done |
        awk '{ sum += $1 } END { printf "%.0f", sum }'
}
runs_of() { # ARM: the runs that it took
    case $1 in
    experts) echo student; for d in $domains; do echo "expert-$d"; done ;;
    alone) echo student-alone; for d in $domains; do echo "alone-$d"; done ;;
    dense) echo student-alone dense ;;
    dense-taught) echo student dense-taught ;;
    *) echo "$1" ;;
    esac
}
arms="teacher dense dense-taught alone experts"
title() {
    case $1 in
    teacher) echo "the teacher" ;;
    dense) echo "dense, no teacher" ;;
    dense-taught) echo "dense, teacher" ;;
    alone) echo "experts, no teacher" ;;
    experts) echo "experts, teacher" ;;
    esac
}
ppl() { value "$out/eval/$1.jsonl" "${2:-all}" ppl; }
# less A B: by how many percent the perplexity of B is lower than that of A.
less() { awk -v a="$(ppl "$1")" -v b="$(ppl "$2")" 'BEGIN { printf "%.1f", 100 * (a - b) / a }'; }
verdict() {
    awk -v with="$(less dense-taught experts)" -v without="$(less dense alone)" -v teacher="$(less dense dense-taught)" 'BEGIN {
        printf "What the teacher earns a dense student: %s %% of perplexity.  ", teacher
        printf "What experts earn beside a dense student: %s %% without a teacher, %s %% with the teacher on both sides", without, with
        print (with >= 1 ? "." : with > -1 ? ": nothing that could not be chance." : ": with it they lose.")
    }'
}

curve() { printf '{"name": "%s", "metrics": "%s/metrics.jsonl", "x": "tokens", "y": "%s"%s}' "$@"; }
training_chart() { # of the distillation, the part that is the text's own
    printf '{"title": "Training loss", "x": "tokens", "y": "nats a token", "series": [\n  '
    curve teacher teacher loss ', "smooth": true'
    printf ',\n  '
    curve "dense, no teacher" dense loss ', "smooth": true'
    printf ',\n  '
    curve "dense, teacher" dense-taught ce ', "smooth": true'
    for d in $domains; do
        printf ',\n  '
        curve "expert $d" "expert-$d" ce ', "smooth": true'
    done
    printf ']}'
}
comparison() { # the perplexities, as a table or as bars
    printf '"title": "Perplexity on the test split", "key": "domain", "from": ['
    comma=""
    for arm in $arms; do
        printf '%s\n  {"title": "%s", "file": "eval/%s.jsonl", "field": "ppl"}' "$comma" "$(title $arm)" $arm
        comma=","
    done
    printf ']'
}
cost_table() {
    printf '{"title": "What each cost", "columns": ["", "tokens trained on", "seconds"], "rows": ['
    comma=""
    for arm in $arms; do
        # shellcheck disable=SC2046
        printf '%s\n  ["%s", %s, %s]' "$comma" "$(title $arm)" "$(last tokens $(runs_of $arm))" \
            "$(last wall $(runs_of $arm))"
        comma=","
    done
    printf ']}'
}
router_table() {
    printf '{"title": "F1 of the router by length", "columns": ["tokens", "test", "validation"], "rows": ['
    comma=""
    for n in $lengths; do
        test_f1=$(f1 test $n) validation_f1=$(f1 validation $n)
        [ -n "$test_f1" ] && [ -n "$validation_f1" ] || continue
        printf '%s["%s", "%.4f", "%.4f"]' "$comma" $n "$test_f1" "$validation_f1"
        comma=", "
    done
    printf ']}'
}
fluency() { for d in $domains; do sed "s/^/$d /" "$out/samples/$d.fluency"; done; }
fluency_table() {
    printf '{"title": "Texts of 100 tokens, %s of each kind", "columns": ["domain", "temperature", ' $samples
    printf '"four words said before, %%", "words the domain does not know, %%"], "rows": ['
    fluency | awk '{ printf "%s\n  [\"%s\", \"%s\", \"%s\", \"%s\"]", (NR > 1 ? "," : ""), $1, $2, $3, $4 }'
    printf ']}'
}
explanation() {
    cat <<END | quoted
A teacher was trained on every domain. Students are smaller models, made in four ways. With a teacher (half of the loss is the text's, half the distance to the teacher) or from text alone, a student begins on every domain. From there the dense student goes on with every domain, and the experts go on with one domain each and are composed behind a router, which picks one of them for a text; for a token that is the work of one student. All the experts together read as many tokens as the dense student, so all four columns read as many.

Perplexity is measured on windows of 128 tokens of the test split. The router reads the first $route_on tokens of a window; those are scored for no model, only what follows. $(verdict)
END
}
describe() {
    cat <<END
{"title": "A modular language model", "subtitle": "Experts: $(echo $domains | sed 's/ /, /g')",
 "sections": [
 {"heading": "In short", "text": $(explanation),
  "figures": {"perplexity, experts with teacher": $(ppl experts),
              "perplexity, dense with teacher": $(ppl dense-taught),
              "perplexity, experts without": $(ppl alone),
              "perplexity, dense without": $(ppl dense),
              "perplexity, teacher": $(ppl teacher)}},
 {"heading": "Perplexity", "bars": {$(comparison), "label": "perplexity, lower is better"}, "table": {$(comparison)}},
 {"heading": "Cost", "text": "What a teacher costs comes on top of the students that have one.", "table": $(cost_table)},
$([ "$seeds" -eq 1 ] || printf ' {"heading": "Seeds", "table": %s},\n' "$(seeds_table)")
 {"heading": "Training", "chart": $(training_chart)},
 {"heading": "Router", "text": "A short text is harder to place than a long one. The confusion is of sequences of 128 tokens of the test split: rows are the domain a sequence is from, columns the domain the router said.",
  "table": $(router_table), "confusion": {"title": "Test split, 128 tokens", "file": "eval/router-test.json"}},
 {"heading": "Does it loop, does it babble", "text": "Of texts by the composed model: how many runs of four words it had said before in the same text, and how many of its words never occur in the domain's text. Default settings of artel generate but for the temperature.", "table": $(fluency_table)},
 {"heading": "Samples", "samples": [
END
    comma=""
    for d in $domains; do
        for t in $temperatures; do
            printf '%s  {"label": %s, "prompt": %s, "file": "samples/%s-%s-1.txt"}\n' "$comma" \
                "$(who "$d" "$t" | quoted)" "$(prompt "$d" | quoted)" "$d" "$t"
            comma=","
        done
    done
    printf ' ]}]}\n'
}
who() { printf '%s, temperature %s: %s\n' "$1" "$2" "$(grep -a -i expert "$out/samples/$1-$2-1.log" | sed -n 1p)"; }
suffixes() {
    echo ""
    k=2
    while [ $k -le "$seeds" ]; do echo "-$((k + 6))"; k=$((k + 1)); done
}
seed_of() { [ -n "$1" ] && echo "${1#-}" || echo 7; } # SUFFIX
seeds_table() {
    printf '{"title": "Perplexity over all domains, by seed", "columns": ["seed", "dense, no teacher", "dense, teacher", "experts, no teacher", "experts, teacher", "experts earn, with the teacher on both sides, %%"], "rows": ['
    comma=""
    suffixes | while IFS= read -r x; do
        printf '%s\n  ["%s", %.2f, %.2f, %.2f, %.2f, %s]' "$comma" "$(seed_of "$x")" "$(ppl "dense$x")" "$(ppl "dense-taught$x")" \
            "$(ppl "alone$x")" "$(ppl "experts$x")" "$(less "dense-taught$x" "experts$x")"
        comma=","
    done
    printf ']}'
}
report() {
    describe >"$out/report.json"
    "$artel" report "$out/report.json" -o "$out/report.html"
}
stage report "$out/report.html" "" report

# ---- the life of a module ---------------------------------------------------------------------------------------------

# A mixture learns a language more; what it knew stays to the bit where the new experts are left out.  They are shipped as one
# file, and dropped again.
grow() {
    rm -rf "$out/grown.run"
    "$artel" extend "$out/mixture/model" demo/newcomer.yaml -o "$out/grown" --require bit-identical --json \
        --set data.train="$out/five" --set extend.name="$new" --set extend.review="$review_steps" \
        $(lessons $newcomer_steps 7) >"$out/eval/grown.json"
}
drop() { "$artel" module drop "$out/grown" "$new" -o "$out/dropped" --certify --json >"$out/eval/dropped.json"; }
if [ -n "$newcomer" ]; then
    new=$(basename "$newcomer")
    # shellcheck disable=SC2086
    stage mixture "$out/mixture" demo/life.yaml \
        "$artel" train demo/life.yaml -o "$out/mixture" --set data.train="$out/data" $(lessons $life_steps 7)
    # shellcheck disable=SC2086
    stage five "$out/five" "" "$artel" data build $sources --domain "$new=$newcomer" --tokenizer "$out/data/tokenizer.json" \
        --max-diff 5 --split 0.9,0.05,0.05 -o "$out/five"
    stage grown "$out/grown" demo/newcomer.yaml grow
    stage shipped "$out/$new.safetensors" "" "$artel" module export "$out/grown" "$new" -o "$out/$new.safetensors"
    stage dropped "$out/dropped" "" drop
    cmp -s "$out/dropped/model.safetensors" "$out/mixture/model/model.safetensors" ||
        fail "without $new the mixture is another one than before"
fi

# ---- the table ------------------------------------------------------------------------------------------------------

echo
printf '%-10s %8s %9s %19s %19s\n' "" tokens the "dense student" "experts, routed"
printf '%-10s %8s %9s %9s %9s %9s %9s\n' domain scored teacher alone taught alone taught
for d in $domains all; do
    printf '%-10s %8d' "$d" "$(value "$out/eval/teacher.jsonl" "$d" tokens)"
    for arm in $arms; do printf ' %9.2f' "$(ppl $arm "$d")"; done
    echo
done
for what in tokens wall; do
    printf '%-19s' "$([ $what = wall ] && echo "seconds" || echo "tokens trained on")"
    for arm in $arms; do
        # shellcheck disable=SC2046
        printf ' %9d' "$(last $what $(runs_of $arm))"
    done
    echo
done
cat <<END
Perplexity on the test split, lower is better.  Taught: half of the loss is the distance to the teacher, whose cost comes
on top.  The router reads the first $route_on tokens of a window of 128; only those after them are scored, of every model.
END
verdict | fold -s -w 118
if [ "$seeds" -gt 1 ]; then
    echo
    printf '%-6s %19s %19s %s\n' "" "dense student" "experts, routed" " experts earn, with"
    printf '%-6s %9s %9s %9s %9s %s\n' seed alone taught alone taught " the teacher on both sides"
    suffixes | while IFS= read -r x; do
        printf '%-6s %9.2f %9.2f %9.2f %9.2f %8s %%\n' "$(seed_of "$x")" "$(ppl "dense$x")" "$(ppl "dense-taught$x")" \
            "$(ppl "alone$x")" "$(ppl "experts$x")" "$(less "dense-taught$x" "experts$x")"
    done
else
    echo "One seed; differences of a percent may be chance: ./demo.sh --seeds 3 goes on from here and says."
fi
echo
for n in $lengths; do
    test_f1=$(f1 test $n) validation_f1=$(f1 validation $n)
    [ -n "$test_f1" ] && [ -n "$validation_f1" ] || continue
    printf 'router, texts of %3d tokens: F1 %.4f on the test split, %.4f on validation\n' $n "$test_f1" "$validation_f1"
done
echo
printf '%-10s %11s %21s %20s\n' domain temperature "said before" "unknown words"
fluency | awk '{ printf "%-10s %11s %19s %% %18s %%\n", $1, $2, $3, $4 }'
echo "Of $samples texts of 100 tokens each: runs of four words that the same text had before, words that the domain does not have."
for d in $domains; do
    printf '\n--- %s\n' "$(who "$d" 0.8)"
    cat "$out/samples/$d-0.8-1.txt"
    echo
done
# change DOMAIN: before and after, of the losses of documents, with the new experts
change() {
    tr '{' '\n' <"$out/eval/grown.json" | sed -n "/\"domain\":\"$1\"/s/.*\"before\":\([^,]*\),\"after\":\([^,]*\),.*/\1 \2/p" |
        awk '{ printf "%.2f -> %.2f", $1, $2 }'
}
if [ -n "$newcomer" ]; then
    echo
    echo "A life: $new is added to a mixture of the other $count ($(field "$out/eval/grown.json" parameters) parameters more; the rest is frozen)."
    echo "Without the new experts every answer has the bits it had.  With them, nats a token: $new $(change "$new");"
    for d in $domains; do printf '%s %s; ' "$d" "$(change "$d")"; done
    printf '\nThe module is one file, %s, %s bytes; dropped again it leaves the mixture as it was, byte for byte.\n' \
        "$out/$new.safetensors" "$(wc -c <"$out/$new.safetensors")"
fi
echo
say "the model is $out/model, the report $out/report.html; $(($(date +%s) - began)) s"
