#!/bin/sh
# artel atlas: a line a router, objects, a page; what it refuses.
. tests/cli/lib.sh
cd "$work" || exit 1

two_languages
cat >recipe.yaml <<'Y'
seed: 3
model: {arch: moduleformer, n_layer: 2, n_embd: 32, n_head: 2, att_hidden: 32, ffd_hidden: 24,
        n_att_experts: 4, n_mlp_experts: 6, gating_size: 16}
data: {train: data}
train: {steps: 4, batch: 4, context: 32, lr: 3e-3}
Y
run 0 "$ARTEL" train recipe.yaml -o run -q
run 0 "$ARTEL" atlas run/model --data data --context 64 -o page.html
prints "layer  0  attention"
prints "layer  1  feed_forward"
prints "of 0.693 nats"
prints "read: aa "
prints "page.html"
check "a map a router" test "$(grep -c 'Share of the choices' page.html)" -eq 4
check "cells tell counts" grep -q "expert 5: [0-9.]* %.* choices" page.html
check "tokens are shown" grep -q "<code>" page.html
check "nothing is fetched" sh -c '! grep -qE "https?:|<script|url\(" "$1"' - page.html
run 0 "$ARTEL" atlas run/model --data data --context 64 --json --threads 1
check "five objects: $(wc -l <.out)" test "$(wc -l <.out)" -eq 5
prints '"kind":"feed_forward","experts":6,"chosen":2'
prints '"domain":"bb","choices":'
prints '"page":null'
cp .out one
run 0 "$ARTEL" atlas run/model --data data --context 64 --json --threads 2
check "the same on two threads" cmp -s .out one
run 0 "$ARTEL" atlas run/model --data data --context 64 --json --windows 1
prints '"half_width":null'
prints '"windows":1,"tokens":64'
run 0 "$ARTEL" atlas run/model --data data --context 16 --json --windows 2
prints '"windows":2,"tokens":32'
run 0 "$ARTEL" atlas run/model --data data --context 64 --json --tokens 1 --split train
check "one token an expert" sh -c '! grep -q "\"tokens\":\[[^]]*,[^]]*\]}" "$1"' - .out
check "and of the training split there are some" grep -q '"tokens":\["' .out

sed 's/model: .*/model: {arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 32}/; /n_att/d' recipe.yaml >plain.yaml
run 0 "$ARTEL" train plain.yaml -o plain -q
run 2 "$ARTEL" atlas plain/model --data data -o none.html
says "gpt2, has no routers"
silent
check "no page after a failure" test ! -e none.html
run 2 "$ARTEL" atlas run/model --data data --split tests
says "expected train, validation or test"
run 1 "$ARTEL" atlas run/model --data data -o no/such/folder.html
says "folder.html"
run 2 "$ARTEL" atlas run/model
says "--data"
done_testing
