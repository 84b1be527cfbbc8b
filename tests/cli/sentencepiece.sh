#!/bin/sh
# A tokenizer in SentencePiece style from end to end: a data set, a few steps, a router, text.
. tests/cli/lib.sh
cd "$work" || exit 1
two_languages
for d in 1 2 3; do printf 'caf\303\251 \346\260\264 \342\226\201 und <s>x</s> 12345 wie gut.\n\n' >>aa/d$d.txt; done

run 0 "$ARTEL" data build --domain aa=aa --domain bb=bb --vocab 400 --tokenizer-kind sentencepiece -o sp -q
check "byte fallback" grep -q '"byte_fallback": true' sp/tokenizer.json
check "another kind by default" sh -c '! grep -q "\"byte_fallback\": true" data/tokenizer.json'
run 0 "$ARTEL" data build --domain aa=aa --domain bb=bb --vocab 400 --tokenizer-kind sentencepiece -o again -q --threads 3
check "the same bytes for other threads" diff -r sp again
run 2 "$ARTEL" data build --domain aa=aa --tokenizer sp --tokenizer-kind sentencepiece -o no
says "--tokenizer-kind is for a tokenizer that is trained"
run 2 "$ARTEL" data build --domain aa=aa --vocab 400 --tokenizer-kind words -o no
says 'expected bytes or sentencepiece, found `words`'
run 2 "$ARTEL" data build --domain aa=aa --vocab 259 --tokenizer-kind sentencepiece -o no
says "vocabulary of 259: expected 260"
check "nothing is left" test ! -e no

# Documents come back as they were, without the space that the tokenizer puts before them.
"$ARTEL" data show data --domain aa --count 40 --json | sed 's/.*"text":/"text":/' | sort >byte.txt
"$ARTEL" data show sp --domain aa --count 40 --json | sed 's/.*"text":/"text":/' | sort >sp.txt
check "some documents" test "$(wc -l <sp.txt)" -gt 10
check "documents read the same" sh -c 'head -c 20 sp.txt | grep -q "\"text\":\"[a-z]"'
run 0 "$ARTEL" tokenizer stats --json sp aa bb
prints '"exact":true'

cat >small.yaml <<'Y'
seed: 7
model: {arch: gpt2, n_layer: 1, n_embd: 32, n_head: 2, n_positions: 64}
data: {train: sp}
train: {steps: 40, batch: 4, context: 32, lr: 1e-2, save_every: 40, eval_every: 40, eval_windows: 2}
Y
run 0 "$ARTEL" train small.yaml -o run -q
run 0 "$ARTEL" eval run/model --data sp --json
prints '"bits_per_byte":'
run 0 "$ARTEL" generate run/model -p "mi no" -n 30 --greedy -q
cp .out one
check "text" grep -q '[a-z]' one
run 0 "$ARTEL" generate run/model -p "mi no" -n 30 --greedy -q --threads 2
check "the same text again" cmp -s .out one
run 0 "$ARTEL" generate run/model -p "$(printf 'caf\303\251 \346\260\264')" -n 30 --seed 3 -q
check "text behind characters that are bytes" test -s .out
run 0 "$ARTEL" router train sp -o router -q
run 0 "$ARTEL" router eval router --data sp --json
prints '"accuracy":'
done_testing
