#!/bin/sh
# Models that were branched from one seed and trained apart, put together: one mixture, its routers trained, and
# what each way of putting them together is worth.
. tests/cli/lib.sh
data=$PWD/tests/golden/runs/data
cd "$work" || exit 1

cat >seed.yaml <<Y
seed: 3
model: {arch: moduleformer, n_layer: 2, n_embd: 16, n_head: 2, att_hidden: 16, ffd_hidden: 24, n_att_experts: 1,
        k_att: 1, n_mlp_experts: 1, k_mlp: 1}
data: {train: $data}
train: {steps: 20, batch: 4, context: 32, lr: 1e-2, eval_every: 0}
Y
run 0 "$ARTEL" train seed.yaml -o seed -q
for d in aa bb cc; do
    sed "/^model/d;/^  *k_att/d;s|^seed.*|seed: 5\ninit: seed/model|;s|^data.*|data: {train: $data, domains: [$d]}|" \
        seed.yaml >branch.yaml
    run 0 "$ARTEL" train branch.yaml -o "$d" -q
done

# ---- one mixture, measured -----------------------------------------------------------------------------------
experts='experts: [{name: aa, model: aa/model}, {name: bb, model: bb/model}, {name: cc, model: cc/model}]'
report="report: {context: 64, windows: 2, skip: 8}"
cat >btx.yaml <<Y
mode: btx
seed: 1
base: seed/model
$experts
data: {train: $data}
$report
Y
run 0 "$ARTEL" compose btx.yaml -o plain
prints "aa               1.57 k parameters  slot 0  aa/model"
prints "loss, nats per token                aa        bb        cc      mean"
for row in "base     " "branch    aa" "branch    cc" "ensemble  2 of 3, routed" "average   of the weights" "mixture  "; do
    prints "$row"
done
for file in artel.json config.json model.safetensors tokenizer.json; do
    check "$file is there" test -e "plain/$file"
done
check "nothing was trained" test ! -e plain.run
check "passports name what they came from" grep -q '"source":.*"bb/model"' plain/artel.json
run 0 "$ARTEL" inspect plain
prints "n_mlp_experts: 3"
check "the gates are renormalised" grep -q '"renormalise_gates":.*true' plain/config.json
run 0 "$ARTEL" generate plain -p "mi no" -n 4 --seed 1
run 0 "$ARTEL" eval plain --data "$data" --usage
prints "feed_forward  load entropy"

# A row is what the model's own eval says of the same tokens.
run 0 "$ARTEL" compose btx.yaml -o json --json
grep '"report":"branch","name":"bb"' .out >row
check "a row of the report" test -s row
run 0 "$ARTEL" eval bb/model --data "$data" --context 64 --windows 2 --route-on 8 --json
loss=$(sed -n 's/.*"domain":"aa".*"loss":\([0-9.]*\).*/\1/p' .out | cut -c1-7)
check "the loss of bb on aa, $loss" grep -q "\"loss\":{\"aa\":$loss" row
check "the same bits" cmp -s plain/model.safetensors json/model.safetensors
run 0 "$ARTEL" compose btx.yaml -o threads --threads 1
check "other bits on one thread" cmp -s plain/model.safetensors threads/model.safetensors

# Every key of the mixture makes another model.
for key in seed=2 rest=base attention=base attention=experts k=1 k=3 gate=mlp gate=gmm renormalise=false; do
    run 0 "$ARTEL" compose btx.yaml -o "by-$key" --set "$key"
    cat "by-$key/model.safetensors" "by-$key/config.json" | md5sum | cut -c1-32 >sum
    check "$key: a model that there was before" test ! -e "$(cat sum)"
    : >"$(cat sum)"
done
run 0 "$ARTEL" compose btx.yaml -o att --set attention=experts --set k_att=1
check "k_att" grep -q '"k_att":.*1' att/config.json
run 0 "$ARTEL" compose btx.yaml -o size --set gate=mlp --set gating_size=7
run 0 "$ARTEL" inspect size
prints "gating_size: 7"

# Every key of the report.
run 0 "$ARTEL" compose btx.yaml -o r0 --json
grep report .out >report0
for key in split=validation context=32 windows=1 skip=20 ensemble_k=3 ensemble_router=uniform; do
    run 0 "$ARTEL" compose btx.yaml -o "r-$key" --json --set "report.$key"
    grep report .out >report1
    check "report.$key changes nothing" test "$(cat report0)" != "$(cat report1)"
done
run 0 "$ARTEL" router train "$data" -o router -q
run 0 "$ARTEL" compose btx.yaml -o folder --json --set report.ensemble_router=router
prints '"name":"2 of 3, routed"'

# ---- its routers trained -------------------------------------------------------------------------------------
cat btx.yaml - >trained.yaml <<Y
train: {steps: 30, batch: 6, context: 32, lr: 3e-2, eval_every: 0, weight_decay: 0.3}
losses: {switch: 0.01}
Y
run 0 "$ARTEL" compose trained.yaml -o trained
prints "mixture   before training"
tail -2 .out | awk '{ print $NF }' >means
check "training the routers made it worse: $(tr '\n' ' ' <means)" \
    test "$(sort -n means | head -1)" = "$(tail -1 means)"
run 0 "$ARTEL" compose trained.yaml -o all --set trained=all
for dir in trained all; do
    for m in plain $dir; do run 0 "$ARTEL" inspect "$m" --digest; cp .out "digest-$m"; done
    check "$dir is another model" test "$(cat digest-plain)" != "$(cat "digest-$dir")"
done
run 2 "$ARTEL" compose trained.yaml -o trained
says "trained exists already"

# ---- what is wrong with a mixture: nothing, and then something -------------------------------------------------
run 0 "$ARTEL" doctor trained
prints "trained: 42 tensors, 2 routers, 256 tokens (random): 0 errors, 0 warnings"
run 0 "$ARTEL" doctor trained --data "$data" --context 32 --windows 2
prints "2 routers, 192 tokens ($data): 0 errors, 0 warnings"
run 0 "$ARTEL" doctor trained --data "$data" --context 32 --windows 2 --split validation --json
prints '"tokens":192'
run 0 "$ARTEL" doctor trained --data "$data" --windows 1 --json
prints '"tokens":768' # --context 256
run 0 "$ARTEL" doctor seed/model
prints "0 routers, 0 tokens (none)"
run 1 "$ARTEL" doctor "by-k=1"
prints "error   no-gradient   layer 0, feed_forward"
prints "        measured: the gradient of its rows by the language loss alone is 0 of that of norms"
prints "        to do:    this router learns nothing from text"
says "artel doctor: by-k=1: 2 findings, 2 of them errors"
run 1 "$ARTEL" doctor "by-k=1" --json --seed 4
prints '{"finding":"no-gradient","severity":"error","where":"layer 0, feed_forward","measured":"'
prints '"errors":2,"warnings":0}'
run 2 "$ARTEL" doctor trained --data "$data" --split best
says "best"
run 1 "$ARTEL" doctor nowhere
says "nowhere"
run 2 "$ARTEL" doctor
done_testing
