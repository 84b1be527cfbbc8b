#!/bin/sh
# Tables through the program: one line from a CSV to a measured model, its answers, and what is refused.
. tests/cli/lib.sh
here=$PWD
cd "$work" || exit 1

# Two numbers and a colour; the class is the sign of their product, turned over where the colour is red.
awk 'BEGIN { srand(3); print "u,v,colour,kind"
    for (i = 0; i < 300; i++) { u = rand() * 2 - 1; v = rand() * 2 - 1; red = rand() < 0.5
        printf "%.4f,%.4f,%s,\"%s\"\n", u, v, red ? "red" : "blue", (u * v > 0) != red ? "the same" : "other" } }' >"it's data.csv"

run 0 "$ARTEL" train "it's data.csv" --label kind -o run -q
prints "\`kind\` of 60 rows held back: "
prints "% right (95 % interval"
prints "always the most frequent"
prints "macro F1"
prints "said:"
prints "the same"
check "a page" grep -q "On 60 rows that were held back: kind" run/report.html
check "a result" grep -q '"confusion"' run/result.json
check "no checkpoint but the last" test "$(ls run/checkpoints | wc -l)" -eq 1

run 0 "$ARTEL" eval run/model --data "it's data.csv" --json
cp .out test.json
prints '"rows":60,'
accuracy=$(sed 's/.*"accuracy":\([0-9.]*\).*/\1/' test.json)
check "it learns ($accuracy)" awk "BEGIN { exit !($accuracy > 0.8) }"
check "what train said is what eval says" grep -q "\"accuracy\":	*$accuracy" run/result.json
run 0 "$ARTEL" eval run/model --data "it's data.csv" --split train --json
prints '"rows":180,'

run 0 "$ARTEL" predict run/model "it's data.csv" --threads 1
cp .out one.csv
check "a header" grep -qx 'kind,p(other),p(the same)' one.csv
check "a line a row" test "$(wc -l <one.csv)" -eq 301
run 0 "$ARTEL" predict run/model "it's data.csv" --threads 2
check "the same on two threads" cmp -s .out one.csv
check "probabilities" awk -F, 'NR > 1 { d = $2 + $3 - 1; if (d < -1e-5 || d > 1e-5 || ($1 == "other") != ($2 > $3)) bad = 1 } END { exit bad }' one.csv
cut -d, -f1-3 "it's data.csv" >unlabelled.csv
run 0 "$ARTEL" predict run/model unlabelled.csv
check "labels are not looked at" cmp -s .out one.csv
tail -n +2 unlabelled.csv | head -2 | sed 's/^/,/; s/red/green/; s/blue/green/' >headless.csv
printf 'colour;v;u\nblue;?;0.5\n' >other.csv
run 0 "$ARTEL" predict run/model other.csv
check "columns by name, a value missing" test "$(wc -l <.out)" -eq 2

# the recipe that it stands for; --set is above it
run 0 "$ARTEL" train "it's data.csv" --label kind --set train.lr=0.5 --set model.n_experts=2 --print-config
prints "task: classify"
prints "label: kind  # option --label"
prints "lr: 0.5  # option --set"
prints "n_experts: 2  # option --set"
prints "batch: 32  # artel train TABLE"
"$ARTEL" train "it's data.csv" --label kind --print-config | sed 's/ *#.*//' >recipe.yaml
run 0 "$ARTEL" train recipe.yaml -o again -q --threads 1
check "the recipe does the same" cmp -s run/model/model.safetensors again/model/model.safetensors
run 0 "$ARTEL" inspect run/model
prints "mlp_moe"
run 0 "$ARTEL" inspect run

