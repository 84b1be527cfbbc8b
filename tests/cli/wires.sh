#!/bin/sh
# wires.sh - every option and key has its effect.  Models are trained for a few steps on two languages; sizes
# are chosen so that an option that is ignored shows in the output.
. tests/cli/lib.sh
cd "$work" || exit 1
two_languages

cat >small.yaml <<'Y'
seed: 7
model: {arch: gpt2, n_layer: 1, n_embd: 32, n_head: 2, n_positions: 64}
data: {train: data}
train: {steps: 6, batch: 4, context: 32, lr: 3e-3, eval_every: 3, eval_windows: 2, save_every: 2, keep: 10}
Y
# number KEY: its value in the first line of the last output that has it
number() { sed -n "s/.*\"$1\":\(-\{0,1\}[0-9.e+-]*\).*/\1/p" "$work/.out" | head -1; }
# of DOMAIN KEY: the same in the line of a domain
of() { grep "\"domain\":\"$1\"" "$work/.out" | sed "s/.*\"$2\":\([0-9.e+-]*\).*/\1/"; }
# is FORMULA: awk says that it holds
is() { awk "BEGIN { exit !($1) }"; }

# ---- train -------------------------------------------------------------------------------------------
run 0 "$ARTEL" train small.yaml -o small -q
check "--quiet is not quiet" test ! -s .err
check "checkpoints at other steps" test "$(ls small/checkpoints | tr '\n' ' ')" = \
    "step-00000002 step-00000004 step-00000006 "
check "validation at other steps" test \
    "$(grep '"domain":"all"' small/metrics.jsonl | sed 's/.*"step":\([0-9]*\).*/\1/' | tr '\n' ' ')" = "3 6 "
run 0 "$ARTEL" train small.yaml -o other -q --set train.eval_every=2 --set train.save_every=3
check "eval_every stands for save_every" test "$(ls other/checkpoints | tr '\n' ' ')" = \
    "step-00000003 step-00000006 "

# as many steps as it takes for so many tokens, 128 a step
run 0 "$ARTEL" train small.yaml -o tokens -q --set train.steps=0 --set train.tokens=257
prints "3 steps"

# validation over more windows is another number; of the domains in use alone
validation() { grep '"domain":"aa"' "$1/metrics.jsonl" | tail -1 | sed 's/.*"val_loss"://'; }
run 0 "$ARTEL" train small.yaml -o all -q --set train.eval_windows=0
check "eval_windows is ignored" test "$(validation small)" != "$(validation all)"
check "other parameters" cmp -s small/model/model.safetensors all/model/model.safetensors
run 0 "$ARTEL" train small.yaml -o one -q --set 'data.domains=[aa]'
check "domains is ignored" sh -c "! grep -q '\"domain\":\"bb\"' one/metrics.jsonl"

# a run goes on from its newest checkpoint
rm -r small/model small/checkpoints/step-00000006
run 0 "$ARTEL" train small.yaml -o small --resume
says "at step 4 of 6"
check "resumed: other parameters" cmp -s small/model/model.safetensors all/model/model.safetensors

# so it does with every optimiser, and from a recipe written before a key was known; not from another one
run 0 "$ARTEL" train small.yaml -o muon -q --set train.optimizer=muon
cp -r muon stopped
rm -r stopped/model stopped/checkpoints/step-00000006
grep -v muon_scale muon/recipe.yaml >stopped/recipe.yaml
run 0 "$ARTEL" train small.yaml -o stopped --resume --set train.optimizer=muon
says "at step 4 of 6"
check "muon, resumed: other parameters" cmp -s muon/model/model.safetensors stopped/model/model.safetensors
check "muon: the parameters of adamw" sh -c "! cmp -s muon/model/model.safetensors all/model/model.safetensors"
run 1 "$ARTEL" train small.yaml -o stopped --resume --set train.optimizer=muon --set train.muon_scale=0.3
says "the recipe has changed"
run 1 "$ARTEL" train small.yaml -o x --set train.optimizer=adam
says "expected one of adamw, muon, found \`adam\`"

run 0 "$ARTEL" train small.yaml -o seeded -q --seed 9
check "--seed of train is ignored" grep -q '^seed: 9$' seeded/recipe.yaml

