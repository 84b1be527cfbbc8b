# artel tokenizer: train, encode and decode to the byte, stats, and what is refused.
. tests/cli/lib.sh
golden=$PWD/tests/golden/tokenizer
t=$work/tokenizer.json

# Training gives the golden file, whatever the threads and the order of the inputs.
run 0 "$ARTEL" tokenizer train --vocab 380 -o "$t" "$golden/train.txt"
prints "380 tokens, 123 of them merges"
check "the golden file is reproduced" cmp -s "$t" "$golden/artel.json"
mkdir "$work/texts"
printf 'the ship and the sea\n' >"$work/texts/a.txt"
printf 'le bateau et la mer\n' >"$work/texts/b.txt"
run 0 "$ARTEL" tokenizer train --vocab 270 --threads 1 -o "$work/ab.json" "$work/texts"
run 0 "$ARTEL" tokenizer train --vocab 270 --threads 3 --seed 9 --json -o "$work/ba.json" \
    "$work/texts/b.txt" "$work/texts/a.txt"
prints '"vocab":261,"merges":4,"files":2,"bytes":41'
check "order, threads and seed do not matter" cmp -s "$work/ab.json" "$work/ba.json"
run 0 "$ARTEL" tokenizer train --vocab 5000 -o "$work/few.json" "$work/texts"
says "no more pairs occur often enough"

# Every byte comes back, plain and as JSON, with and without the last newline.
printf 'the ships\n\n  caf\303\251 \360\237\230\200\r\n\377\376 broken\303\nend<|endoftext|>\n' \
    >"$work/lines"
printf 'no newline\nat the end' >"$work/open"
printf '\000zero\000\n' >"$work/zero"
: >"$work/empty"
for f in "$golden/train.txt" "$work/lines" "$work/open" "$work/zero" "$work/empty" "$t"; do
    for how in "" --json --whole "--json --whole" --plain; do
        back=$(printf '%s' "$how" | sed 's/--plain//')
        run 0 "$ARTEL" tokenizer encode $how "$t" "$f"
        cp "$work/.out" "$work/ids"
        run 0 "$ARTEL" tokenizer decode $back "$t" "$work/ids"
        check "$f comes back ($how)" cmp -s "$f" "$work/.out"
    done
done
"$ARTEL" tokenizer encode "$t" <"$work/lines" | "$ARTEL" tokenizer decode "$t" >"$work/back"
check "through a pipe" cmp -s "$work/lines" "$work/back"

# The shape of the output.
run 0 "$ARTEL" tokenizer encode "$t" "$work/lines"
check "a line of ids a line of text" test "$(wc -l <"$work/.out")" -eq 5
check "only numbers and spaces" sh -c '! grep -q "[^0-9 ]" "$1"' - "$work/.out"
check "the special token is one id" test "$(tail -n 1 "$work/.out" | tr ' ' '\n' | tail -n 1)" = 0
run 0 "$ARTEL" tokenizer encode --plain "$t" "$work/lines"
check "unless it is text" test "$(tail -n 1 "$work/.out" | tr ' ' '\n' | tail -n 1)" != 0
run 0 "$ARTEL" tokenizer encode --json "$t" "$work/open"
check "JSON" sh -c 'head -n 1 "$1" | grep -q "^{\"ids\":\[[0-9,]*\]}$"' - "$work/.out"
prints '"newline":false}'

# SentencePiece style: the golden files, every byte, and what the options change.
run 0 "$ARTEL" tokenizer train --vocab 420 --kind sentencepiece -o "$work/words.json" "$golden/train.txt"
prints "420 tokens, 59 of them characters, 102 of them merges"
check "words: the golden file is reproduced" cmp -s "$work/words.json" "$golden/artel_words.json"
run 0 "$ARTEL" tokenizer train --vocab 420 --kind sentencepiece --across-words --split-digits --coverage 99.5 --threads 3 \
    --json -o "$work/across.json" "$golden/train.txt"
prints '"vocab":420,"merges":107,"files":1'
prints '"kind":"sentencepiece","characters":54'
check "lines: the golden file is reproduced" cmp -s "$work/across.json" "$golden/artel_lines.json"
printf '</s>a </s> b\342\226\201\n \342\226\201 <unk>\n' >>"$work/lines"
for f in "$golden/train.txt" "$work/lines" "$work/open" "$work/zero" "$work/empty" "$t"; do
    for j in words across; do
        for how in "" --whole --plain; do
            back=$(printf '%s' "$how" | sed 's/--plain//')
            run 0 "$ARTEL" tokenizer encode $how "$work/$j.json" "$f"
            cp "$work/.out" "$work/ids"
            run 0 "$ARTEL" tokenizer decode $back "$work/$j.json" "$work/ids"
            check "$f comes back ($j $how)" cmp -s "$f" "$work/.out"
        done
    done