# experts alone
run 0 "$ARTEL" probe run/model --data "it's data.csv"
prints "the mixture is right in"
prints "recall of the gate"
prints "fresh heads on what they compute: in their own domain"
prints "without one expert:"
prints "note: own_domain reads an expert's logits as if it answered alone"
check "no baseline, no common domains" sh -c '! grep -q "domains of the baseline" .out'
run 0 "$ARTEL" probe run/model --data "it's data.csv" --json --threads 1
check "what eval says of the mixture" grep -q "\"mixture\":$accuracy" .out
check "domains are all rows" awk -F'"rows":' '{ for (i = 3; i <= NF; i++) n += $i; exit !(n == 60) }' .out
run 0 "$ARTEL" probe run/model --data "it's data.csv" --split validation
run 0 "$ARTEL" train "it's data.csv" --label kind --set seed=9 --set table.split_seed=0 --set table.epochs=3 -o other -q
run 0 "$ARTEL" probe other/model --data "it's data.csv" --baseline run/model
prints "on the domains of the baseline"
prints "common domain"
run 0 "$ARTEL" probe run/model --data "it's data.csv" --baseline run/model --json
check "it shares all domains with itself" grep -q '"shared_domain":1[,}]' .out
check "a head for each expert" grep -q '"refit":[01]' .out
check "each expert is left out once" test "$(grep -o '"without":' .out | wc -l)" = 5
run 1 "$ARTEL" probe run/model --data "it's data.csv" --baseline nowhere
says "nowhere"
head -40 "it's data.csv" >few.csv
run 0 "$ARTEL" probe run/model --data few.csv --json
check "no heads where nothing was learnt" sh -c '! grep -q refit.: .out'
run 2 "$ARTEL" probe run/model --data "it's data.csv" --split tests
says "expected train, validation or test"
run 0 "$ARTEL" train "it's data.csv" --label kind --set model.n_experts=1 --set table.epochs=1 -o single -q
run 2 "$ARTEL" probe single/model --data "it's data.csv"
says "there are no experts that name classes"

# numbers
awk 'BEGIN { srand(4); print "a\tb\ty"; for (i = 0; i < 200; i++) { a = rand(); b = rand(); printf "%.4f\t%.4f\t%.4f\n", a, b, 5 + 3 * a - b } }' >numbers.tsv
run 0 "$ARTEL" train numbers.tsv --regress -o numbers -q
prints "\`y\` of 40 rows held back: RMSE"
run 0 "$ARTEL" predict numbers/model numbers.tsv
check "near the truth" awk -F'\t' 'NR == FNR { y[NR] = $1; next } FNR > 1 { d = y[FNR] - $3; s += d * d } END { exit !(s / FNR < 0.05) }' .out numbers.tsv

run 2 "$ARTEL" probe numbers/model --data numbers.tsv
says "there are no experts that name classes"

# what it reads, and which rows were for what
run 0 "$ARTEL" predict run/model "it's data.csv" --inputs
cp .out inputs.csv
check "names" test "$(head -1 inputs.csv)" = "part,kind,u,v,colour=blue,colour=red"
check "parts" awk -F, 'NR > 1 { n[$1]++ } END { exit !(n["train"] == 180 && n["validation"] == 60 && n["test"] == 60) }' inputs.csv
check "labels in their order" awk -F, 'NR == FNR { gsub(/"/, "", $4); y[NR] = $4; next } $2 != y[FNR] { bad = 1 } END { exit bad }' \
    "it's data.csv" inputs.csv
check "training rows are standardised" awk -F, '$1 == "train" { s += $3; q += $3 * $3 } END { exit !(s * s < 1e-4 && q > 179.9 && q < 180.1) }' inputs.csv
check "a category" awk -F, 'NR > 1 && $5 + $6 != 1 { bad = 1 } END { exit bad }' inputs.csv
"$ARTEL" predict run/model "it's data.csv" >.said
check "test rows are those of eval" awk -F, -v wanted="$accuracy" 'NR == FNR { said[NR] = $1; next } $1 == "test" { right += $2 == said[FNR] }
    END { d = right / 60 - wanted; exit !(d * d < 1e-6) }' .said inputs.csv
(echo "u,v,colour,kind"; echo "0.5,?,red,other") >strange.csv
run 0 "$ARTEL" predict run/model strange.csv --inputs
check "rows of another file have no part" grep -q '^,other,[0-9.]*,0,0,1$' .out
run 1 "$ARTEL" predict run/model unlabelled.csv --inputs
says "unlabelled.csv: no column \`kind\`, which the model predicts"

# an ensemble with matrices in common
run 0 "$ARTEL" train "it's data.csv" --label kind --set model.arch=tabm --set model.n_members=8 -o tabm -q
prints "% right (95 % interval"
accuracy=$(sed -n 's/.*"accuracy":[^0-9]*\([0-9.]*\).*/\1/p' tabm/result.json | head -1)
check "it learns ($accuracy)" awk "BEGIN { exit !($accuracy > 0.8) }"
run 0 "$ARTEL" predict tabm/model "it's data.csv"
check "probabilities" awk -F, 'NR > 1 { d = $2 + $3 - 1; if (d < -1e-5 || d > 1e-5) bad = 1 } END { exit bad }' .out
run 0 "$ARTEL" train numbers.tsv --regress --set model.arch=tabm --set model.n_members=4 -o tabm-numbers -q
prints "held back: RMSE"
run 2 "$ARTEL" probe tabm/model --data "it's data.csv"
says "there are no experts that name classes"

