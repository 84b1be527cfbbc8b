# lab_mode: the lab of experts that teach each other, at the scale of seconds, on two made tables and one of the user's.
. tests/cli/lib.sh
cd "$work" || exit 1
two_languages

# two tables: the class depends on two numbers, each time otherwise
mkdir tables
awk 'BEGIN { print "u,v,w,class"; srand(1); for (i = 0; i < 90; i++) { u = rand() - 0.5; v = rand() - 0.5
    printf "%.4f,%.4f,%d,%s\n", u, v, i % 5, (u * v > 0 ? "a" : u > 0 ? "b" : "c") } }' >tables/one.csv
awk 'BEGIN { print "n,u,v,kind"; srand(2); for (i = 0; i < 80; i++) { u = rand(); v = rand()
    printf "%d,%.4f,%.4f,%s\n", i, u, v, (u + v > 1 ? "big" : "small") } }' >tables/two.csv
# 60 pictures of 6 by 6, of two classes, one of which is brighter
{
    printf '\000\000\010\003\000\000\000\074\000\000\000\006\000\000\000\006'
    awk 'BEGIN { srand(3); for (i = 0; i < 60; i++) for (k = 0; k < 36; k++) printf("%c", 33 + 40 * (i % 2) + int(50 * rand())) }'
} >tables/small-images-idx3
{
    printf '\000\000\010\001\000\000\000\074'
    for i in 1 2 3 4 5 6 7 8 9 10; do printf '\001\002\001\002\001\002'; done
} >tables/small-labels-idx1
printf 'name\tfile\ttest\tlabel\tignore\nfirst\tone.csv\t-\tclass\t-\nsecond\ttwo.csv\t-\tkind\tn\npictures\tsmall-images-idx3\t-\tlabel\t-\n' >tables/tables.tsv

run 0 "$ARTEL" lab
prints "mode: Mixture of Distilled Experts"
prints "arXiv 2402.00893"
run 0 "$ARTEL" lab mode -o whole --data tables --text data --scale tiny --json --threads 2
claims=$(grep -c '"claim":' .out)
check "30 claims, not $claims" test "$claims" -eq 30
for field in holds effect ci p p_holm n unit null side family part paper sample by_seed; do
    check "$field in each claim" test "$(grep -c "\"$field\":" .out)" -ge "$claims"
done
for part in E1 E2 E3 E4 E5 E6 E7 E8; do check "part $part" grep -q "\"part\":\"$part\"" whole/claims.jsonl; done
check "tables are the sample of the first two" test "$(grep -c '"sample":"tables"' .out)" -eq 8
for word in "Where it helps" "Against the plain mixture" "Against what else" "What experts know" "How much" "How few rows" \
    "made of domains" "Text" "Images" "The numbers of the paper were not available"; do
    check "report: $word" grep -q "$word" whole/report.html
done
check "a chart of alphas" grep -q 'test accuracy by alpha' whole/report.html

