# lab: a whole lab at the scale of seconds; what it writes, that it goes on where it stopped, and
# what it refuses.
. tests/cli/lib.sh
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
for field in holds effect ci p n unit; do
    check "$field in each claim" test "$(grep -c "\"$field\":" .out)" -ge 13
done
prints '"report":"whole/report.html"'
check "claims are kept" sh -c 'grep "\"claim\":" .out | cmp -s - whole/claims.jsonl'
check "a line a run" test "$(wc -l <whole/results.jsonl)" -eq 27
check "loads of routers" test "$(grep -c '"load":\[{"kind":"attention"' whole/results.jsonl)" -ge 12
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
prints "27 runs"

# what is missing is made again, the rest stays
rm -r whole/runs/k4-s2
run 0 "$ARTEL" lab moduleformer -o whole --data data --scale tiny --json
says "k4-s2: validation loss"
check "one run alone was made" test "$(grep -c 'validation loss' .err)" -eq 1
check "27 lines still" test "$(wc -l <whole/results.jsonl)" -eq 27

# ---- interrupted, continued -----------------------------------------------------------------------
losses() { sed 's/.*"name":"\([^"]*\)".*"val_loss":\([^,]*\),.*/\1 \2/' "$1" | sort; }
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
check "not everything" test "$(wc -l <part/results.jsonl)" -lt 27
run 0 "$ARTEL" lab moduleformer -o part --data data --scale tiny --threads 1
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
