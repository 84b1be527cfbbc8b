#!/bin/sh
# A mixture through the program: a folder as its authors' code writes it (no tokenizer in it), then one
# trained from a recipe with losses for its routers.
. tests/cli/lib.sh
golden=$PWD/tests/golden/moduleformer
cd "$work" || exit 1

for case in molm dense gmm_gate linear_gate_switch; do
    run 0 "$ARTEL" inspect "$golden/$case"
    prints "model_type: moduleformer"
    run 0 "$ARTEL" logits "$golden/$case" --ids "$golden/$case/golden.safetensors" -o out.safetensors
    run 0 "$ARTEL" inspect out.safetensors
    prints "2 x 11 x 61"
    prints "aux_loss"
done
run 0 "$ARTEL" inspect "$golden/molm" # without the buffers in it
prints "parameters: 61120"
run 0 "$ARTEL" logits "$golden/molm" --ids "$golden/molm/golden.safetensors" -o one.safetensors --threads 1
run 0 "$ARTEL" logits "$golden/molm" --ids "$golden/molm/golden.safetensors" -o two.safetensors --threads 2
check "other bits on two threads" cmp -s one.safetensors two.safetensors

mkdir text
awk 'BEGIN { srand(2); split("mi no ta ke lo ra su ne", a, " ")
    for (d = 0; d < 40; d++) { for (p = 0; p < 6; p++) { for (w = 0; w < 40; w++)
        printf "%s%s ", a[1+int(8*rand())], a[1+int(8*rand())] > ("text/" d ".txt")
        printf ".\n\n" > ("text/" d ".txt") } close("text/" d ".txt") } }'
run 0 "$ARTEL" data build --domain aa=text --vocab 300 -o data -q
cat >recipe.yaml <<'Y'
seed: 3
model: {arch: moduleformer, n_layer: 2, n_embd: 32, n_head: 2, att_hidden: 32, ffd_hidden: 24,
        n_att_experts: 4, n_mlp_experts: 6, gating_size: 16}
losses: {mutual_information: 0.01, z: 0.001, attention: 0.5}
data: {train: data}
train: {steps: 12, batch: 4, context: 32, lr: 3e-3, save_every: 6}
Y
run 0 "$ARTEL" plan recipe.yaml
run 0 "$ARTEL" train recipe.yaml -o run -q --threads 1
check "the routers' loss is logged" grep -q '"aux":' run/metrics.jsonl
check "the recipe keeps its losses" grep -q 'mutual_information: 0.01' run/recipe.yaml
run 0 "$ARTEL" train recipe.yaml -o again -q --threads 2
check "other bits on two threads" cmp -s run/model/model.safetensors again/model/model.safetensors
run 0 "$ARTEL" eval run/model --data data --context 128 # no position is learnt: longer than trained
check "the load of the experts is logged" grep -q '"load_entropy":[01]' run/metrics.jsonl
check "and those that are dead" grep -q '"dead_experts":[0-9]' run/metrics.jsonl
check "and shown" grep -q "load</" run/report.html
run 0 "$ARTEL" eval run/model --data data --usage --json
check "a line a router: $(wc -l <.out)" test "$(grep -c '"layer"' .out)" -eq 8 # 2 layers of 2, aa and all
prints '"domain":"aa","layer":1,"kind":"feed_forward","experts":6'
prints '"mutual_information":'
prints '"dead":'
run 0 "$ARTEL" eval run/model --data data --usage
prints "attention     load entropy"
prints "feed_forward  load entropy"
prints "of 12  information"
run 0 "$ARTEL" probe run/model --data data --windows 2 --context 16
prints "tokens in windows of 16:"
prints "layer 1, feed_forward:"
prints "spread of outputs"
prints "without one expert"
run 0 "$ARTEL" probe run/model --data data --split validation --windows 2 --context 16 --json
check "a bank a router" test "$(grep -o '"worst_without_loss"' .out | wc -l)" -eq 4
check "no recall" grep -q '"recall":null' .out
run 2 "$ARTEL" probe run/model --data data --baseline run/model
says "a baseline is for models of tables"
run 0 "$ARTEL" generate run/model -p "mino" -n 80 --seed 1
run 0 "$ARTEL" inspect run/model

run 0 "$ARTEL" train recipe.yaml -o whole -q --set losses.scope=step --set train.accumulate=2 \
    --set train.steps=2

# One expert of each layer learns, the rest stays: no moments for it, and a resume goes on with those there are.
cat >one.yaml <<'Y'
seed: 3
init: run/model
freeze: ["lm_head.*", "*.wte.*", "*.ln_*", "*.attn.*", "*.mlpf.gate.w_gate.0.*", "*.mlpf.experts.[!1].*"]
data: {train: data}
train: {steps: 6, batch: 4, context: 32, lr: 3e-3, save_every: 3}
Y
run 0 "$ARTEL" train one.yaml -o one -q
m=one/checkpoints/step-00000006/adam_m.safetensors
check "moments of what learns" grep -q 'h.0.mlpf.experts.1.out.*h.1.mlpf.experts.1.row' $m
check "moments of what is frozen" awk '/mlpf\.experts\.[02-9]|wte|ln_|lm_head/ { exit 1 }' $m
check "more moments than what learns" test "$(wc -c <$m)" -lt 20000
run 0 "$ARTEL" inspect one/checkpoints/step-00000006
check "nothing was learnt" test "$("$ARTEL" inspect --digest one/model)" != "$("$ARTEL" inspect --digest run/model)"
cp one/model/model.safetensors one.safetensors
rm -rf one/model one/report.html one/checkpoints/step-00000006
run 0 "$ARTEL" train one.yaml -o one -q --resume
check "resumed: other bits" cmp -s one.safetensors one/model/model.safetensors

