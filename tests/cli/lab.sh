# lab: a whole lab at the scale of seconds; what it writes, that it goes on where it stopped, and
# what it refuses.
. tests/cli/lib.sh
source=$PWD
cd "$work" || exit 1
two_languages

# ---- the list -------------------------------------------------------------------------------------
run 0 "$ARTEL" lab
prints "moduleformer"
prints "arXiv 2306.04640"
run 0 "$ARTEL" lab --json
prints '"lab":"moduleformer"'
prints '"claims":["'

# ---- a whole lab ----------------------------------------------------------------------------------
run 0 "$ARTEL" lab moduleformer -o whole --data data --scale tiny --json --threads 2
check "a line a claim, then the lab" test "$(grep -c '"claim":' .out)" -eq 13
check "the lab comes last" sh -c 'tail -n 1 .out | grep -q "\"lab\":\"moduleformer\""'
for field in holds effect ci p p_holm n unit null side; do
    check "$field in each claim" test "$(grep -c "\"$field\":" .out)" -ge 13
done
prints '"report":"whole/report.html"'
check "claims are kept" sh -c 'grep "\"claim\":" .out | cmp -s - whole/claims.jsonl'
# 18 models with a seed each, and short runs that choose learning rates: 9, and more where the best one
# is the last
runs=$(wc -l <whole/results.jsonl)
tunes=$(grep -c '"name":"tune-' whole/results.jsonl)
check "a line a run, not $runs" test $((runs - tunes)) -eq 18 -a "$tunes" -ge 9 -a "$tunes" -le 15
check "a line of learning rates a size" test "$(grep -c '"tried":\[{"rate":' whole/rates.jsonl)" -eq 3
check "every rate tried is a run" test "$(grep -o '"val_loss"' whole/rates.jsonl | wc -l)" -eq "$tunes"
check "rates are chosen without the test split" sh -c '! grep "\"name\":\"tune-" whole/results.jsonl | grep -q test_loss'
check "all else has it" test "$(grep -c '"test_loss":' whole/results.jsonl)" -eq 18
check "the program is told of each run" test "$(grep -c '"program":"[0-9a-f]\{16\}","processor":"' whole/results.jsonl)" -eq "$runs"
check "the last object has doubts" sh -c 'tail -n 1 .out | grep -q "\"warnings\":\["'
# doubts are on stderr, in the last object and on the page, as many as sizes with a rate at the edge
edges=$(grep -c '"edge":"[lh]' whole/rates.jsonl)
check "doubts: $edges" test "$(grep -c 'a better one may lie beyond' .err)" -eq "$edges"
# the ratio of training throughputs again, of the losses and speeds in the folder: the mixture's over
# that of the two dense models at its loss (between them a line in loss and logarithm of speed)
sed 's/.*"name":"\([^"]*\)".*"test_loss":\([^,]*\),.*/\1 \2/' whole/results.jsonl | grep -v '^tune' >losses.txt
tr -d '", \t' <whole/speed.json | awk -F: '$1 == "name" {n = $2} $1 == "train" {print n, $2}' >speeds.txt
for seed in 1 2; do
    awk -v s="-s$seed" 'NR == FNR {loss[$1] = $2; next} {speed[$1] = $2} END {
        f = "dense-8" s; t = "dense-16" s; m = "mf" s
        if (speed[f] < speed[t]) {x = f; f = t; t = x}
        if (loss[f] <= loss[m]) same = speed[f]
        else if (loss[t] <= loss[m])
            same = exp(log(speed[f]) + (loss[f] - loss[m]) / (loss[f] - loss[t]) * log(speed[t] / speed[f]))
        else {same = loss[f] < loss[t] ? speed[f] : speed[t]; better = 1}
        printf "%.6f %d\n", speed[m] / same, better}' losses.txt speeds.txt
done >ratios.txt
sed -n '1s/.*"by_seed":\[\([^]]*\)\].*/\1/p' .out | tr , '\n' | awk '{printf "%.6f\n", $1}' >told.txt
check "two ratios" test "$(wc -l <told.txt)" -eq 2
check "the ratio is $(cut -d ' ' -f 1 ratios.txt | tr '\n' ' '), not $(tr '\n' ' ' <told.txt)" \
    sh -c 'cut -d " " -f 1 ratios.txt | cmp -s - told.txt'