# a data frame of several; the model knows which
frames=$here/fuzz/corpus/fuzz_table/frames.rda
run 0 "$ARTEL" train "$frames" --label y --set table.frame=small --set table.epochs=2 -o frame -q
prints "\`y\` of 2 rows held back"
run 0 "$ARTEL" eval frame/model --data "$frames" --split train --json
prints '"rows":4,'
run 0 "$ARTEL" predict frame/model "$frames"
check "a line a row" test "$(wc -l <.out)" -eq 9
run 2 "$ARTEL" train "$frames" --label y -o no
says "several data frames, table.frame says which: it has cars, small"
run 2 "$ARTEL" train "it's data.csv" --label kind --set table.frame=kind -o no
says "it's data.csv: a data frame \`kind\` of R is asked for, and this is none"

# what is refused
run 2 "$ARTEL" train "it's data.csv" --label kinds -o no
says "it's data.csv: no column \`kinds\`, did you mean \`kind\`?"
for key in history stretch; do
    run 1 "$ARTEL" train "it's data.csv" --label kind -o no --set train.$key=8
    says "train.$key: rows of a table do not continue each other"
done
run 1 "$ARTEL" train numbers.tsv -o no
says "column \`y\` has"
says "artel train: --regress"
printf 'a,b\n1,x\n2,y,z\n' >ragged.csv
run 1 "$ARTEL" train ragged.csv -o no
says "ragged.csv:3: 3 cells, expected 2"
printf 'a,b\n1,x\n2,y\nthree,x\n4,y\n' >word.csv
run 1 "$ARTEL" train word.csv -o no
says "word.csv:4: column \`a\`: \`three\` is no number"
printf 'a,b\n1,x\n2,x\n3,x\n' >one.csv
run 1 "$ARTEL" train one.csv -o no
says "expected two classes or more"
run 1 "$ARTEL" train missing.csv -o no
says "missing.csv"
check "nothing is left behind" test ! -e no
run 1 "$ARTEL" predict run/model numbers.tsv
says "no column"
run 1 "$ARTEL" eval run/model --data unlabelled.csv
says "no column \`kind\`, which the model predicts"
run 2 "$ARTEL" eval run/model --data other.csv --split train
says "is not the file that the model learnt from"
run 2 "$ARTEL" eval run/model --data "it's data.csv" --usage
says "are for text"
run 1 "$ARTEL" predict /nowhere numbers.tsv
run 2 "$ARTEL" predict run/model
run 2 "$ARTEL" generate run/model --prompt "a text"
says "no tokenizer.json"
run 2 "$ARTEL" distill "it's data.csv" --label kind -o no

# what a run costs: 4 experts of 4 inputs, 32 hidden units and 2 classes, and a gate; 180 rows in 6 steps an epoch
run 0 "$ARTEL" plan recipe.yaml --json
prints '"parameters":924,"active":924,"inputs":4,"outputs":2,"steps":600,"rows_per_step":32,"rows":19200,"data_rows":180,'
check "two sets of parameters are kept" grep -q '"parameters":3696,.*"best_model":3696,' .out
number() { sed "s/.*\"$1\":\([0-9.e+]*\).*/\1/" .out; }
all=$(number flops_per_row)
check "forward and backward ($all)" awk "BEGIN { exit !($all > 2 * 1568 && $all < 4 * 1568) }"
run 0 "$ARTEL" plan recipe.yaml --json --set model.k=1
check "one expert of four is active" grep -q '"parameters":924,"active":246,' .out
check "and works" awk "BEGIN { exit !($(number flops_per_row) < 0.5 * $all) }"
run 0 "$ARTEL" plan recipe.yaml --set train.batch=300 --set table.validation=0 --set model.hidden_size=600
prints "in 100 steps, of 4 inputs;"
prints "active for a row"
prints "parameters for each of 240 rows"
prints "a step reads 300 rows, of 240 that there are"
prints "no rows for validation"
run 2 "$ARTEL" plan recipe.yaml --set table.label=kinds
says "no column \`kinds\`"
run 1 "$ARTEL" plan recipe.yaml --set model.n_inputs=9
says "reads 9 numbers"
done_testing
