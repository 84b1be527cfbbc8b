#!/bin/sh
# The life of a module of a mixture: added with a certificate, listed, shipped as a file, put into another model,
# left out, dropped again; and what does not fit is refused.
. tests/cli/lib.sh
data=$PWD/tests/golden/runs/data
cd "$work" || exit 1

# the golden data, in which two domains have licences
cp -r "$data" data
chmod -R u+w data
awk '/"name":/ { name = $0 } /"licence":/ && name ~ /"bb"/ { sub(/null/, "\"CC-BY-4.0 AND MIT\"") }
     /"licence":/ && name ~ /"cc"/ { sub(/null/, "\"GPL-3.0\"") } { print }' "$data/manifest.json" >data/manifest.json

cat >base.yaml <<Y
seed: 3
model: {arch: moduleformer, n_layer: 2, n_embd: 16, n_head: 1, att_hidden: 16, ffd_hidden: 24, gating_size: 8,
        n_att_experts: 2, n_mlp_experts: 3, k_att: 1, k_mlp: 2, tie_word_embeddings: true}
data: {train: data, domains: [aa]}
train: {steps: 30, batch: 4, context: 32, lr: 1e-2, eval_every: 0}
Y
run 0 "$ARTEL" train base.yaml -o run -q
model=run/model
sums() { (cd "$1" && find . -type f -name '*.safetensors' -exec md5sum {} + | sort); }
sums $model >before

cat >bb.yaml <<Y
seed: 5
extend: {name: bb, attention: 1, feed_forward: [1, 1], router_decay: 0.01, documents: 8}
data: {train: data}
train: {steps: 40, batch: 4, context: 32, lr: 2e-2, eval_every: 0, save_every: 10}
Y
run 0 "$ARTEL" extend $model bb.yaml -o more -q --require bit-identical --require 'aa:+400%'
prints "module bb added"
prints "without it the model is what it was, to the bit"
prints "1 ways to ask, 3 windows, 192 tokens"
check "the old model is as it was" test "$(sums $model)" = "$(cat before)"
check "its file is in the new one" cmp -s $model/model.safetensors more/model.safetensors
check "so is its configuration" cmp -s $model/config.json more/config.json
check "the module has a file" test -f more/modules/001-bb.safetensors
check "a certificate lies in the model" grep -q '"bit-identical"' more/certificate.json
loss() { # of bb, in thousandths
    run 0 "$ARTEL" eval "$1" --data data --json $2
    sed -n 's/.*"domain":"bb".*"loss":\([0-9.]*\).*/\1/p' .out | awk '{ printf "%d\n", 1000 * $1 }'
}
check "it has learned its language" test "$(loss more "")" -lt "$(($(loss $model "") - 100))"

# ---- who takes part -----------------------------------------------------------------------------------
printf '%s' ids >/dev/null
logits() {
    run 0 "$ARTEL" generate "$1" -p "Mi no" -n 12 --greedy $2
    cp .out "$3"
}
logits $model "" base
logits more "" with
check "it says something else" test "$(cat base)" != "$(cat with)"
logits more "--exclude bb" without && check "without it: as before" cmp -s base without
logits more "--modules none" without && check "the base alone: as before" cmp -s base without
logits more "--modules bb" one && check "with it named: as with it" cmp -s with one
logits more "--licence-allow CC-*,MIT" one && check "its licences are allowed" cmp -s with one
logits more "--licence-allow CC-*" without && check "one of them is not" cmp -s base without
check "of eval, too" test "$(loss more "--exclude bb")" = "$(loss $model "")"
run 2 "$ARTEL" generate more -p a -n 1 --modules xx
says "has no module \`xx\`"
run 2 "$ARTEL" generate $model -p a -n 1 --licence-allow 'X'
says "has no modules whose passports name licences"

# ---- as one model, for other programs -----------------------------------------------------------------------
run 0 "$ARTEL" convert more -o flat --to artel
check "in one file" test ! -e flat/modules -a ! -e flat/artel.json
logits flat "" one && check "says what it said" cmp -s with one
run 0 "$ARTEL" convert more -o narrow --to hf --dtype bf16
run 0 "$ARTEL" inspect narrow
prints "n_mlp_experts: 4"

# ---- listed, shown, shipped -----------------------------------------------------------------------------
run 0 "$ARTEL" module ls more
prints "bb"
prints "licences: CC-BY-4.0 MIT"
run 0 "$ARTEL" module show more bb
prints "40 steps, seed 5"
run 2 "$ARTEL" module show more zz
says "has no module \`zz\`"
run 0 "$ARTEL" module export more bb -o bb.safetensors
check "the file is the model's" cmp -s bb.safetensors more/modules/001-bb.safetensors
run 0 "$ARTEL" module show bb.safetensors --json
prints '"name":"bb"'
check "no place of this machine is in it" test -z "$(grep -c "$work" .out | grep -v '^0$')"
run 0 "$ARTEL" module add $model bb.safetensors -o again
logits again "" one && check "put in again: as with it" cmp -s with one
run 0 "$ARTEL" module add more bb.safetensors -o twice --as b2
check "under another name" test -f twice/modules/002-b2.safetensors
run 2 "$ARTEL" module add more bb.safetensors -o no
says "more has a module \`bb\` already"
check "nothing is left of it" test ! -e no

