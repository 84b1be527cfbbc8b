#!/bin/sh
# Trunks over one embedding through the program: trained in turns, composed with a router, asked in every way;
# a trunk that is not asked is not read.
. tests/cli/lib.sh
data=$PWD/tests/golden/runs/data
cd "$work" || exit 1

cat >recipe.yaml <<Y
seed: 3
model: {arch: trunks, common: true, common_dropout: 0.2,
        trunk: {arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 64}}
data: {train: $data}
train: {steps: 90, batch: 4, context: 32, lr: 1e-2, eval_every: 0}
Y
run 0 "$ARTEL" train recipe.yaml -o run -q
check "the domains are the modules" grep -q 'modules: \[aa, bb, cc\]' run/recipe.yaml
run 0 "$ARTEL" train recipe.yaml -o alone -q --set model.common=false --set model.common_dropout=0
run 0 "$ARTEL" plan recipe.yaml
prints "active for a token"

# ---- as it was trained: trunks have names, but nobody chooses ----------------------------------------
run 0 "$ARTEL" eval run/model --data "$data" --own
prints "aa  "
run 2 "$ARTEL" eval run/model --data "$data"
says "artel eval: run/model has 3 trunks and no router to choose between them"
run 0 "$ARTEL" eval run/model --data "$data" --experts bb --usage
prints "bb 100.0%  cc 0.0%"
run 0 "$ARTEL" generate run/model -p "Mi no" -n 6 --greedy --experts aa
cp .out by-name
run 2 "$ARTEL" generate run/model -p "Mi no"
says "name one, have several averaged, or compose it with a router"

# ---- composed ------------------------------------------------------------------------------------------
run 0 "$ARTEL" router train "$data" -o router -q
printf 'mode: moe-ce\nrouter: router\nmodel: run/model\n' >moe-ce.yaml
printf 'mode: jeet\nrouter: router\nmodel: alone/model\n' >jeet.yaml
run 0 "$ARTEL" compose moe-ce.yaml -o moe-ce
prints "modules/001-bb.safetensors"
prints "modules/003-common.safetensors"
run 0 "$ARTEL" compose jeet.yaml -o jeet
check "no common trunk" test ! -e jeet/modules/003-common.safetensors
for file in artel.json config.json model.safetensors router.safetensors tokenizer.json; do
    check "$file is there" test -e "moe-ce/$file"
done
check "passports name the base" grep -q '"base":' moe-ce/artel.json
run 0 "$ARTEL" inspect moe-ce
prints "parameters: 22464"
run 0 "$ARTEL" eval moe-ce --data "$data" --usage
prints "aa 33.3%  bb 33.3%  cc 33.3%"
run 0 "$ARTEL" generate moe-ce -p "Mi no" -n 6 --greedy
check "the router's is the one by name" cmp -s .out by-name
check "and it is told" grep -q "^expert aa (" .err

# Every way to ask, and the same of the plain model.
for how in --own "--average all" "--average aa,cc" "--average aa,cc --common off" "--experts bb --common off" "--common only"; do
    # shellcheck disable=SC2086
    run 0 "$ARTEL" eval moe-ce --data "$data" --route-on -1 --json $how
    cp .out composed
    # shellcheck disable=SC2086
    run 0 "$ARTEL" eval run/model --data "$data" --json $how
    check "$how: the plain model answers otherwise" test "$(sed 's/"route_on":[^,]*,//' composed)" = \
        "$(sed 's/"route_on":[^,]*,//' .out)"
    check "$how: answers as another way does" test ! -e "$(md5sum <composed | cut -c1-32)"
    : >"$(md5sum <composed | cut -c1-32)"
done
run 0 "$ARTEL" eval jeet --data "$data" --own --usage
prints "aa 100.0%  bb 0.0%  cc 0.0%"

# Texts that are written together are of the voices that were asked for.
fluency() {
    run 0 "$ARTEL" eval "$1" --data "$data" --generate --samples 3 --prompt-tokens 4 --tokens 12 --temperatures 1 --json "$2" "$3"
    sed 's/"tokens_per_second":[^,}]*//' .out
}
fluency run/model --experts aa >by-aa
fluency run/model --average aa,bb >by-two
check "another voice, another text" test "$(cat by-aa)" != "$(cat by-two)"
fluency moe-ce --average aa,bb >by-two-composed
check "the same voice of the composed model" test "$(sed 's/"language.*//' by-two)" = "$(sed 's/"language.*//' by-two-composed)"

# ---- what is refused -------------------------------------------------------------------------------------
run 2 "$ARTEL" eval jeet --data "$data" --common off
says "jeet has no common trunk to leave out or to ask alone"
run 2 "$ARTEL" eval moe-ce --data "$data" --common maybe
says 'common `maybe`: expected on, off or only'
run 2 "$ARTEL" generate moe-ce -p x --average aa --experts bb
says "experts to choose from, or experts to average: not both"
run 2 "$ARTEL" generate moe-ce -p x --average aa,dd
says 'moe-ce has no expert `dd`'
run 2 "$ARTEL" eval moe-ce --data "$data" --own --experts aa
says "own: each domain's own expert, or a choice of experts: not both"
run 1 "$ARTEL" compose moe-ce.yaml -o x --set mode=jeet
says "run/model has a common trunk: it is composed with mode: moe-ce"
run 1 "$ARTEL" compose jeet.yaml -o x --set mode=moe-ce
says "alone/model has no common trunk: it is composed with mode: jeet"
run 0 "$ARTEL" train recipe.yaml -o other -q --set "model.modules=[aa, bb, cc, dd]" --set train.steps=1
run 1 "$ARTEL" compose moe-ce.yaml -o x --set model=other/model
says 'router was trained for other classes: it knows none called `dd`, which is a trunk of other/model'
run 1 "$ARTEL" compose moe-ce.yaml -o x --set model=jeet
check "nothing is left behind" test ! -e x

# ---- a trunk that is not asked is not read -----------------------------------------------------------
mv moe-ce/modules/001-bb.safetensors away
run 0 "$ARTEL" generate moe-ce -p "Mi no" -n 6 --greedy
check "one trunk less, another text" cmp -s .out by-name
run 0 "$ARTEL" eval moe-ce --data "$data" --experts aa
run 1 "$ARTEL" generate moe-ce -p "Mi no" -n 6 --experts bb
says "moe-ce/modules/001-bb.safetensors"
run 1 "$ARTEL" eval moe-ce --data "$data" --average all
mv moe-ce/modules/003-common.safetensors moe-ce/modules/001-bb.safetensors
run 0 "$ARTEL" generate moe-ce -p "Mi no" -n 6 --greedy --common off
run 1 "$ARTEL" generate moe-ce -p "Mi no" -n 6 --greedy
says "moe-ce/modules/003-common.safetensors"
run 1 "$ARTEL" generate moe-ce -p x -n 1 --experts bb --common off # the common one under its name
says 'tensor `trunks.'

done_testing
