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
for key in seed=2 rest=base attention=base attention=experts k=1 k=3 gate=mlp gate=gmm renormalise=false router=domain router=gates; do
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

for gate in linear mlp gmm; do # rows are made of text: the right experts are chosen without any training
    for router in domain gates; do
        run 0 "$ARTEL" compose btx.yaml -o "$router-$gate" --set gate=$gate --set router=$router
        check "$gate, $router: not better than drawn rows" awk 'END { exit !($NF < 4.166) }' .out
    done
done
run 0 "$ARTEL" compose btx.yaml -o tokens --set router=gates --set router_tokens=64
check "router_tokens" test "$(md5sum <tokens/model.safetensors)" != "$(md5sum <gates-linear/model.safetensors)"
run 1 "$ARTEL" compose btx.yaml -o x --set router=domain --set experts.1.name=dd
says "\`router\`: $data has no domain \`dd\` to make the row of that expert from"

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

# ---- in the words of mergekit-moe ------------------------------------------------------------------------------
cat >kit.yaml <<Y
base_model: seed/model
gate_mode: hidden
dtype: float32
experts_per_token: 2
experts:
  - source_model: aa/model
    positive_prompts: ["mi no ta", "ke lo"]
  - source_model: bb/model
    positive_prompts: ["zu vog"]
    negative_prompts: ["mi no"]
    name: bb
Y
run 0 "$ARTEL" compose kit.yaml -o kit
prints "e0               1.57 k parameters  slot 0  aa/model"
prints "bb               1.57 k parameters  slot 1  bb/model"
check "the gates are normalised" grep -q '"renormalise_gates":.*true' kit/config.json
run 0 "$ARTEL" generate kit -p "mi no" -n 4 --seed 1
for key in gate_mode=cheap_embed gate_mode=random experts_per_token=1 base_model=cc/model \
    'experts.0.positive_prompts=[vog]' 'experts.1.negative_prompts=[lo]' experts.0.source_model=cc/model; do
    run 0 "$ARTEL" compose kit.yaml -o x --set "$key"
    sum=$(cat x/model.safetensors x/config.json | md5sum | cut -c1-32)
    check "$key: a model that there was before" test ! -e "$sum"
    : >"$sum"
    rm -r x
done
run 0 "$ARTEL" compose kit.yaml -o measured --set "data.train=$data" --set report.context=32 --set report.windows=1 --set report.skip=4
prints "mixture"
run 1 "$ARTEL" compose kit.yaml -o x --set dtype=bfloat16
says "\`dtype\`: expected float32, found bfloat16"
run 1 "$ARTEL" compose kit.yaml -o x --set 'shared_experts=[{source_model: x}]'
says "\`shared_experts\`: is not supported"
run 1 "$ARTEL" compose kit.yaml -o x --set architecture=mixtral
says "the result is a ModuleFormer"
run 1 "$ARTEL" compose kit.yaml -o x --set experts.0.noise_scale=0.1
says "experts are taken as they are"
run 1 "$ARTEL" compose kit.yaml -o x --set 'experts.0.positive_prompts=[]'
says "gate_mode needs texts for every expert; random needs none"
run 1 "$ARTEL" compose kit.yaml -o x --set 'experts.0.positive_prompts=[""]'
says "a prompt has no tokens"
run 1 "$ARTEL" compose kit.yaml -o x --set gate_mode=best
says "hidden, cheap_embed, random"
run 1 "$ARTEL" compose kit.yaml -o x --set experts_per_token=3
says "3 experts a token, but there are 2"
run 1 "$ARTEL" compose kit.yaml -o x --set mode=ple
says "a recipe with base_model makes a mixture: mode btx"
run 1 "$ARTEL" compose kit.yaml -o x --set rest=base
says "unknown key"
run 1 "$ARTEL" compose kit.yaml -o x --set experts.1.name=e0
says "two experts are called"

# ---- an ensemble of whole models -------------------------------------------------------------------------------
printf 'mode: ensemble\nrouter: router\n%s\n' "$experts" >ensemble.yaml
run 0 "$ARTEL" compose ensemble.yaml -o ensemble
prints "aa               "
check "two answer" grep -q '"k":.*2' ensemble/config.json
run 0 "$ARTEL" eval ensemble --data "$data" --context 64 --windows 2 --route-on 8 --json
loss=$(sed -n 's/.*"domain":"aa".*"loss":\([0-9.]*\).*/\1/p' .out | cut -c1-7)
run 0 "$ARTEL" compose btx.yaml -o again --json --set report.ensemble_router=router
grep '"report":"ensemble"' .out >row
check "the report says the same of it: $loss" grep -q "\"loss\":{\"aa\":$loss" row
run 0 "$ARTEL" eval ensemble --data "$data" --context 64 --windows 2 --usage
prints "aa 100.0%"
run 0 "$ARTEL" eval ensemble --data "$data" --windows 2 --json --experts aa,bb
prints '"domain":"cc"'
run 0 "$ARTEL" eval ensemble --data "$data" --windows 2 --own
run 0 "$ARTEL" compose ensemble.yaml -o three --set k=3
run 0 "$ARTEL" compose ensemble.yaml -o equal --set router= --set k=3
run 0 "$ARTEL" compose ensemble.yaml -o equal2 --set router=
check "no router" test ! -e equal/router.safetensors
for m in three equal equal2; do
    run 0 "$ARTEL" eval "$m" --data "$data" --context 64 --windows 2 --route-on 8 --json
    grep '"domain":"all"' .out | sed 's/.*"loss"//' >"all-$m"
done
check "k changes nothing" test "$(cat all-equal2)" != "$(cat all-equal)"
check "the router changes nothing" test "$(cat all-equal)" != "$(cat all-three)"
run 0 "$ARTEL" generate ensemble -p "mi no" -n 4 --experts aa
run 2 "$ARTEL" generate ensemble -p "mi no" -n 4
says "ensemble is an ensemble: \`artel eval\` measures what its models say together"
run 1 "$ARTEL" eval ensemble --data "$data" --windows 2 --abstain 0.9
says "it does not abstain"
sed 's/"k":.*2/"k": 9/' ensemble/config.json >config.json
cp -r ensemble broken && mv config.json broken/config.json
run 1 "$ARTEL" eval broken --data "$data"
says "broken/config.json: field \"k\""
printf 'extend: {name: dd}\ndata: {train: %s}\ntrain: {steps: 1}\n' "$data" >extend.yaml
run 1 "$ARTEL" extend ensemble extend.yaml -o x
says "ensemble is an ensemble: train the new model by itself, and compose all again"
run 1 "$ARTEL" compose ensemble.yaml -o x --set k=4
says "\`k\`: 4 models answer together, but there are 3"
run 1 "$ARTEL" compose ensemble.yaml -o x --set mode=ple --set k=2
says "\`k\`: of mode ensemble and btx: else one expert answers"
run 1 "$ARTEL" compose ensemble.yaml -o x --set mode=ple --set router=
says "the key \`router\` is missing"

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
