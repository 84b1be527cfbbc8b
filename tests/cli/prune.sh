#!/bin/sh
# artel prune: every limit, score and way; what it proves, measures and refuses; the frontier.
. tests/cli/lib.sh
data=$PWD/tests/golden/runs/data
cd "$work" || exit 1

cat >recipe.yaml <<Y
seed: 3
model: {arch: moduleformer, n_layer: 2, n_embd: 16, n_head: 1, att_hidden: 16, ffd_hidden: 24, gating_size: 8,
        n_att_experts: 3, k_att: 1, n_mlp_experts: 8, k_mlp: 1, initializer_range: 0.6}
data: {train: $data}
train: {steps: 60, batch: 4, context: 32, lr: 1e-2, eval_every: 0, save_every: 0}
losses: {concentration: 0.3}
Y
run 0 "$ARTEL" train recipe.yaml -o run -q --threads 1
m=run/model

# who is never chosen goes, and nothing changes
run 0 "$ARTEL" prune $m -o unused --data "$data" --keep aa,bb --how forbid --require bit-identical -q
prints "certificate: every answer on the text of the domains that are kept is the same to the bit"
prints "of 22 experts are left"
check "closed experts are listed" grep -q '"closed_experts":' unused/config.json
check "the certificate says so" grep -q '"certificate":	"bit-identical"' unused/certificate.json
check "the file shrinks" test "$(wc -c <unused/model.safetensors)" -lt "$(wc -c <$m/model.safetensors)"
# an expert that is closed cannot be missing, nor the only one of a layer that is open, and it stays closed when others are
# left out
closed=$(tr -d ' \n\t' <unused/config.json | sed 's/.*"closed_experts":\[\([^]]*\)\].*/\1/' | tr ',' '\n' | grep -c .)
run 0 "$ARTEL" probe unused --data "$data" --windows 2 --json
alone=$(grep -o '"spread":[^,]*,"without_loss":null' .out | wc -l)
told=$(grep -o '"without_loss":null' .out | wc -l)
check "$closed closed and $alone alone, not $told" test "$closed" -ge 1 -a "$told" -eq $((closed + 2 * alone))
run 0 "$ARTEL" eval $m --data "$data" --json --usage
grep '"aa"' .out | grep -v layer >before
run 0 "$ARTEL" eval unused --data "$data" --json --usage
grep '"aa"' .out | grep -v layer >after
check "an evaluation differs" cmp -s before after
run 0 "$ARTEL" generate unused --ids 1,2,3 -n 5 --seed 1 -q
run 0 "$ARTEL" atlas unused --data "$data" --windows 2 --context 16
run 0 "$ARTEL" inspect unused
run 0 "$ARTEL" convert unused -o own --to artel
run 1 "$ARTEL" convert unused -o hf --to hf
says "know no closed experts"
run 2 "$ARTEL" prune $m -o unused --data "$data" --keep aa -q
says "exists already"

# limits
experts_left() { sed -n 's/.*"experts_before":22,"experts_after":\([0-9]*\),.*/\1/p' .out; }
run 0 "$ARTEL" prune $m -o half --data "$data" --keep aa --share 0.5 --json -q
prints '"how":"remove","renormalised":false,"score":"use","limit":"share","value":0.5,"experts_before":22,"experts_after":11'
prints '"calibrated_on":"validation","measured_on":"test"'
prints '"domain":"bb","kept":false'
check "a removed expert leaves no row" test "$(grep -c closed half/config.json)" -eq 0
run 0 "$ARTEL" eval half --data "$data"
run 0 "$ARTEL" prune $m -o two --data "$data" --keep aa --experts 2 --json -q
check "two of each layer: $(experts_left)" test "$(experts_left)" -eq 8
run 0 "$ARTEL" convert two -o two.hf --to hf
run 0 "$ARTEL" prune $m -o few --data "$data" --keep aa --threshold 0.05 --json -q
check "below a use of 5 % go: $(experts_left)" test "$(experts_left)" -lt 22
run 0 "$ARTEL" prune $m -o small --data "$data" --keep aa --budget 80kB --score norm --json -q
prints '"score":"norm","limit":"budget","value":80000'
check "a budget is kept" test "$(wc -c <small/model.safetensors)" -le 80000
check "and used" test "$(wc -c <small/model.safetensors)" -gt 70000
run 0 "$ARTEL" prune $m -o calm --data "$data" --keep aa --max-loss-increase 5% --score loss --json -q --windows 2
prints '"limit":"loss","value":null'
high=$(sed -n 's/.*"domain":"aa"[^}]*"relative_high":\([-0-9.e]*\).*/\1/p' .out)
check "the loss is kept: $high" awk "BEGIN { exit !($high <= 0.05) }"
check "more could go: $(experts_left)" test "$(experts_left)" -lt 22

# scores, ways, texts
for score in reap norm loss random; do
    run 0 "$ARTEL" prune $m -o by.$score --data "$data" --keep aa --share 0.6 --score $score --json -q --windows 3 --documents 5
    prints "\"score\":\"$score\""
    prints '"documents":5'
done
gone() { tr -d ' \n\t' <"by.$1/certificate.json" | grep -o '"gone":\[[^]]*\]'; }
for other in loss random; do
    check "reap and $other choose alike" test "$(gone reap)" != "$(gone $other)"