better=$(grep -c ' 1$' ratios.txt)
check "better with $better seeds" test "$(grep -c "\"seeds_better_than_every_dense_model\":$better," .out)" -eq 3
check "loads of routers" test "$(grep -c '"load":\[{"kind":"attention"' whole/results.jsonl)" -eq 14
check "lengths" test "$(grep -c '"by_context":\[{"context":16,' whole/results.jsonl)" -eq 4
check "positions" grep -q '"by_position":\[{"position":2,' whole/results.jsonl
check "a dense model has no load" sh -c '! grep "\"group\":\"dense-8\"" whole/results.jsonl | grep -q load'
check "a run is an ordinary one" test -s whole/runs/mf-s1/recipe.yaml -a -s whole/runs/mf-s1/report.html
check "checkpoints of finished runs are gone" test ! -e whole/runs/mf-s1/checkpoints
for word in Claims "Load of the experts" "Beyond the training length" "Learning rates" "k = 4"; do
    check "report: $word" grep -q "$word" whole/report.html
done
run 0 "$ARTEL" train whole/runs/mf-s1/recipe.yaml -o again -q
check "its recipe gives the same bits" cmp -s again/model/model.safetensors whole/runs/mf-s1/model/model.safetensors

# again: nothing is trained or measured, the same is said
before=$(cksum whole/results.jsonl whole/speed.json)
cp .out first
run 0 "$ARTEL" lab moduleformer -o whole --data data --scale tiny --json --threads 2
check "results are kept" test "$(cksum whole/results.jsonl whole/speed.json)" = "$before"
run 0 "$ARTEL" lab moduleformer -o whole --data data --scale tiny
prints "times the throughput of a dense model"
prints "$runs runs"

# what is missing is made again, the rest stays
rm -r whole/runs/k4-s2
run 0 "$ARTEL" lab moduleformer -o whole --data data --scale tiny --json
says "k4-s2: test loss"
check "one run alone was made" test "$(grep -c ': [a-z]* loss ' .err)" -eq 1
check "as many lines still" test "$(wc -l <whole/results.jsonl)" -eq "$runs"

# ---- another processor: losses stay; another program: nothing does --------------------------------
before=$(cksum whole/results.jsonl)
run 0 "$ARTEL" lab moduleformer -o whole --data data --scale tiny --json # of these threads
name() { "$ARTEL" --version --json | sed 's/.*"cpu":"\([^"]*\)".*/\1/'; }
if [ "$(ARTEL_CPU=ref name)" != "$(name)" ]; then
    run 0 env ARTEL_CPU=ref "$ARTEL" lab moduleformer -o whole --data data --scale tiny --json
    says "$runs finished runs are of another processor"
    says "whole/speed.json: of another processor"
    check "no run is done again" test "$(cksum whole/results.jsonl)" = "$before"
    check "speeds of this one" grep -q '"processor":.*, ref"' whole/speed.json
fi
cp "$ARTEL" other && printf 'x' >>other
run 0 ./other lab moduleformer -o whole --data data --scale tiny --json
says "$runs finished runs are of another program than this one"
says "speed.json: of another p" # program, processor
check "all runs are done again" test "$(grep -c ': [a-z]* loss ' .err)" -eq "$runs"
check "as many lines as before" test "$(wc -l <whole/results.jsonl)" -eq "$runs"

# ---- interrupted, continued -----------------------------------------------------------------------
losses() { sed 's/.*"name":"\([^"]*\)".*"[a-z]*_loss":\([^,]*\),.*/\1 \2/' "$1" | sort; }
rc=0
for try in 1 2 3 4 5; do # a fast machine may be done before the signal arrives
    rm -rf part
    "$ARTEL" lab moduleformer -o part --data data --scale tiny >/dev/null 2>.err &
    pid=$!
    while [ ! -s part/results.jsonl ] && kill -0 $pid 2>/dev/null; do :; done
    kill -INT $pid 2>/dev/null
    rc=0
    wait $pid || rc=$?
    [ $rc -eq 0 ] || break
done
check "interrupted: exit code 130, not $rc" test $rc -eq 130
says "goes on"
check "something was done" test -s part/results.jsonl
check "not everything" test "$(wc -l <part/results.jsonl)" -lt "$runs"
run 0 env ARTEL_CPU=ref "$ARTEL" lab moduleformer -o part --data data --scale tiny --threads 1 # the same bits
losses whole/results.jsonl >a
losses part/results.jsonl >b
check "continued: other losses" cmp -s a b

# ---- mixture of modular experts -------------------------------------------------------------------
run 0 "$ARTEL" lab
prints "mome: Mixture of Modular Experts"
prints "arXiv 2407.19610"
run 0 "$ARTEL" lab mome -o mome --data data --scale tiny --json --threads 2
claims=$(grep -c '"claim":' .out)
check "35 claims, not $claims" test "$claims" -eq 35
for field in holds effect ci p p_holm n unit null side part paper by_seed; do
    check "$field in each claim" test "$(grep -c "\"$field\":" .out)" -ge "$claims"