# ---- plan --------------------------------------------------------------------------------------------
run 0 "$ARTEL" plan small.yaml --json
check "two moments" grep -q "\"moments\":$(($(number gradients) * 2))" .out
tokens=$(number data_tokens) all=$(number gradients) disk=$(number disk_bytes)
run 0 "$ARTEL" plan small.yaml --json --set 'freeze=["*.mlp.*"]'
check "what is frozen has no gradient" is "$(number gradients) == $all - 4 * (2 * 32 * 128 + 160)"
check "nor moments" is "$(number moments) == 2 * $(number gradients) && $(number disk_bytes) < $disk"
run 1 "$ARTEL" plan small.yaml --set 'freeze=[nothing]'
says "\`nothing\` matches no parameter"
run 0 "$ARTEL" plan small.yaml --json --set 'data.domains=[aa]'
check "domains of plan" is "$(number data_tokens) < 0.6 * $tokens"

# ---- eval --------------------------------------------------------------------------------------------
run 0 "$ARTEL" eval all/model --data data --windows 2 --context 16 --json
check "windows and context" test "$(of aa tokens) $(of bb tokens) $(of all tokens)" = "32 32 64"
run 0 "$ARTEL" eval all/model --data data --windows 2 --json
check "a context of its own" test "$(of aa tokens)" = 128
run 0 "$ARTEL" eval all/model --data data --json
a=$(of aa bits_per_byte) b=$(of bb bits_per_byte) both=$(of all bits_per_byte)
check "bits of all, $both, are not between $a and $b" is "($both - $a) * ($both - $b) <= 0"
cp .out test.eval
run 0 "$ARTEL" eval all/model --data data --json --split test
check "another split by default" cmp -s .out test.eval
for split in train validation; do
    run 0 "$ARTEL" eval all/model --data data --json --split $split
    check "--split $split is ignored" sh -c "! cmp -s .out test.eval"
done
run 0 env ARTEL_SPLIT=nowhere "$ARTEL" eval all/model --data data --split test -q
run 2 env ARTEL_SPLIT=nowhere "$ARTEL" eval all/model --data data -q
says "nowhere"

# ---- generate ----------------------------------------------------------------------------------------
text() { "$ARTEL" generate all/model -p mino -n 40 -q --temperature 50 --top-k 0 "$@" 2>/dev/null; }
text --seed 1 >1
text --seed 1 >again
text --seed 2 >2
check "the same seed, another text" cmp -s 1 again
check "--seed is ignored" sh -c "! cmp -s 1 2"
text --seed 1 --greedy >1
text --seed 2 --greedy >2
check "--greedy is ignored" cmp -s 1 2
text --seed 1 --top-k 1 >2
check "--top-k is ignored" cmp -s 1 2
text --seed 1 --top-p 1e-6 >2
check "--top-p is ignored" cmp -s 1 2
text --seed 1 --temperature 0 >2
check "--temperature is ignored" cmp -s 1 2
run 2 "$ARTEL" generate all/model -p x --top-p 1.5
says "top-p: expected a number in [0, 1]"

# where all tokens are alike, each draw decides for itself
run 0 "$ARTEL" train small.yaml -o alike -q --set model.initializer_range=0 --set train.lr=0
run 0 "$ARTEL" generate alike/model -p mino -n 60 --temperature 1 --top-k 0
check "the same token again and again" sh -c 'test "$(od -An -v -tx1 -w1 <.out | sort -u | wc -l)" -gt 20'

# ---- a composed model: its order is not the router's --------------------------------------------------
run 0 "$ARTEL" router train data -o router -q
for d in aa bb; do run 0 "$ARTEL" train small.yaml -o of-$d -q --set "data.domains=[$d]"; done
cat >c.yaml <<'Y'
router: router
experts:
  - {name: bb, model: of-bb/model}
  - {name: aa, model: of-aa/model}
Y
run 0 "$ARTEL" compose c.yaml -o model
run 0 "$ARTEL" generate model -p "mino take lora" -n 4
says "expert aa"
run 0 "$ARTEL" generate model -p "zuvog drikep" -n 4
says "expert bb"
run 0 "$ARTEL" data build --domain aa=aa --domain bb=bb --vocab 280 -o less -q
run 0 "$ARTEL" train small.yaml -o less-aa -q --set data.train=less
run 1 "$ARTEL" compose c.yaml -o x --set experts.1.model=less-aa/model
says "was trained with tokenizer"
done_testing
