#!/bin/sh
# A column of texts through the program: to a measured model and its answers, and what is refused.
. tests/cli/lib.sh
cd "$work" || exit 1

{
    echo 'review,stars,tongue'
    i=0
    while [ $i -lt 20 ]; do
        i=$((i + 1))
        echo "\"the house, and $i\",$i,en"
        echo "das Haus und $i,$i,de"
    done
} >r.csv
small="--set table.epochs=15 --set train.batch=8 --set table.text_length=24 --set model.trunk.n_layer=1 --set model.trunk.n_embd=16 --threads 1"
# shellcheck disable=SC2086 # options
run 0 "$ARTEL" train r.csv --label tongue --text review -o run -q $small --set train.lr=1e-2 --set losses.mutual_distillation=0.1
prints "\`tongue\` of 8 rows held back: 100.00 % right"
check "its length is the model's" grep -q '"text":	*24' run/model/config.json
run 0 "$ARTEL" eval run/model --data r.csv --json
prints '"rows":8,'
printf 'review\n"and the house"\nund das Haus\n' >new.csv
run 0 "$ARTEL" predict run/model new.csv
check "a line a text" test "$(wc -l <.out)" -eq 3
run 0 "$ARTEL" train r.csv --label tongue --text review --print-config
prints "arch: text_classifier"
prints "arch: moduleformer"
prints "text_length: 256"
run 0 "$ARTEL" train r.csv --label tongue --text review --print-config --set model.trunk.arch=gpt2
prints "arch: gpt2"
run 1 "$ARTEL" train r.csv --label tongue --text tongue -o no
says "r.csv: table.text: column \`tongue\` is what is predicted"
run 2 "$ARTEL" train r.csv --label tongue --text revue -o no
says "no column \`revue\`, did you mean \`review\`?"
printf 'stars\n1\n' >none.csv
run 1 "$ARTEL" predict run/model none.csv
says "none.csv: no column \`review\`, which the model reads"
run 2 "$ARTEL" probe run/model --data r.csv
check "nothing is left behind" test ! -e no
done_testing