done
says "nothing is said of the claim \"texts of a student with a teacher repeat themselves less\"" # they are too short
for part in a b c d e f; do check "part $part" grep -q "\"part\":\"$part\"" mome/claims.jsonl; done
# a teacher; with each of two seeds 12 arms, a wide student, an imbalanced one, three with trunks, two experts, a second
# stage of two orders, and the same with replay
check "47 runs, not $(wc -l <mome/results.jsonl)" test "$(wc -l <mome/results.jsonl)" -eq 47
# what a run is, by its recipe
recipe() { grep -q "$2" "mome/runs/$1/recipe.yaml"; }
check "a stage goes on" recipe sequential-1-2-s2 'init: "*mome/runs/expert-1-s2/model'
check "with the other language" recipe sequential-1-2-s2 'domains: \[bb\]'
check "replay" recipe replay-2-2-s1 'weights: \["19", "1"\]'
check "of the language before" recipe replay-2-2-s1 'domains: \[aa, bb\]'
check "imbalanced" recipe imbalanced-s2 'weights: \["70", "30"\]'
check "another language with the other seed" sh -c '! cmp -s mome/runs/imbalanced-s1/recipe.yaml mome/runs/imbalanced-s2/recipe.yaml &&
    grep -q "domains: \[bb, aa\]" mome/runs/imbalanced-s2/recipe.yaml'
check "trunks" recipe jeet-s1 'modules: \[aa, bb\]'
check "without a common one" recipe jeet-s1 'common: false'
check "with it" recipe moe-ce-s1 'common: true'
check "left out at times" recipe moe-ce-dropout-s1 'common_dropout: 0.3'
check "the common trunk left out, and alone" test "$(grep -c '"test_loss_own":.*"test_loss_common":' mome/results.jsonl)" -eq 4
check "ten classifiers with each seed" test "$(ls mome/routers | wc -l)" -eq 20
check "the teacher" recipe expert-2-s1 'teacher: "*mome/runs/teacher-s1/model'
check "no teacher" sh -c '! grep -q teacher: mome/runs/alone-s1/recipe.yaml'
for arm in "adaptive alpha_rule: adaptive" "slopes alpha_rule: slopes" "anneal alpha_rule: anneal" "anneal alpha: 0" \
    "alternating schedule: alternating" "soft-ce loss: soft_ce" "reverse loss: reverse_kl" "js loss: js" \
    "skew loss: skew_kl" "skew-reverse loss: skew_reverse_kl"; do
    check "arm $arm" recipe "${arm%% *}-s1" "${arm#* }"
done
# as many operations: the steps of the student without a teacher, times the price of a step
steps() { sed -n 's/.*steps: \([0-9]*\).*/\1/p' "mome/runs/$1/recipe.yaml"; }
price() { "$ARTEL" plan "mome/runs/$1/recipe.yaml" --json | sed 's/.*"flops": *\([0-9.e+]*\).*/\1/'; }
check "equal compute" awk -v a="$(price combined-s1)" -v b="$(price alone-compute-s1)" -v n="$(steps alone-compute-s1)" \
    'BEGIN { exit !(a > 0 && (b - a) / a < 0.5 / n + 1e-9 && (a - b) / a < 0.5 / n + 1e-9) }'
check "more steps" test "$(steps alone-compute-s1)" -gt "$(steps alone-s1)"
# soft cross entropy has the gradient of the divergence at temperature 1
check "the same bits" cmp -s mome/runs/soft-ce-s1/model/model.safetensors mome/runs/combined-s1/model/model.safetensors
# a claim again from results.jsonl: a difference seed by seed, and what was forgotten
test_loss() { sed -n "s/.*\"name\":\"$1\".*\"test_loss\":\([^,]*\),.*/\1/p" mome/results.jsonl; }
in_domain() { sed -n "s/.*\"name\":\"$1\".*\"by_domain\":{[^}]*\"$2\":\([^,}]*\).*/\1/p" mome/results.jsonl; }
by_seed() { sed -n "/\"claim\":\"$1/s/.*\"by_seed\":\[\([^]]*\)\].*/\1/p" mome/claims.jsonl | tr , '\n'; }
same() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(d < 1e-9 && d > -1e-9) }'; }
for seed in 1 2; do
    told=$(by_seed "with a teacher a student learns more from" | sed -n ${seed}p)
    want=$(awk -v a="$(test_loss combined-s$seed)" -v b="$(test_loss alone-s$seed)" 'BEGIN { printf "%.17g", a - b }')
    check "teacher, seed $seed: $told, not $want" same "$told" "$want"
    told=$(by_seed "MoE-CE is worse without" | sed -n ${seed}p)
    want=$(sed -n "s/.*\"name\":\"moe-ce-s$seed\".*\"test_loss\":\([^,]*\),.*\"test_loss_own\":\([^,]*\),.*/\1 \2/p" \
        mome/results.jsonl | awk '{ printf "%.17g", $2 - $1 }')
    check "without the common trunk, seed $seed: $told, not $want" same "$told" "$want"
    told=$(by_seed "one language after the other: more" | sed -n ${seed}p)
    want=$(awk -v a0="$(in_domain expert-1-s$seed aa)" -v a1="$(in_domain sequential-1-2-s$seed aa)" \
        -v b0="$(in_domain expert-2-s$seed bb)" -v b1="$(in_domain sequential-2-2-s$seed bb)" \
        'BEGIN { a = a1 > a0 ? a1 - a0 : 0; b = b1 > b0 ? b1 - b0 : 0; printf "%.17g", (a + b) / 2 }')
    check "forgotten, seed $seed: $told, not $want" same "$told" "$want"