# ---- what each run is ------------------------------------------------------------------------------
has() { grep -F "\"name\":\"$1\"" whole/results.jsonl | grep -qF -- "$2"; }
check "choosing never sees test rows" sh -c '! grep "/s101\"" whole/results.jsonl | grep -q test_accuracy'
check "all else does" test "$(grep '"name":"[a-z]*[-0-9]*/' whole/results.jsonl | grep -vc '/s101"\|"name":"[^"]*x2/')" -eq \
    "$(grep '"test_accuracy"' whole/results.jsonl | grep -vc '"name":"[^"]*x2/')"
check "the seed" has first/sparse/plain/s3 'seed: 3'
check "the column" has second/sparse/plain/s1 'label: \"kind\"'
check "what is not read" has second/sparse/plain/s1 'ignore: [n]'
check "nothing else is left out" sh -c '! grep "\"name\":\"first/" whole/results.jsonl | grep -q "ignore:"'
check "two experts" has first/dense2/plain/s1 'n_experts: 2, k: 0'
check "two of four" has first/sparse/plain/s1 'n_experts: 4, k: 2'
check "the plain mixture has no loss of its own" sh -c '! grep "/plain/" whole/results.jsonl | grep -q "losses:"'
check "alpha" has first/sparse/mutual0.1/s101 'losses: {mutual_distillation: 0.1}'
check "KL" has first/sparse/kl0.1/s101 'mutual_form: kl'
check "decay" has first/sparse/decay0.1/s101 'weight_decay: 0.1'
check "dropout" has first/sparse/dropout0.1/s101 'hidden_pdrop: 0.1'
check "balance" has first/sparse/balance0.01/s101 'losses: {switch: 0.01}'
check "labels" has first/sparse/label0.1/s101 'losses: {expert_label: 0.1}'
check "TabM" has first/sparse/tabm0.1/s101 'arch: tabm, n_members: 8'
check "apart" has first/sparse/negative-0.003/s101 'mutual_distillation: -0.003'
check "more epochs" has first-x2/sparse/plain/s1 'epochs: 6'
check "fewer rows" has first-150/dense8/plain/s1 'rows: 150'
check "images" has pictures/image/plain/s1 'arch: conv_moe'
check "images alone" sh -c '! grep -v "\"name\":\"pictures/image/" whole/results.jsonl | grep -q conv_moe'
check "the domain is not read" has domains/dense4/plain/s1 'ignore: [domain]'
# as many parameters as the mixture: 3 inputs, 4 hidden units, 3 classes, 4 experts, and the gate; operations: of two experts
size() { grep -F "\"name\":\"$1\"" whole/results.jsonl | sed 's/.*"parameters":\([0-9]*\).*/\1/'; }
one=$(grep -o '"name":"first/sparse/one[^"]*/s1"' whole/results.jsonl | cut -d '"' -f 4)
fast=$(grep -o '"name":"first/sparse/fast[^"]*/s1"' whole/results.jsonl | cut -d '"' -f 4)
check "the mixture: $(size first/sparse/plain/s1)" test "$(size first/sparse/plain/s1)" -eq 140
check "one perceptron, as large: $(size "$one")" test "$(size "$one")" -eq 143 # 20 units: 3 x 20 + 20 + 20 x 3 + 3
check "one that costs as much: $(size "$fast")" test "$(size "$fast")" -eq 73  # 10 units

# ---- numbers again, from the lines -----------------------------------------------------------------
accuracy() { grep -F "\"name\":\"$1\"" whole/results.jsonl | sed 's/.*"test_accuracy":\([^,]*\),.*/\1/'; }
chosen() { # table gate arm: the value with the best validation of the seed that chooses
    grep "\"name\":\"$1/$2/$3[-0-9.]*/s101\"" whole/results.jsonl |
        sed "s|.*\"name\":\"$1/$2/$3\([-0-9.]*\)/s101\".*\"val_accuracy\":\([^,]*\),\"val_loss\":\([^,]*\),.*|\2 \3 \1|" |
        sort -k 1,1gr -k 2,2g | head -n 1 | cut -d ' ' -f 3
}
for seed in 1 2 3; do
    for t in first second pictures; do
        echo "$(accuracy "$t/sparse/mutual$(chosen $t sparse mutual)/s$seed") $(accuracy "$t/sparse/plain/s$seed")"
    done | awk '{ s += 100 / 3 * ($1 - $2) } END { printf "%.9f\n", s }'
done >want
grep '"claim":"mutual distillation raises accuracy: two of four' .out | sed 's/.*"by_seed":\[\([^]]*\)\].*/\1/' | tr , '\n' |
    awk '{ printf "%.9f\n", $1 }' >told
check "by seed: $(tr '\n' ' ' <told), not $(tr '\n' ' ' <want)" cmp -s want told
check "the value of a line of effects" grep -q "\"table\":\"first\",\"gate\":\"sparse\",\"arm\":\"mutual\",\"value\":$(chosen first sparse mutual)," whole/effects.jsonl
check "effects: of 3 gates and 9 rivals, 3 tables" test "$(wc -l <whole/effects.jsonl)" -eq $((3 * (3 + 2 * 9)))

# ---- again, on other threads, after an interrupt ---------------------------------------------------
cp .out first_out
before=$(cksum whole/results.jsonl)
run 0 "$ARTEL" lab mode -o whole --data tables --text data --scale tiny --json
check "nothing is done again" test "$(cksum whole/results.jsonl)" = "$before"
check "the same is said" sh -c 'grep "\"claim\":" .out | cmp -s - whole/claims.jsonl'
grep -v '"name":"second/' whole/results.jsonl >part.jsonl && mv part.jsonl whole/results.jsonl
run 0 "$ARTEL" lab mode -o whole --data tables --text data --scale tiny --json --threads 1
check "what is missing is done again, with the same bits" sh -c 'grep "\"claim\":" .out >a; grep "\"claim\":" first_out | cmp -s - a'

printf '{"name":"second","seeds":5,"mean":0.9375}\n{"name":"elsewhere","mean":0.5}\n' >trees.jsonl
run 0 "$ARTEL" lab mode -o whole --data tables --text data --trees trees.jsonl --scale tiny
check "trees beside" grep -qF 'gradient-boosted trees (scikit-learn)' whole/report.html
check "their accuracy" grep -qF '93.75' whole/report.html
prints ", 3 tables"
prints ", 3 seeds"
check "all runs are counted" grep -q "^$(wc -l <whole/results.jsonl) runs, " .out

# ---- a table of the user's -------------------------------------------------------------------------
run 0 "$ARTEL" lab mode -o own --data tables/two.csv --label kind --scale tiny --json
check "the first, second and fifth part" test "$(grep '"claim":' .out | grep -o '"part":"E[0-9]"' | sort -u | tr -d '\n')" = '"part":"E1""part":"E2""part":"E5"'
check "of seeds" sh -c '! grep -q "\"sample\":\"tables\"" .out'
check "its column" grep -qF 'label: \"kind\"' own/results.jsonl

# ---- refused ---------------------------------------------------------------------------------------
run 1 "$ARTEL" lab mode -o x --data none --scale tiny
says "none: there is no table, and no tables.tsv"
says "tools/tables.sh"
run 1 "$ARTEL" lab mode -o x --data data --scale tiny
says "data: there is no table"
run 2 "$ARTEL" lab mode -o x1 --data tables/two.csv --label knd --scale tiny
says 'did you mean `kind`?'
run 1 "$ARTEL" lab mode -o x2 --data tables/two.csv --label u --scale tiny
says "no classes"
run 1 "$ARTEL" lab mode -o x3 --data tables --text none --scale tiny
says "none: there is no data set"
run 2 "$ARTEL" lab mode -o x4 --data tables --scale quick
says "tables/tables.tsv: none of the tables of this lab is there"
run 2 "$ARTEL" lab mode -o x5 --data tables --label kind --scale tiny
says "--label"
run 2 "$ARTEL" lab mome -o x6 --data data --label kind --scale tiny
says "--label"
run 2 "$ARTEL" lab mome -o x6 --data data --trees trees.jsonl --scale tiny
says "--trees"
run 1 "$ARTEL" lab mode -o whole --data tables --text data --trees none --scale tiny
says "none"
printf 'name,file\na,b\n' >tables/tables.tsv
run 2 "$ARTEL" lab mode -o x7 --data tables --scale tiny
says "label"
done_testing
