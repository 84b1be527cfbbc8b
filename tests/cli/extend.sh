#!/bin/sh
# One more trunk: what was there is frozen, and proved to be as it was; an interrupted call goes on.
. tests/cli/lib.sh
data=$PWD/tests/golden/runs/data
cd "$work" || exit 1

cat >recipe.yaml <<Y
seed: 3
model: {arch: trunks, common: true, trunk: {arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 64}}
data: {train: $data, domains: [aa, cc]}
train: {steps: 40, batch: 4, context: 32, lr: 1e-2, eval_every: 0}
Y
run 0 "$ARTEL" train recipe.yaml -o run -q
run 0 "$ARTEL" router train "$data" -o router -q
printf 'mode: moe-ce\nrouter: router\nmodel: run/model\n' >compose.yaml
run 0 "$ARTEL" compose compose.yaml -o model
find model -type f -exec md5sum {} + | sort >before

cat >extend.yaml <<Y
seed: 5
extend: {name: bb}
data: {train: $data}
train: {steps: 60, batch: 4, context: 32, lr: 1e-2, eval_every: 0, save_every: 20}
Y
run 0 "$ARTEL" extend model extend.yaml -o more -q
prints "trunk bb added, 4.34 k parameters"
prints "tensors of the old model have the digest they had"
prints "the same to the bit: 5 ways to ask, 3 windows, 192 tokens" # two experts with and without, the common one
check "a certificate lies in the model" grep -q '"kind":	"bit-identical"' more/certificate.json
check "the old model is as it was" test "$(find model -type f -exec md5sum {} + | sort)" = "$(cat before)"
for file in 000-aa 001-cc; do
    check "$file is the file that it was" cmp -s "model/modules/$file.safetensors" "more/modules/$file.safetensors"
done
check "so is what they share" cmp -s model/model.safetensors more/model.safetensors
check "and the common one" cmp -s model/modules/002-common.safetensors more/modules/003-common.safetensors
run 0 "$ARTEL" eval more --data "$data" --usage
prints "aa 33.3%  cc 33.3%  bb 33.3%"
loss_of_bb() { # in thousandths
    run 0 "$ARTEL" eval more --data "$data" --experts "$1" --json
    sed -n 's/.*"domain":"bb".*"loss":\([0-9.]*\).*/\1/p' .out | awk '{ printf "%d\n", 1000 * $1 }'
}
check "it has learned its language" test "$(loss_of_bb bb)" -lt "$(($(loss_of_bb aa) - 100))"
run 0 "$ARTEL" generate model -p "Mi no" -n 8 --greedy --experts aa
cp .out old
run 0 "$ARTEL" generate more -p "Mi no" -n 8 --greedy --experts aa
check "an old expert says what it said" cmp -s .out old
run 0 "$ARTEL" generate more -p "Mi no" -n 8 --greedy --modules aa
check "modules are experts here" cmp -s .out old
run 0 "$ARTEL" module ls more
prints "bb"
run 0 "$ARTEL" module show more bb
prints "module      bb, 4.34 k parameters"
run 1 "$ARTEL" module drop more bb -o none
says "more: expected a mixture, which may have modules, found a composed model"
run 1 "$ARTEL" module add more more/model.safetensors -o none
says "found a composed model"
run 2 "$ARTEL" generate more -p a -n 1 --licence-allow X
says "has no modules whose passports name licences"
run 2 "$ARTEL" extend model extend.yaml -o none -q --require aa:+1%
says "bit-identical alone"

# ---- from the model of a run, from another trunk, with a router that is given ------------------------
run 0 "$ARTEL" extend run/model extend.yaml -o copy -q --run copied --set extend.from=aa --set extend.router=router \
    --set train.lr=0 --set train.steps=1
run 0 "$ARTEL" eval copy --data "$data" --experts aa --json
cp .out as-aa
run 0 "$ARTEL" eval copy --data "$data" --experts bb --json
check "it began as aa" cmp -s .out as-aa
check "the router is the one given" cmp -s router/router.safetensors copy/router.safetensors

# ---- interrupted: the same call goes on, to the same bits ----------------------------------------------
rm -rf more.run/checkpoints/step-00000060 more.run/model
mv more whole
run 0 "$ARTEL" extend model extend.yaml -o more
says "resuming more.run at step 40"
check "continued is uninterrupted" cmp -s whole/modules/002-bb.safetensors more/modules/002-bb.safetensors

# ---- refused --------------------------------------------------------------------------------------------
run 2 "$ARTEL" extend model extend.yaml -o more
says "exists"
run 1 "$ARTEL" extend model extend.yaml -o x --set extend.name=cc
says 'model has a trunk `cc` already'
run 1 "$ARTEL" extend model extend.yaml -o x --set extend.from=dd
says 'model has no trunk `dd`'
run 1 "$ARTEL" extend model extend.yaml -o x --set extend.name=common
says 'and not `common`'
run 1 "$ARTEL" extend model extend.yaml -o x --set init=run/model
says "the model that is extended is what the run begins with"
run 1 "$ARTEL" extend model extend.yaml -o x --set extend.name=zz
says 'no domain "zz"'
run 0 "$ARTEL" train recipe.yaml -o plain -q --set "model={arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 64}" \
    --set train.steps=1
run 1 "$ARTEL" extend plain/model extend.yaml -o x
says "plain/model is a single network"

# ---- whole models behind a router ---------------------------------------------------------------------
for d in aa cc; do
    run 0 "$ARTEL" train recipe.yaml -o "ple-$d" -q --set "data.domains=[$d]" \
        --set "model={arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 64}"
done
printf 'mode: ple\nrouter: router\nexperts: [{name: aa, model: ple-aa/model}, {name: cc, model: ple-cc/model}]\n' >ple.yaml
run 0 "$ARTEL" compose ple.yaml -o ple
find ple -type f -exec md5sum {} + | sort >before
run 0 "$ARTEL" extend ple extend.yaml -o ple3 -q
prints "ple3: expert bb added, "
prints "the same to the bit: 2 ways to ask, 3 windows, 192 tokens"
check "the old folder is as it was" test "$(find ple -type f -exec md5sum {} + | sort)" = "$(cat before)"
for file in e000-aa e001-cc; do
    check "$file is the file that it was" cmp -s "ple/experts/$file.safetensors" "ple3/experts/$file.safetensors"
done
run 0 "$ARTEL" eval ple3 --data "$data" --usage
prints "aa 33.3%  cc 33.3%  bb 33.3%"
run 0 "$ARTEL" extend ple extend.yaml -o plecopy -q --set extend.from=cc --set train.lr=0 --set train.steps=1 --json
prints '"kind":"expert"'
run 0 "$ARTEL" eval plecopy --data "$data" --experts cc --json
cp .out as-cc
run 0 "$ARTEL" eval plecopy --data "$data" --experts bb --json
check "it began as cc" cmp -s .out as-cc
run 1 "$ARTEL" extend ple extend.yaml -o x --set extend.name=aa
says 'ple has an expert `aa` already'
run 1 "$ARTEL" extend ple extend.yaml -o x --set extend.from=dd
says 'ple has no expert `dd`'
sed 's/name: aa, model: ple-aa/name: bb, model: ple/; s|ple/model|ple|' ple.yaml >other.yaml
run 1 "$ARTEL" compose other.yaml -o x
says 'ple is composed, but has no expert `bb`'
sed 's/ple-aa/run/' ple.yaml >trunks.yaml
run 1 "$ARTEL" compose trunks.yaml -o x
says "run/model is of trunks over one embedding"
check "nothing is left behind" test ! -e x

done_testing