# Relatives: softmax attention with rotary positions, and one expert of each kind.
run 0 "$ARTEL" train recipe.yaml -o rotary -q --set model.att_func=softmax --threads 1
run 0 "$ARTEL" train recipe.yaml -o rotary2 -q --set model.att_func=softmax --threads 2
check "other bits on two threads" cmp -s rotary/model/model.safetensors rotary2/model/model.safetensors
run 0 "$ARTEL" eval rotary/model --data data --context 128
run 0 "$ARTEL" generate rotary/model -p "mino" -n 80 --seed 1
for func in softmax stickbreaking; do
    run 0 "$ARTEL" train recipe.yaml -o plain.$func -q --set model.att_func=$func --set model.n_att_experts=1 \
        --set model.k_att=1 --set model.n_mlp_experts=1 --set model.k_mlp=1
    run 0 "$ARTEL" eval plain.$func/model --data data --context 128
    run 0 "$ARTEL" inspect plain.$func/model/model.safetensors
    prints "attn.q_proj.experts.weight"
    check "no router for one expert" awk '/\.gate\./ { exit 1 }' "$work/.out"
done

# ---- sequences that read on: the same bits across kill and resume ----------------------------------
on="--set train.history=48 --set train.steps=14 --set train.save_every=3 --set train.accumulate=2"
run 0 "$ARTEL" plan recipe.yaml $on --json
prints '"history":'
run 0 "$ARTEL" train recipe.yaml -o far -q $on --threads 1
check "history is saved" test -s far/checkpoints/step-00000014/history.safetensors
"$ARTEL" train recipe.yaml -o killed -q $on --threads 2 >/dev/null 2>&1 &
pid=$!
while [ ! -d killed/checkpoints/step-00000006 ] && kill -0 $pid 2>/dev/null; do :; done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
rm -rf killed/model # should it have got so far
[ -d killed/checkpoints/step-00000006 ] && rm -rf killed/checkpoints/step-00000009 \
    killed/checkpoints/step-00000012 killed/checkpoints/step-00000014
run 0 "$ARTEL" train recipe.yaml -o killed -q $on --resume --threads 3
check "killed and resumed: other bits" cmp -s far/model/model.safetensors killed/model/model.safetensors
check "other history" cmp -s far/checkpoints/step-00000014/history.safetensors \
    killed/checkpoints/step-00000014/history.safetensors
rm -rf killed/checkpoints/step-00000014/history.safetensors
run 1 "$ARTEL" train recipe.yaml -o killed -q $on --resume
says "history.safetensors: cannot open"

run 1 "$ARTEL" train recipe.yaml -o x --set model.k_mlp=7
says "k_mlp"
run 1 "$ARTEL" train recipe.yaml -o x --set model.n_head=5
says "n_head"
run 1 "$ARTEL" train recipe.yaml -o x --set model.gate_type=hash
says "gate_type"
run 1 "$ARTEL" train recipe.yaml -o x --set losses.zz=1
says "losses.z"
cat >dense.yaml <<'Y'
model: {arch: gpt2, n_layer: 1, n_embd: 32, n_head: 2, n_positions: 64}
losses: {switch: 0.01}
data: {train: data}
train: {steps: 1, batch: 4, context: 32}
Y
run 1 "$ARTEL" train dense.yaml -o x
says "no routers"
sed -i /losses/d dense.yaml
run 1 "$ARTEL" train dense.yaml -o x --set train.history=32
says "train.history: gpt2 reads each sequence by itself"
run 1 "$ARTEL" train recipe.yaml -o x --set train.history=32 --set model.att_func=softmax
says "stick-breaking"
run 1 "$ARTEL" train dense.yaml -o x --set train.pool_max=2
says "train.pool_max: architecture gpt2 has no routers"
run 1 "$ARTEL" train recipe.yaml -o x --set train.pool_max=2 --set train.pool_min=3
says "train.pool_min is 3, more than train.pool_max = 2"
check "a refused run leaves a folder" test ! -e x
run 0 "$ARTEL" train recipe.yaml -o pool.1 -q --threads 1 --set train.pool_max=3 --set train.steps=3
run 0 "$ARTEL" train recipe.yaml -o pool.2 -q --threads 2 --set train.pool_max=3 --set train.steps=3
check "pools: other bits on two threads" cmp -s pool.1/model/model.safetensors pool.2/model/model.safetensors
done_testing