done
run 0 "$ARTEL" tokenizer train --vocab 420 --kind sentencepiece --single-spaces -q -o "$work/single.json" "$golden/train.txt"
check "single spaces" sh -c '! grep -q "\"▁▁" "$1" && grep -q "\"▁▁" "$2"' - "$work/single.json" "$work/words.json"
run 0 "$ARTEL" tokenizer train --vocab 420 --kind sentencepiece --max-piece 2 -q -o "$work/short.json" "$golden/train.txt"
check "longest token" sh -c '! grep -q "\"▁sh" "$1" && grep -q "\"▁sh" "$2"' - "$work/short.json" "$work/words.json"
awk 'BEGIN { for (i = 0; i < 9000; i++) print i * i, "ships" }' >"$work/many"
run 0 "$ARTEL" tokenizer train --vocab 420 --kind sentencepiece --across-words --sample 65536 -o "$work/sample.json" "$work/many"
says "merges are learnt from 1/4 of the different lines, 0.0 MB"
run 2 "$ARTEL" tokenizer train --kind unigram -o "$work/x.json" "$golden/train.txt"
says 'expected bytes or sentencepiece, found `unigram`'
run 2 "$ARTEL" tokenizer train --across-words -o "$work/x.json" "$golden/train.txt"
says "need --kind sentencepiece"
run 2 "$ARTEL" tokenizer train --kind sentencepiece --sample 1e6 -o "$work/x.json" "$golden/train.txt"
says "--sample needs --across-words"
run 2 "$ARTEL" tokenizer train --kind sentencepiece --vocab 259 -o "$work/x.json" "$golden/train.txt"
says "vocabulary of 259: expected 260"

# A folder that holds a tokenizer.json will do.
run 0 "$ARTEL" tokenizer stats "$work" "$golden/train.txt" "$work/open"
prints "vocabulary used"
prints "file                                  bytes     tokens bytes/token chars/token  vocabulary used"
prints "all"
run 0 "$ARTEL" tokenizer stats --json "$t" "$work/open" "$work/empty"
prints '"bytes":21,"characters":21,"tokens":'
prints '"bytes":0,"characters":0,"tokens":0,"bytes_per_token":0'
prints '"file":"all","bytes":21'
run 0 "$ARTEL" tokenizer stats --top 2 "$work/words.json" "$golden/train.txt" "$work/texts"
prints '   3.89%  `t`'
prints '   8.70%  `\n`'
run 0 "$ARTEL" tokenizer stats --json --top 3 "$work/words.json" "$work/lines" "$work/texts"
prints '"files":2,"decoded_bytes":41,"exact":true'
prints '"text":" ","hex":"20","count":'
printf 'a\342\226\201b\360\237\230\200' >"$work/mark"
run 0 "$ARTEL" tokenizer stats --json "$golden/sentencepiece.json" "$work/mark"
prints '"decoded_bytes":7,"exact":false'
run 0 "$ARTEL" tokenizer stats "$golden/sentencepiece.json" "$work/mark"
prints "decoding does not give back every byte"
run 0 "$ARTEL" tokenizer stats --json "$work/words.json" "$work/mark"
prints '"partial":0.7'
prints '"decoded_bytes":9,"exact":true'

# What is refused, and how.
run 2 "$ARTEL" tokenizer
says "usage: artel tokenizer"
run 2 "$ARTEL" tokenizer encod "$t"
says 'did you mean `encode`?'
run 2 "$ARTEL" tokenizer train "$golden/train.txt"
says "output"
run 2 "$ARTEL" tokenizer train --vocab 256 -o "$work/x.json" "$golden/train.txt"
says "257"
run 1 "$ARTEL" tokenizer train -o "$work/x.json" "$work/none.txt"
says "none.txt"
run 1 "$ARTEL" tokenizer train -o "$work/x.json" "$work/empty"
says "no text to learn from"
check "no file is left" test ! -e "$work/x.json"
run 1 "$ARTEL" tokenizer train -o "$work/none/x.json" "$golden/train.txt"
says "none/x.json"
run 1 "$ARTEL" tokenizer encode "$work/none.json" "$work/lines"
says "none.json"
run 1 "$ARTEL" tokenizer encode "$golden/train.txt" "$work/lines"
says "not JSON"
run 1 "$ARTEL" tokenizer encode "$t" "$work/none.txt"
says "none.txt: No such file"
run 1 "$ARTEL" tokenizer encode "$golden/metaspace.json" "$work/lines"
says "line 4: byte 0 is not UTF-8, and the tokenizer has no token for byte 0xFF"
for bad in '1 2 420' '3 -1' '99999999999999999999' '{"ids":[1.5]}' '{"ids":["a"]}'; do
    printf '1 2\n%s\n' "$bad" >"$work/bad"
    run 1 "$ARTEL" tokenizer decode "$t" "$work/bad"
    says "bad: line 2: token"
    says "the vocabulary has no such id"
done
for bad in 'one' '1,2' '1 2x' '{"id":[1]}' '{"ids":1}' '{"ids":[1]'; do
    printf '%s\n' "$bad" >"$work/bad"
    run 1 "$ARTEL" tokenizer decode "$t" "$work/bad"
    says "bad: line 1: expected"
done
run 1 "$ARTEL" tokenizer decode "$t" "$work/zero"
says "line 1"
run 1 "$ARTEL" tokenizer stats "$t" "$work/none.txt"
says "none.txt"
if [ -w /dev/full ]; then
    run 1 sh -c '"$0" tokenizer encode "$1" "$2" >/dev/full' "$ARTEL" "$t" "$golden/train.txt"
    says "cannot write to stdout"
fi
done_testing
