#!/bin/sh
# artel translate: pairs to a data set, a model of two directions, lines and files, figures, errors.
. tests/cli/lib.sh
cd "$work" || exit 1

awk 'BEGIN {
    split("ka mo ti su", a, " "); split("ze lu wo pi", b, " ")
    for (n = 1; n <= 3; n++) for (i = 0; i < 4 ^ n; i++) {
        s = t = ""
        for (k = x = 0; k < n; k++) { x = int(i / 4 ^ k) % 4 + 1; s = s (k ? " " : "") a[x]; t = t (k ? " " : "") b[x] }
        print s "\t" t > "ab.tsv"
        print "{\"source\":\"" t "\",\"target\":\"" s "\",\"id\":\"" s "\"}" > "ba.jsonl"
    }
}'
run 0 "$ARTEL" data build -d a-b=pairs:ab.tsv -d b-a=pairs:ba.jsonl --vocab 300 -o set
check "the manifest says what each text begins with" grep -q '"tag":.*"b-a "' set/manifest.json
run 0 "$ARTEL" data show set -d b-a
prints "b-a "
cat >recipe.yaml <<'END'
task: translate
data: {train: set}
model: {arch: gpt2, n_embd: 32, n_layer: 1, n_head: 2, n_positions: 40, initializer_range: 0.1}
train: {steps: 300, batch: 16, context: 24, lr: 0.01, eval_every: 150, save_every: 0, weight_decay: 0}
END
run 0 "$ARTEL" train recipe.yaml -o run -q
prints "a-b, "
prints " test pairs: loss "
check "the report has both directions" grep -q "Test pairs, b-a" run/report.html
check "the model names its directions" grep -q '"directions":.*"a-b"' run/model/config.json

printf 'ka mo\n\n  su   ti \n' >lines
run 0 "$ARTEL" translate run/model lines -d a-b
check "a line for a line" test "$(wc -l <.out)" -eq 3
check "the translation" test "$(sed -n 1p .out)" = "ze lu"
check "blanks do not matter" test "$(sed -n 3p .out)" = "pi wo"
cp .out first
command_line="a pipe"
check "a pipe" sh -c "'$ARTEL' translate run/model -d a-b <lines >piped && cmp first piped"
gzip -c lines >lines.gz
run 0 "$ARTEL" translate run/model lines.gz -d a-b --threads 2
check "packed, with more threads" cmp first .out
run 0 "$ARTEL" translate run/model lines -d a-b --json
prints '{"line":1,"source":"ka mo","translation":"ze lu","ended":true}'
run 0 "$ARTEL" translate run/model lines -d a-b -n 1
check "one token at most" test "$(sed -n 1p .out)" != "ze lu"
run 0 "$ARTEL" translate run/model --data set
prints "direction       pairs    tokens     loss    BLEU    chrF  BLEU copied  chrF copied"
check "two directions" test "$(wc -l <.out)" -eq 3
run 0 "$ARTEL" translate run/model --data set -d b-a --split train --pairs 10 --json
prints '"direction":"b-a","split":"train","pairs":10,"too_long":0'
prints '"copy_bleu":'

run 2 "$ARTEL" translate run/model lines
says "direction: expected one of a-b, b-a"
run 2 "$ARTEL" translate run/model lines -d b-c
says "direction \`b-c\`: expected one of a-b, b-a"
run 1 "$ARTEL" translate run/model nowhere -d a-b
says "nowhere"
printf 'ok\n\377\n' >bad
run 1 "$ARTEL" translate run/model bad -d a-b
says "bad:2: not UTF-8 text"
run 2 "$ARTEL" translate run/model lines --data set
says "either FILE or --data"
run 2 "$ARTEL" translate run/model lines --split test
says "with --data alone"
run 2 "$ARTEL" translate run/model --pairs 3
says "with --data alone"
run 2 "$ARTEL" translate run/model --data set -d b-c
says 'no domain "b-c"'
run 2 "$ARTEL" translate run/model --data set --split tset
says "expected train, validation or test"
run 2 "$ARTEL" translate
says "MODEL"
run 1 "$ARTEL" data build -d a-b=pairs:lines --vocab 300 -o other
says "lines:1: expected a text, a tab, its translation"
check "nothing is left" test ! -e other

# ---- pairs of the help, and of descriptions ----
tools=$OLDPWD/tools
mkdir en fr
printf '%s\n' '<h1 id="hd_1" dir="auto">' '<a name="x"></a>Insert <b>tables</b></h1>' '<p id="par_2">Two &amp; three&nbsp;words.</p>' \
    '<p id="par_3">One.</p>' '<p id="par_4">The same words.</p>' '<p id="par_5">Only in English here.</p>' >en/page.html
printf '%s\n' '<h1 id="hd_1" dir="auto">Insertion de tableaux</h1>' '<p id="par_2">Deux &lt;et&gt;' 'trois mots.</p>' '<p id="par_3">Un.</p>' \
    '<p id="par_4">The same words.</p>' >fr/page.html
run 0 sh -c "cd en && LC_ALL=C awk -v other=../fr -f '$tools/help_pairs.awk' ./page.html"
printf 'Insert tables\tInsertion de tableaux\nTwo & three words.\tDeux <et> trois mots.\n' >wanted
check "paragraphs of the same id" cmp wanted .out
printf '%s\n' '{"id":"1","text":"One \"text\".\n\nAnother."}' '{"id":"2","text":"Alone."}' '{"id":"3","text":"a\n\nb"}' >en.jsonl
printf '%s\n' '{"id":"3","text":"a b"}' '{"id":"1","text":"Un \"texte\".\n\nAnother."}' >fr.jsonl
run 0 awk -f "$tools/description_pairs.awk" en.jsonl fr.jsonl
printf '%s\n' '{"source":"One \"text\".","target":"Un \"texte\"."}' >wanted
check "paragraphs of the same description" cmp wanted .out
run 2 sh "$tools/corpus.sh" --pairs en-fr
says "-o OUT is missing"
run 2 sh "$tools/corpus.sh" --pairs fr-en -o corpus
says "--pairs: expected en-fr"
run 2 sh "$tools/corpus.sh" --pairs en-fr --sources man -o corpus
says "--sources: expected help, descriptions or both"
done_testing