# ---- dropped: the files are those of before --------------------------------------------------------------
run 0 "$ARTEL" module drop more bb -o less --certify
prints "exact: what is left is, bit for bit, the model that never saw the module's data"
prints "logits are the same to the bit as with the module excluded"
check "byte for byte" test "$(sums less)" = "$(cat before)"
check "the configuration, too" cmp -s $model/config.json less/config.json
logits less "" without && check "it answers as before" cmp -s base without
run 0 "$ARTEL" module add less bb.safetensors -o third
check "an id is never given again" test -f third/modules/002-bb.safetensors
run 2 "$ARTEL" module drop less bb -o no
says "has no module \`bb\`, it has none"

# ---- a second one, beside the first; and merged -----------------------------------------------------------
cp bb.yaml cc.yaml
run 0 "$ARTEL" extend more cc.yaml -o both -q --set extend.name=cc --set train.steps=5 --set extend.review=1 --set extend.review_share=0.5
prints "2 ways to ask"
prints "1 other modules have"
prints "the review read"
run 1 "$ARTEL" module drop both bb -o no --certify
says "module \`cc\` was trained while \`bb\` was there"
check "nothing is left of it" test ! -e no
run 0 "$ARTEL" module drop both bb -o rest
prints "not exact: module \`cc\` was trained while \`bb\` was there"
run 0 "$ARTEL" module drop both cc -o first --certify
check "the first one is as it was" cmp -s first/modules/001-bb.safetensors more/modules/001-bb.safetensors
run 0 "$ARTEL" extend $model cc.yaml -o other -q --set extend.name=cc --set train.steps=5
run 0 "$ARTEL" module merge more other -o union
prints "1 modules added"
logits union "--exclude cc" one && check "of the two the one" cmp -s with one
logits other "" cc
logits union "--exclude bb" one && check "and the other" cmp -s cc one

# ---- an interrupted call is continued to the same bits --------------------------------------------------
rm -rf more.run/checkpoints/step-00000040 more.run/checkpoints/step-00000030 more.run/model
mv more whole
run 0 "$ARTEL" extend $model bb.yaml -o more -q
check "the same module" cmp -s whole/modules/001-bb.safetensors more/modules/001-bb.safetensors

# ---- trained with the rest -------------------------------------------------------------------------------
sed '/^model:/d; /n_att_experts/d' base.yaml >joint.yaml
run 0 "$ARTEL" train joint.yaml -o joint --set init=more --set train.steps=1
says "more has modules: they are trained with the rest as one model"
check "and the run's model has none" test ! -e joint/model/artel.json

# ---- which layers ----------------------------------------------------------------------------------------
run 0 "$ARTEL" extend $model bb.yaml -o some -q --set train.steps=1 --set extend.layers=1 --set 'extend.feed_forward=[2, 2]' --set extend.init=domain
prints "added, 2.07 k parameters" # 1 + 2 experts of 520 and 776, rows included, in one layer of each kind
run 0 "$ARTEL" extend $model bb.yaml -o uneven -q --set train.steps=1 --set extend.attention=0 --set 'extend.feed_forward=[2, 0]'
check "numbers are those of each layer" grep -q '"feed_forward":	\[2, 0\]' uneven/artel.json
run 2 "$ARTEL" module add some uneven/modules/001-bb.safetensors -o no --as 'a/b'
says "expected up to 64 letters, digits"
run 0 "$ARTEL" module add some uneven/modules/001-bb.safetensors -o mixed --as b2

# ---- a promise is about the upper end of the interval -----------------------------------------------------
awk '/"domain"/ { d = $0 } /"low"/ && d ~ /aa/ { sub(/,/, "", $2); low = $2 } /"high"/ && d ~ /aa/ { high = $2 + 0
     printf "%.9f %.9f\n", 50 * (low + high), 100 * high + 1e-6 }' more/certificate.json >limits
read -r middle top <limits
run 1 "$ARTEL" extend $model bb.yaml -o no -q --run more.run --require "aa:+$middle%"
says "require aa:+$middle% does not hold: the loss of aa changes by"
run 0 "$ARTEL" extend $model bb.yaml -o yes -q --run more.run --require "aa:+$top%"

# ---- what does not hold, or does not fit ------------------------------------------------------------------
run 1 "$ARTEL" extend $model bb.yaml -o no -q --require 'bb:-99%' --run again.run
says "require bb:-99% does not hold: the loss of bb changes by"
check "there is no model" test ! -e no
run 2 "$ARTEL" extend $model bb.yaml -o no -q --require 'zz:+1%'
says "has no domain of this name"
run 2 "$ARTEL" extend $model bb.yaml -o no -q --require 'fr+1'
says "expected bit-identical, or DOMAIN:+P%"
run 1 "$ARTEL" extend more bb.yaml -o no -q --run no.run
says "has a module \`bb\` already"
run 1 "$ARTEL" extend $model bb.yaml -o no -q --set extend.feed_forward=[1] --set extend.attention=[1,1,1]
says "expected one number, or one for each of 2 layers, found 3"
run 1 "$ARTEL" extend $model bb.yaml -o no -q --set extend.review=100
says "expected at most"
run 0 "$ARTEL" train base.yaml -o run2 -q --set seed=4
run 1 "$ARTEL" module add run2/model bb.safetensors -o no
says "was trained on a base with digest"
head -c 3000 bb.safetensors >cut.safetensors
run 1 "$ARTEL" module add $model cut.safetensors -o no
says "cut.safetensors"
run 1 "$ARTEL" module add $model $model/model.safetensors -o no
says "expected a module's file"
run 1 "$ARTEL" module merge more run2/model -o no
says "did not grow from one base"
check "nothing is left of all this" test -z "$(ls -A | grep -e '^no' -e artel-partial)"
done_testing
