# demo.sh on text of one's own: the whole pipeline in a few steps, then again with nothing left to do.
. tests/cli/lib.sh

# Two "languages" over different words: 240 files each, of sentences drawn by a small generator.
languages() {
    awk -v out="$work/text" 'BEGIN {
        split("the old house stands near a quiet river and many people walk there every morning", word, " ")
        split("das alte Haus steht nahe dem stillen Fluss und viele Leute gehen dort jeden Morgen", wort, " ")
        seed = 1
        for (f = 0; f < 240; f++) for (k = 0; k < 2; k++) {
            path = sprintf("%s/%s/%03d.txt", out, k ? "deutsch" : "english", f)
            for (s = 0; s < 6; s++) {
                line = ""
                for (i = 0; i < 14; i++) {
                    seed = (seed * 16807) % 2147483647
                    line = line (i ? " " : "") (k ? wort[seed % 14 + 1] : word[seed % 14 + 1])
                }
                print line ".\n" > path
            }
            close(path)
        }
    }'
}
mkdir -p "$work/text/english" "$work/text/deutsch"
languages
export ARTEL

run 2 ./demo.sh --nonsense
says "--text FOLDER"
run 1 ./demo.sh --quick --text "$work/text/english" --out "$work/no"
says "no folders"
mkdir "$work/few"
cp -r "$work/text/english" "$work/few/english"
run 1 ./demo.sh --quick --text "$work/few" --out "$work/no"
says "one domain"

out=$work/out
run 0 ./demo.sh --quick --text "$work/text" --out "$out"
prints "router, texts of   8 tokens: F1"
prints "--- deutsch, temperature 0.8: expert"
prints "min from here"
check "a row of the table" grep -Eq '^english +[0-9]+( +[0-9.]+){5}$' "$work/.out"
check "its last row" grep -Eq '^all +[0-9]+( +[0-9.]+){5}$' "$work/.out"
check "the tokens of each, all but the teacher's alike" grep -Eq '^tokens trained on +[0-9]+( +[0-9]+)\1\1\1$' "$work/.out"
prints "What the teacher earns a dense student"
prints "--seeds 3"
prints "said before"
for made in report.html model/config.json model/artel.json expert-english/model/model.safetensors eval/experts.jsonl \
    model-alone/config.json eval/alone.jsonl eval/router-validation.json samples/english-0.3-1.txt; do
    check "$made" test -s "$out/$made"
done

run 0 ./demo.sh --quick --text "$work/text" --out "$out"
prints "demo: teacher: done before"
prints "demo: report: done before"

# Without the text of a newcomer there is no mixture.
check "no mixture" test ! -e "$out/mixture"
mkdir -p "$work/new/latein"
for f in "$work"/text/english/*; do tr a-m n-z <"$f" >"$work/new/latein/${f##*/}"; done
run 0 ./demo.sh --quick --text "$work/text" --newcomer "$work/new/latein" --out "$out"
prints "demo: report: done before"
prints "A life: latein is added to a mixture of the other 2"
check "losses of all" sh -c "grep -Eq 'nats a token: latein [0-9.]+ -> [0-9.]+;' '$work/.out' && grep -Eq '^deutsch [0-9.]+ -> [0-9.]+; english ' '$work/.out'"
check "its file" test -s "$out/latein.safetensors" -a -s "$out/eval/dropped.json"
check "a review" grep -q '"review_tokens":' "$out/eval/grown.json"
rm -r "$out/dropped"
cp "$out/mixture/model/model.safetensors" "$work/mixture"
printf 'x' >>"$out/mixture/model/model.safetensors"
run 1 ./demo.sh --quick --text "$work/text" --newcomer "$work/new/latein" --out "$out"
says "without latein the mixture is another one than before"
cp "$work/mixture" "$out/mixture/model/model.safetensors"

# A result that is gone is made again, and is the same.
cksum <"$out/dense/model/model.safetensors" >"$work/before"
rm -r "$out/dense"
run 0 ./demo.sh --quick --text "$work/text" --out "$out"
prints "demo: teacher: done before"
check "dense is made again" test -s "$out/dense/model/model.safetensors"
cksum <"$out/dense/model/model.safetensors" >"$work/after"
check "with the same bytes" cmp -s "$work/before" "$work/after"

# Further seeds go on from there.
run 2 ./demo.sh --seeds x
run 0 ./demo.sh --quick --text "$work/text" --out "$out" --seeds 2
prints "demo: dense: done before"
check "a row a seed" test "$(grep -Ec '^[78] ( +[0-9.]+){4} +-?[0-9.]+ %$' "$work/.out")" -eq 2
done_testing