done
# a classifier is what its name says
for kind in svm ridge; do
    check "router $kind" sh -c "head -c 2000 mome/routers/$kind-s1-* | grep -aq 'name.*:.*$kind'"
done
# after the first stage there is one module, whatever the router would choose
mean() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.6f", (a + b) / 2 }'; }
told=$(tr -d ' \n\t' <mome/report.json | sed 's/.*Order1,beginningwithaa:modules[^[]*\[[^]]*\],"columns":\[[^]]*\],"values":\[\[\([^]]*\)\].*/\1/' |
    tr , '\n' | awk '{ printf "%.6f ", $1 }')
want="$(mean "$(in_domain expert-1-s1 aa)" "$(in_domain expert-1-s2 aa)") $(mean "$(in_domain expert-1-s1 bb)" "$(in_domain expert-1-s2 bb)") "
check "one module: $told, not $want" test "$told" = "$want"
# invented words again, as artel eval counts them
unknown() {
    "$ARTEL" eval "mome/runs/$1/model" --data data --generate --samples 2 --prompt-tokens 8 -n 8 --temperatures 0.8 --top-k 0 \
        --seed "${1##*-s}" --json -q | grep -v '"temperature":null' |
        sed 's/.*"words":\([0-9]*\),"known":\([^,]*\),.*/\1 \2/' | awk '{ n += $1; k += $1 * $2 } END { printf "%.17g", 1 - k / n }'
}
for seed in 1 2; do
    told=$(by_seed "texts of a student with a teacher have" | sed -n ${seed}p)
    want=$(awk -v a="$(unknown combined-s$seed)" -v b="$(unknown alone-s$seed)" 'BEGIN { printf "%.17g", a - b }')
    check "invented words, seed $seed: $told, not $want" same "$told" "$want"
done
for word in "What a teacher is worth" "one language after the other" "Order 2, beginning with bb" "heat map" "the paper says"; do
    check "report: $word" grep -q "$word" mome/report.html
done
# one after the other on one thread: the same, to the last bit
cp .out first
run 0 "$ARTEL" lab mome -o mome1 --data data --scale tiny --json --threads 1
sed 's/"name":"\([^"]*\)".*"test_loss":\([^,]*\),.*/\1 \2/' mome/results.jsonl | sort >a
sed 's/"name":"\([^"]*\)".*"test_loss":\([^,]*\),.*/\1 \2/' mome1/results.jsonl | sort >b
check "the same without sides" cmp -s a b
check "the same claims" cmp -s mome/claims.jsonl mome1/claims.jsonl
# what is missing is made again, and what comes after it stays
rm -r mome/runs/expert-1-s1
run 0 "$ARTEL" lab mome -o mome --data data --scale tiny --json --threads 2
check "one run alone was made" test "$(grep -c ': [a-z]* loss ' .err)" -eq 1
check "the same is said" sh -c 'grep "\"claim\":" .out | cmp -s - mome1/claims.jsonl'
run 0 "$ARTEL" data build --domain aa=aa --vocab 300 --split 0.6,0.2,0.2 -q -o lone
run 1 "$ARTEL" lab mome -o x --data lone --scale tiny
says "lone: this lab takes 2 to 8 domains, and the data set has 1"
rm -rf x

# ---- refused --------------------------------------------------------------------------------------
run 2 "$ARTEL" lab moduleformr -o x --data data
says 'did you mean `moduleformer`?'
run 2 "$ARTEL" lab moduleformer --data data
says "--output DIR is required"
run 2 "$ARTEL" lab moduleformer -o x --data data --scale huge
says "expected quick or full"
run 1 "$ARTEL" lab moduleformer -o x --data none
says "none: there is no data set"
says "demo.sh"
check "nothing is left behind" test ! -e x
run 2 "$ARTEL" lab moduleformer -o whole --data data --scale quick
says "another lab's results (scale is tiny, not quick)"
echo '{"name": 7' >torn
sed 1q whole/results.jsonl | cut -c 1-40 >half
cat half whole/results.jsonl >whole/bad.jsonl && mv whole/bad.jsonl whole/results.jsonl
run 1 "$ARTEL" lab moduleformer -o whole --data data --scale tiny
says "whole/results.jsonl:1"
done_testing