done
run 0 "$ARTEL" prune $m -o seed --data "$data" --keep aa --share 0.6 --score random --seed 5 -q
check "the seed changes nothing" sh -c '! cmp -s by.random/config.json seed/config.json || ! cmp -s by.random/model.safetensors seed/model.safetensors'
run 0 "$ARTEL" prune $m -o again --data "$data" --keep aa --share 0.6 --score reap --windows 3 --documents 5 -q --threads 2
check "other bits on two threads" cmp -s again/model.safetensors by.reap/model.safetensors
run 0 "$ARTEL" prune $m -o norm --data "$data" --keep aa --share 0.6 --renormalise --json -q
prints '"renormalised":true'
check "gates are renormalised" grep -q '"renormalise_gates":	true' norm/config.json
run 0 "$ARTEL" prune $m -o train --data "$data" --keep aa --calibrate train --split validation --context 8 --json -q --share 0.9
prints '"calibrated_on":"train","measured_on":"validation"'
run 0 "$ARTEL" prune half -o quarter --data "$data" --keep aa --share 0.7 -q

# promises
run 1 "$ARTEL" prune $m -o none --data "$data" --keep aa --share 0.4 --require bit-identical -q
says "bit-identical was required"
run 1 "$ARTEL" prune $m -o none --data "$data" --keep aa --share 0.4 --score random --require aa:+0.01% -q
says "domain \`aa\`: the loss goes from"
run 1 "$ARTEL" prune $m -o none --data "$data" --keep aa --share 0.4 --score random --max-loss-increase 0.01% -q
says "no model was made"
check "a refused model leaves a folder" test -z "$(ls -d none .none* 2>/dev/null)"

# the frontier
run 0 "$ARTEL" prune $m --frontier --data "$data" --keep aa --score use,random -o page.html --documents 10
prints "score"
prints "random"
says "12.5 % of the experts are fewer than tokens use"
check "a chart a domain" test "$(grep -o '<figure>' page.html | wc -l)" -eq 3
check "nothing is fetched" sh -c '! grep -qE "https?:|<script|url\(" "$1"' - page.html
run 0 "$ARTEL" prune $m --frontier --data "$data" --keep aa --json -q --documents 5 --windows 2
check "scores, shares, domains: $(wc -l <.out)" test "$(wc -l <.out)" -eq 45
prints '"score":"loss","share":0.25,"experts":6'
prints '"domain":"cc","kept":false,"loss":'

# specialised first: from a model that spreads the load to one that concentrates it on a domain
sed 's/concentration: 0.3/mutual_information: 0.1/' recipe.yaml >base.yaml
run 0 "$ARTEL" train base.yaml -o base -q --threads 1
cat >special.yaml <<Y
seed: 3
init: base/model
data: {train: $data, domains: [aa]}
train: {steps: 60, batch: 4, context: 32, lr: 1e-2, eval_every: 0, save_every: 0}
losses: {concentration: 0.3}
Y
run 0 "$ARTEL" train special.yaml -o special -q --threads 1
run 0 "$ARTEL" prune base/model -o wide --data "$data" --keep aa --threshold 0.01 --json -q
wide=$(experts_left)
run 0 "$ARTEL" prune special/model -o narrow --data "$data" --keep aa --threshold 0.01 --json -q
check "specialised: $(experts_left) of $wide experts" test "$(experts_left)" -lt "$((wide - 3))"

# what cannot be
run 2 "$ARTEL" prune $m -o none --data "$data" --keep zz -q
says "has no domain \`zz\`"
run 2 "$ARTEL" prune $m -o none --data "$data" --budget 1kB -q
says "a budget of 1000 bytes cannot be met"
run 2 "$ARTEL" prune $m -o none --data "$data" --share 0.1 -q
says "cannot go: each layer keeps those that a token uses"
run 2 "$ARTEL" prune $m -o none --data "$data" --share 0.5 --experts 3 -q
says "at most one of them"
run 2 "$ARTEL" prune $m -o none --data "$data" --budget 60XB
says "--budget 60XB"
run 2 "$ARTEL" prune $m -o none --data "$data" --max-loss-increase 3
says "--max-loss-increase 3"
run 2 "$ARTEL" prune $m -o none --data "$data" --score fame -q
says "expected use, reap, norm, loss or random"
run 2 "$ARTEL" prune $m -o none --data "$data" --score use,reap -q
says "expected a single one"
run 2 "$ARTEL" prune $m -o none --data "$data" --how cut -q
says "expected remove or forbid"
run 2 "$ARTEL" prune $m -o none --data "$data" --require better -q
says "expected bit-identical, or DOMAIN:+P%"
run 2 "$ARTEL" prune $m --data "$data"
says "--output"
run 2 "$ARTEL" prune $m -o none --data "$data" --frontier --require bit-identical
says "no --require"
sed 's/moduleformer.*/gpt2, n_layer: 1, n_embd: 16, n_head: 1, n_positions: 32}/; /n_att_experts/d; /losses/d' recipe.yaml >plain.yaml
run 0 "$ARTEL" train plain.yaml -o plain -q --set train.steps=1
run 2 "$ARTEL" prune plain/model -o none --data "$data"
says "has no routers whose experts could be scored"
done_testing
