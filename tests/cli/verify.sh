#!/bin/sh
# Modules that are made again from their passports; what was edited, or made of something else, is found out.  Then
# life-cycle commands that are killed: the old model stays whole.
. tests/cli/lib.sh
data=$PWD/tests/golden/runs/data
cd "$work" || exit 1
cp -r "$data" data
chmod -R u+w data

cat >base.yaml <<Y
seed: 3
model: {arch: moduleformer, n_layer: 1, n_embd: 8, n_head: 1, att_hidden: 8, ffd_hidden: 8, gating_size: 4,
        n_att_experts: 2, n_mlp_experts: 2, k_att: 1, k_mlp: 1, tie_word_embeddings: true}
data: {train: data, domains: [aa]}
train: {steps: 3, batch: 2, context: 16, lr: 1e-2, eval_every: 0}
Y
cat >bb.yaml <<Y
seed: 5
extend: {name: bb, attention: 1, documents: 2}
data: {train: data}
train: {steps: 12, batch: 2, context: 16, lr: 2e-2, eval_every: 0, save_every: 4}
Y
run 0 "$ARTEL" train base.yaml -o run -q
run 0 "$ARTEL" extend run/model bb.yaml -o more -q
run 0 "$ARTEL" module export more bb -o bb.safetensors
run 0 "$ARTEL" module show bb.safetensors --json
for n in 1 2 5 10; do prints "{\"step\":$n,\"digest\":"; done
check "a digest of step 12" sh -c "! grep -q '\"step\":12' .out"
prints 'init: BASE\n'
prints 'data:\n  train: DATA\n'

# ---- it is what its passport says ---------------------------------------------------------------------
run 0 "$ARTEL" module verify bb.safetensors --data data --base run/model -q --threads 1
prints "made again in 12 steps, has the same bits and the same passport"
prints "step      10"
check "nothing is left of it" test ! -e module.verify
run 0 "$ARTEL" module verify more bb --data data --steps 7 --json
prints '"verified":true,"whole":false,"steps":5,"of":12'
check "no more than was asked for" sh -c "! grep -q '\"name\":\"10\"' .out"
cp -r data elsewhere
run 0 "$ARTEL" module verify bb.safetensors --data elsewhere --base more --steps 1 -q --run there
prints "made again to step 1 of 12, had the same bits there"

# ---- interrupted runs have the digests of whole ones ----------------------------------------------------
rm -rf more.run/checkpoints/step-00000012 more.run/checkpoints/step-00000008 more.run/model
run 0 "$ARTEL" extend run/model bb.yaml -o resumed -q --run more.run
check "the same module, passport and all" cmp -s bb.safetensors resumed/modules/001-bb.safetensors

# ---- a passport that was edited, of the same length ---------------------------------------------------
sed 's/nseed: 5/nseed: 6/' bb.safetensors >edited.safetensors
run 1 "$ARTEL" module verify edited.safetensors --data data --base run/model -q --steps 2
says "edited.safetensors: altered: its metadata is not what was written"
edited() { # and of the file's own hash there is nothing left: what it says, what it is made to say, what is found out
    sed "s/$1/$2/; s/artel\.hash/other.hash/g" bb.safetensors >edited.safetensors
    check "nothing was edited: $1" sh -c '! cmp -s bb.safetensors edited.safetensors'
    run 1 "$ARTEL" module verify edited.safetensors --data data --base run/model -q --steps "${4:-2}"
    says "$3"
    prints "edited.safetensors: module bb is not verified"
}
edited 'nseed: 5' 'nseed: 6' "created.seed is 5, made again it is 6"
edited '"seed\\":5' '"seed\\":6' "created.seed is 6, made again it is 5"
edited 'lr: 0.02' 'lr: 0.03' "after step 1 its passport has digest"
edited '"steps\\":12' '"steps\\":13' "created.steps is 13, made again it is 12"
edited 'unknown' 'unknowm' "data.licences[0] is \`unknowm\`, made again it is \`unknown\`"
edited '"documents\\":2' '"documents\\":3' "evaluation[0].documents is 3, made again it is 2" 0
run 0 "$ARTEL" module verify bb.safetensors --data data --base run/model -q --steps 2

