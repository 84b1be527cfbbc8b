# Recipes: precedence, origins, what is refused and how; nothing is made when a recipe is wrong.
. tests/cli/lib.sh

cat >"$work/r.yaml" <<'YAML'
seed: 7
model: {arch: gpt2, n_layer: 2, n_embd: 64, n_head: 2, n_positions: 64}
data: {train: nowhere, domains: [en, fr]}
train:
  steps: 20
  lr: 1e-3
YAML
# default < recipe < environment < option, and each says where it came from.
run 0 "$ARTEL" train "$work/r.yaml" --print-config
prints "  schedule: cosine  # default"
prints "  steps: 20  # $work/r.yaml:5:3"
prints "  lr: 0.001  # $work/r.yaml:6:3"
prints "  domains: [en, fr]  # $work/r.yaml:3:24"
run 0 env "ARTEL_SET=train.steps=30;train.clip=2" "$ARTEL" train "$work/r.yaml" --print-config
prints "  steps: 30  # environment ARTEL_SET"
prints "  clip: 2  # environment ARTEL_SET"
run 0 env "ARTEL_SET=train.steps=30;train.clip=2" "$ARTEL" train "$work/r.yaml" --print-config \
    --set train.steps=40 --set train.lr=
prints "  steps: 40  # option --set"
prints "  clip: 2  # environment ARTEL_SET"
prints "  lr: 0.0006  # default"
run 0 "$ARTEL" train "$work/r.yaml" --print-config --set train.steps=40 --set train.steps=50
prints "  steps: 50  # option --set"
run 0 "$ARTEL" train "$work/r.yaml" --print-config --seed 9
prints "seed: 9  # option --seed"

# The effective recipe is a recipe.
cp "$work/.out" "$work/again.yaml"
run 0 "$ARTEL" train "$work/again.yaml" --print-config
prints "seed: 9  # $work/again.yaml:1:1"

run 1 "$ARTEL" distill "$work/r.yaml" --print-config --set distill.teacher=t --set distill.alpha_sees=own \
    --set train.accumulate=2
says "\`distill.alpha_sees\`: a step's own losses are known after its last micro-batch"
run 0 "$ARTEL" distill "$work/r.yaml" --print-config --set distill.teacher=t --set distill.alpha_sees=own \
    --set train.accumulate=2 --set distill.scope=micro_batch
run 0 "$ARTEL" distill "$work/r.yaml" --print-config --set distill.teacher=t --set distill.alpha_sees=own

refuse() { # what stderr says, then assignments
    reason=$1
    shift
    run 1 "$ARTEL" train "$work/r.yaml" -o "$work/run" "$@"
    says "$reason"
    silent
    check "no run folder is made" test ! -e "$work/run"
}
refuse 'option --set: unknown key `train.stepz`, did you mean `train.steps`?' --set train.stepz=1
refuse 'unknown key `modle`, did you mean `model`?' --set modle.n_head=1
refuse 'unknown key `model.n_heads`, did you mean `model.n_head`?' --set model.n_heads=2
refuse '`train.steps`: expected a whole number in' --set train.steps=many
refuse '`train.schedule`: expected one of' --set train.schedule=cosin
refuse '`model.n_head`: ' --set model.n_head=3
refuse '`model.n_embd`: ' --set model.n_embd=1e15
refuse '`data.weights`: expected whole numbers' --set 'data.weights=[0.5, 0.5]'
refuse '`data.weights`: expected whole numbers' --set 'data.weights=[-1, 2]'
refuse '`data.weights`: expected at most 64 numbers, found 65' --set "data.weights=[$(seq -s , 65)]"
refuse 'gpt3' --set model.arch=gpt3
refuse 'nowhere' --set train.steps=1
run 2 "$ARTEL" train "$work/r.yaml" -o "$work/run" --set train.steps
says 'option --set: expected KEY=VALUE, found `train.steps`'

bad=$work/bad.yaml
refuse_text() { # what stderr says of $bad.  Not behind a pipe: a subshell would lose the count
    run 1 "$ARTEL" train "$work/bad.yaml" -o "$work/run"
    says "$work/bad.yaml$1"
    check "no run folder is made" test ! -e "$work/run"
}
ok='data: {train: nowhere}\nmodel: {arch: gpt2}\n'
printf "${ok}train:\n  steps: 5\n  stepz: 6\n" >"$bad"
refuse_text ':5:3: unknown key `train.stepz`'
printf 'data: {trian: x}\n' >"$bad"
refuse_text ':1:8: unknown key `data.trian`, did you mean `data.train`?'
printf "${ok}train: {steps: abc}\n" >"$bad"
refuse_text ':3:16: `train.steps`: expected a whole number'
printf 'train: [1, 2\n' >"$bad"
refuse_text ':2:1: not YAML'
printf 'train: {}\ntrain: {}\n' >"$bad"
refuse_text ':2:1: key `train` is given twice'
printf 'a: &x [*x]\n' >"$bad"
refuse_text ':1:4: anchors'
printf 'a: \377\376\n' >"$bad"
refuse_text ': byte 3: '
printf -- '- 1\n' >"$bad"
refuse_text ':1:1: expected `key: value` lines, found a list'
: >"$bad"
refuse_text ': the key `data.train` is missing'
awk 'BEGIN { for (i = 0; i < 5000; i++) printf "[" }' >"$bad"
refuse_text ':1:33: nested deeper than 32 levels'
awk 'BEGIN { printf "a: "; for (i = 0; i < 5000; i++) printf "[" }' >"$bad"
refuse_text ':1:35: nested deeper than 32 levels'
run 1 "$ARTEL" train "$work/none.yaml" -o "$work/run"
says "$work/none.yaml: cannot open: No such file"
run 1 "$ARTEL" distill "$work" -o "$work/run"
says "expected a file, found a folder"
done_testing
