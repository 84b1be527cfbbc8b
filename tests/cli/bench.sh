# bench: what a measurement says, sizes that make no sense, the sub-verbs.
. tests/cli/lib.sh
tiny="--steps 2 --set model.n_layer=1 --set model.n_embd=32 --set model.n_head=2 --set train.context=16 --set train.batch=2"

run 0 "$ARTEL" bench step $tiny --json --threads 1
prints '"name":"step"'
prints '"threads":1'
prints '"seconds":{"min":'
prints '"tokens_per_s":'
prints '"percent_of_peak":'
run 0 "$ARTEL" bench step $tiny
prints "gpt2: layers 1, width 32"
prints "tokens/s"

cat >"$work/mixture.yaml" <<'Y'
model: {arch: moduleformer, n_layer: 1, n_embd: 16, att_hidden: 16, ffd_hidden: 16, gating_size: 8,
        n_att_experts: 3, n_mlp_experts: 4}
train: {batch: 1, context: 16}
Y
run 0 "$ARTEL" bench step $tiny --set model.vocab_size=300 --steps 1
prints "vocabulary 300"
run 0 "$ARTEL" bench step "$work/mixture.yaml" --steps 1
prints "moduleformer: layers 1, width 16"

mkdir "$work/text"
for i in 1 2 3 4 5 6; do echo "A paragraph of more than forty letters, and it is number $i of a few." >"$work/text/$i.txt"; done
run 0 "$ARTEL" bench data "$work/text" --json
prints '"step":"digest","bytes":4'
prints '"step":"all"'
prints '"step":"near"'
prints '"mbytes_per_s":'
run 0 "$ARTEL" bench data "$work/text"
prints "of processor time"
run 1 "$ARTEL" bench data "$work/none"
says "none: no such file or folder"
run 2 "$ARTEL" bench data

run 0 "$ARTEL" bench decode "$work/mixture.yaml" --tokens 5 --json
prints '"name":"decode"'
prints '"tokens":5'
prints '"bytes_per_token":'
prints '"sampling_seconds":{"min":'
prints '"percent_of_bound":'
run 0 "$ARTEL" bench decode tests/golden/gpt2 --tokens 4
prints "tokens/s"
prints "that memory allows"
prints "to draw it from"
run 2 "$ARTEL" bench decode tests/golden/gpt2 --set model.n_layer=2
says "cannot be set"
run 2 "$ARTEL" bench decode "$work/mixture.yaml" --tokens 0
run 2 "$ARTEL" bench decode
run 1 "$ARTEL" bench decode "$work/none"

run 1 "$ARTEL" bench step $tiny --set model.n_head=5
says "n_embd = 32 is not a multiple of n_head = 5"
silent
run 1 "$ARTEL" bench step --set model.n_layers=1
says "did you mean"
run 1 "$ARTEL" bench step "$work/none.yaml"
says "none.yaml"
run 2 "$ARTEL" bench step $tiny --steps 0
says "--steps"
run 2 "$ARTEL" bench stepp
says 'did you mean `step`?'
run 2 "$ARTEL" bench
run 2 "$ARTEL" bench kernel unexpected
run 0 "$ARTEL" bench kernel --help
prints "--json"
done_testing
