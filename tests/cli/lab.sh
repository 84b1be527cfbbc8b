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