# ---- other data, another base -------------------------------------------------------------------------
printf x | dd of=elsewhere/cc.train.bin bs=1 seek=4100 conv=notrunc 2>/dev/null
run 1 "$ARTEL" module verify bb.safetensors --data elsewhere --base run/model -q --steps 1
says "elsewhere/cc.train.bin: the manifest says that it has SHA-256"
cp data/cc.train.bin elsewhere
echo >>elsewhere/manifest.json
run 1 "$ARTEL" module verify bb.safetensors --data elsewhere --base run/model -q --steps 1 --json
says "elsewhere/manifest.json: module \`bb\` was trained on data whose manifest has SHA-256"
prints '"verified":false'
prints '"reason":"elsewhere/manifest.json'
run 0 "$ARTEL" train base.yaml -o run2 -q --set seed=4
run 1 "$ARTEL" module verify bb.safetensors --data data --base run2/model -q --steps 1
says "it was trained on a base with digest"

# ---- beside another one, which must be there -----------------------------------------------------------
run 0 "$ARTEL" extend more bb.yaml -o both -q --set extend.name=cc --set train.steps=2 --set extend.review=3 \
    --set extend.review_share=0.9
run 0 "$ARTEL" module verify both cc --data data -q
prints "module    bb"
prints "made again in 5 steps, has the same bits and the same passport"
run 0 "$ARTEL" module verify both cc --data data -q --steps 4
prints "made again to step 2 of 5"
run 0 "$ARTEL" module verify both bb --data data -q --steps 2
run 1 "$ARTEL" module verify both cc --base run/model --data data -q --steps 2
says "it was trained beside module \`bb\` with digest"
says "run/model has none"

# ---- what it is asked -----------------------------------------------------------------------------------
run 2 "$ARTEL" module verify bb.safetensors --data data
says "of a FILE: --base MODEL"
run 2 "$ARTEL" module verify more zz --data data
says "has no module \`zz\`"
mkdir mine && echo text >mine/file
run 2 "$ARTEL" module verify bb.safetensors --data data --base more --run mine
says "mine exists, and is no folder of this command"
check "what was there is there" test "$(cat mine/file)" = text

# ---- Ctrl-C keeps what was made; another file does not go on with it -----------------------------------------
run 0 "$ARTEL" extend run/model bb.yaml -o long -q --set train.steps=600 --set train.save_every=100
"$ARTEL" module verify long bb --base run/model --data data -q --run kept 2>.err &
pid=$!
while [ ! -d kept/run/checkpoints/step-00000100 ] && kill -0 $pid 2>/dev/null; do :; done
kill -INT $pid 2>/dev/null
wait $pid
rc=$?
if [ $rc -eq 130 ]; then # it may have been done by then
    says "interrupted: kept is kept, and the same call goes on"
    run 2 "$ARTEL" module verify more bb --data data --run kept
    says "another module was being verified"
    run 0 "$ARTEL" module verify long bb --base run/model --data data -q --run kept
    prints "made again in 600 steps"
else
    check "exit code $rc" test $rc -eq 0
fi
check "nothing is left" test ! -e kept

# ---- killed at any moment -----------------------------------------------------------------------------------
sums() { (cd "$1" && find . -type f -exec md5sum {} + | sort); }
sums both >before
whole() {
    command_line=$*
    check "the old model changed" test "$(sums both)" = "$(cat before)"
    [ ! -e out ] || run 0 "$ARTEL" module ls out
    rm -rf out
}
killed() { # when, command
    wait_for=$1
    shift
    "$ARTEL" "$@" >/dev/null 2>&1 &
    pid=$!
    sleep "$wait_for"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    whole "$@"
}
for when in 0 0.002 0.005 0.01 0.02; do
    killed $when module drop both cc -o out -q
    killed $when module add both bb.safetensors --as dd -o out -q
    killed $when module merge both more -o out -q
    # its run stays, and is gone on with
    killed $when extend both bb.yaml -o out -q --set extend.name=aa --run aa.run
done
run 0 "$ARTEL" extend both bb.yaml -o out -q --set extend.name=aa --run aa.run
run 0 "$ARTEL" extend both bb.yaml -o straight -q --set extend.name=aa
check "killed and gone on with: the same module" cmp -s out/modules/003-aa.safetensors straight/modules/003-aa.safetensors
whole extend
run 0 "$ARTEL" module add both bb.safetensors --as dd -o out -q
check "the next one clears up" test -z "$(ls -A | grep artel-)"
check "and gives the next id" test -f out/modules/003-dd.safetensors
done_testing
