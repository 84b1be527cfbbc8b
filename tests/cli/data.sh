# data.sh - artel data: build from every kind of source, refuse bad input, leave nothing behind.
. tests/cli/lib.sh

# 40 documents of a few sentences in each of two languages, one web page each, with equal paths.
text=$work/text
mkdir -p "$text/en" "$text/fr"
i=0
while [ $i -lt 40 ]; do
    for d in en fr; do
        [ $d = en ] && w="This is the English sentence" || w="Voici la phrase française numérotée"
        {
            printf '<html><head><title>no</title></head><body><nav>menu</nav>'
            for j in a b c d e f; do printf '<p>%s %s of page %s, &eacute;crite ici.</p>\n' "$w" $j $i; done
        } >"$text/$d/$i.html"
    done
    i=$((i + 1))
done

run 0 "$ARTEL" data --help
prints "build"
run 0 "$ARTEL" data build --help
prints "--max-diff"
run 2 "$ARTEL" data build
run 2 "$ARTEL" data build -o "$work/x" --vocab 300
says "--domain"
run 2 "$ARTEL" data build -o "$work/x" -d en="$text/en"
says "--vocab"
run 2 "$ARTEL" data build -o "$work/x" -d en="$text/en" --vocab 300 --split 0.5
says "three shares"
run 2 "$ARTEL" data build -o "$work/x" -d en="$text/en" --vocab 300 --split 0.5,0.1,0.1
says "sum to 1"
run 2 "$ARTEL" data build -o "$work/x" -d en="$text/en" --vocab 300 --unit lines
says "tokens, bytes, chars, docs or words"
run 2 "$ARTEL" data build -o "$work/x" -d "$text/en" --vocab 300
says "NAME=PATH"

# ---- a whole one ----
run 0 "$ARTEL" data build -d en="$text/en" -d fr="$text/fr" --licence en=CC0-1.0 --vocab 400 -o "$work/set"
prints "largest above smallest domain"
prints "domain        documents      bytes      chars      words    train tok   valid. tok     test tok"
awk '$1 == "fr" && $(NF - 2) > $NF && $(NF - 1) > 0 && $NF > 0 {found = 1} END {exit !found}' "$work/.out" ||
    complain "the row of fr does not say the tokens of each split"
run 0 "$ARTEL" data build -d en="$text/en" -d fr="$text/fr" --licence en=CC0-1.0 --vocab 400 -o "$work/two" \
    --threads 3 --json
prints '"domain":"fr"'
prints '"reached_percent"'
check "stdout holds three lines of JSON" test "$(grep -c '^{' "$work/.out")" -eq 3
check "the same seed gives the same bytes" diff -r "$work/set" "$work/two"
check "the manifest has licence and sources" grep -q '"licence":.*"CC0-1.0"' "$work/set/manifest.json"
run 0 "$ARTEL" data build -q --seed 9 -d en="$text/en" -d fr="$text/fr" --vocab 400 -o "$work/two"
check "another seed, another order" sh -c "! cmp -s '$work/set/en.train.bin' '$work/two/en.train.bin'"
run 0 "$ARTEL" data show "$work/set" -d fr -n 2
prints "Voici la phrase française numérotée a of page"
check "no menu, no title" sh -c "! grep -q 'menu\|no\$' '$work/.out'"
run 0 "$ARTEL" data show "$work/set" --split test --json
prints '"split":"test"'
run 2 "$ARTEL" data show "$work/set" --split tset
run 2 "$ARTEL" data show "$work/set" -d de
says 'no domain "de"'
run 1 "$ARTEL" data show "$work/nowhere"
says "no such data set"

# ---- sizes: shares, every unit, what cannot be reached ----
run 0 "$ARTEL" data build -d en="$text/en" -d fr="$text/fr" --vocab 400 -o "$work/two" --share en=3,fr=1 --unit words \
    --max-diff 2
prints "largest above smallest domain, in words: train"
prints "    in bytes: train"
check "the manifest has the shares" grep -q '"shares":' "$work/two/manifest.json"
en=$(sed -n '/"name":.*"en"/,/"tokens"/s/.*"words":[^0-9]*\([0-9]*\).*/\1/p' "$work/two/manifest.json" | head -1)
fr=$(sed -n '/"name":.*"fr"/,/"tokens"/s/.*"words":[^0-9]*\([0-9]*\).*/\1/p' "$work/two/manifest.json" | head -1)
check "three times as many words of en ($en, $fr)" test $((en * 100)) -ge $((fr * 294)) -a $((en * 100)) -le $((fr * 306))
run 2 "$ARTEL" data build -d en="$text/en" -d fr="$text/fr" --vocab 400 -o "$work/x" --share en=3
says 'share: domain "fr" has none'
run 2 "$ARTEL" data build -d en="$text/en" -d fr="$text/fr" --vocab 400 -o "$work/x" --share en=3,fr=1,de=1
says 'share: no domain "de" has a source'
run 2 "$ARTEL" data build -d en="$text/en" -d fr="$text/fr" --vocab 400 -o "$work/x" --share en=3,fr=x
says 'share: expected a number for "fr", found "x"'
run 2 "$ARTEL" data build -d en="$text/en" -d fr="$text/fr" --vocab 400 -o "$work/x" --share en=3,fr=1 --no-balance
says "only where domains are balanced"
run 1 "$ARTEL" data build -d en="$text/en" -d fr="$text/fr" --vocab 400 -o "$work/x" --share en=700,fr=1 --unit docs
says "split cannot be balanced within 5 %"

# ---- translations, languages, near copies ----
mkdir -p "$work/mixed/en" "$work/mixed/fr"
i=0
while [ $i -lt 60 ]; do
    for d in en fr; do
        [ $d = fr ] && [ $i -ge 50 ] && continue
        [ $d = en ] && w="the house of the man is in the town" || w="la maison de cet homme est dans la ville"
        for j in a b c; do
            k=$(printf %s "$d$i$j" | md5sum | cut -c 1-24)
            printf '%s and %s with x%s y%s.\n\n' "$w" "$k" "$j" "$i"
        done >"$work/mixed/$d/$i.txt"
        [ $d = fr ] && printf 'the house of the man is in the town and %s with the man in the house of %s.\n' $i \
            "$(printf %s "$i" | md5sum)" >>"$work/mixed/fr/$i.txt"
    done
    i=$((i + 1))
done
cp "$work/mixed/en/7.txt" "$work/mixed/en/copy.txt" # exact copies go in any case; near ones are asked for
sed 's/house/House!/; s/town/Town,/' "$work/mixed/en/7.txt" >"$work/mixed/en/8.txt"
mixed="-d en=$work/mixed/en -d fr=$work/mixed/fr --vocab 300"
run 0 "$ARTEL" data build $mixed -o "$work/mix" --json
check "nothing of the kind unless asked for" sh -c "! grep -q 'other_language\|near_dup\|unaligned' '$work/.out'"
prints '"overlap_with_training"'
run 0 "$ARTEL" data build $mixed -o "$work/mix" --language-filter --near-dup 0.8 --aligned all
prints "50 other language"
prints "near duplicates"
prints "documents left out: "
check "the manifest counts near copies" grep -q '"near_duplicates":' "$work/mix/manifest.json"
check "... and names the aligned domains" grep -q '"aligned":' "$work/mix/manifest.json"
run 0 "$ARTEL" data show "$work/mix" -d fr -n 100
check "no English in fr" sh -c "! grep -q 'the house' '$work/.out'"
run 0 "$ARTEL" data build $mixed -o "$work/mix2" --language-filter --near-dup 0.8 --aligned all --threads 3 -q
check "the same for every number of threads" diff -r "$work/mix" "$work/mix2"
run 2 "$ARTEL" data build $mixed -o "$work/x" --near-dup 0.2
says "--near-dup: expected a likeness from 0.5 to 1"
run 2 "$ARTEL" data build $mixed -o "$work/x" --near-dup some
says "or \`off\`"
run 2 "$ARTEL" data build $mixed -o "$work/x" --aligned en,de
says 'aligned: no domain "de"'
run 1 "$ARTEL" data build -d en="$work/mixed/en" -d fr="$text/fr" --vocab 300 -o "$work/x" --aligned en,fr
says "no document is in all aligned domains"
run 2 "$ARTEL" data build -d en="$work/mixed/en" --vocab 300 -o "$work/x" --language-filter
says "at least two domains"

# ---- out-of-domain sets, licences ----
mkdir -p "$work/other"
i=0
while [ $i -lt 5 ]; do
    printf 'Once upon a time there was a princess number %s, and she lived in a castle %s.\n\n' $i \
        "$(printf %s "c$i" | md5sum)" >"$work/other/$i.txt"
    i=$((i + 1))
done
cp "$work/mixed/en/3.txt" "$work/other/copied.txt" # what is in a domain is not out of it
printf '\n CC-BY-4.0 \n' >"$work/other/LICENCE.txt"
printf 'Permission is hereby granted to all who read these lines of more than forty letters.\nAnd so on.\n' \
    >"$work/mixed/en/COPYING.txt"
run 0 "$ARTEL" data build $mixed --ood tales="$work/other" -o "$work/mix" --json
prints '"domain":"tales","ood":true,"licence":"CC-BY-4.0"'
check "the copy is left out" grep -q '"domain":"tales".*"documents":5,' "$work/.out"
check "domains are as they were" sh -c "cmp -s '$work/mix/en.train.bin' '$work/mix0/en.train.bin' ||
    '$ARTEL' data build $mixed -o '$work/mix0' -q && cmp -s '$work/mix/en.train.bin' '$work/mix0/en.train.bin'"
check "no training text of it" test ! -e "$work/mix/tales.train.bin" -a -s "$work/mix/tales.ood.bin"
run 0 "$ARTEL" data show "$work/mix" -d en -n 999
check "a licence is not text" sh -c "! grep -q 'Permission is' '$work/.out'"
check "the licence's digest" grep -q "$(sha256sum "$work/mixed/en/COPYING.txt" | cut -c 1-64)" "$work/mix/manifest.json"
run 0 "$ARTEL" data build $mixed --ood tales="$work/other" -o "$work/mix" # over the old one
prints "out of domain:"
run 0 "$ARTEL" data show "$work/mix" --split ood -n 9
prints "princess number 3"
check "the licence is not text" sh -c "! grep -q CC-BY '$work/.out'"
run 2 "$ARTEL" data show "$work/mix0" --split ood
says "without out-of-domain sets"
cat >"$work/tiny.yaml" <<Y
model: {arch: gpt2, n_layer: 1, n_embd: 16, n_head: 1, n_positions: 64}
data: {train: $work/mix}
train: {steps: 1, batch: 2, context: 32, lr: 1e-3}
Y
run 0 "$ARTEL" train "$work/tiny.yaml" -o "$work/tiny" -q
run 0 "$ARTEL" eval "$work/tiny/model" --data "$work/mix" --split ood --json
prints '"domain":"tales"'
check "of nothing else" sh -c "! grep -q '\"en\"' '$work/.out'"
run 0 "$ARTEL" eval "$work/tiny/model" --data "$work/mix" --json
check "test is of the domains" sh -c "! grep -q tales '$work/.out'"
run 0 "$ARTEL" router train "$work/mix" -o "$work/router" -q
run 0 "$ARTEL" router eval "$work/router" --data "$work/mix" --split ood --length 16 --abstain 0.999999 --json
prints '"ood":"tales","length":16,"sequences":'
prints '"coverage":'
check "shares of the classes sum to 1" awk -F'"share":' '{gsub(/[{}]/, "", $2); n = split($2, v, /[:,]/)
    for (i = 2; i <= n; i += 2) sum += v[i]} END {exit !(sum > 0.999 && sum < 1.001)}' "$work/.out"
check "some are taken for en, some for fr" sh -c "! grep -q '\"share\":.*:[01][,}]' '$work/.out'"
run 0 "$ARTEL" router eval "$work/router" --data "$work/mix" --split ood
prints "tales: "
run 2 "$ARTEL" router eval "$work/router" --data "$work/mix0" --split ood
says "without out-of-domain sets"
cp -r "$work/mix" "$work/mix1"
printf x | dd of="$work/mix1/tales.ood.bin" bs=1 seek=4100 conv=notrunc 2>/dev/null
run 1 "$ARTEL" eval "$work/tiny/model" --data "$work/mix1" --split ood
says "tales.ood.bin"
run 2 "$ARTEL" data build $mixed --ood en="$work/other" -o "$work/x"
says 'ood: "en" is the name of a domain'
run 2 "$ARTEL" data build $mixed --ood tales="$work/other" --share en=1,fr=1,tales=2 -o "$work/x"
says 'share: no domain "tales"'
run 1 "$ARTEL" data build $mixed --ood tales="$work/mixed/en" -o "$work/x"
says 'domain "tales": no text left'

# the tokenizer of one set serves another
run 0 "$ARTEL" data build -q -d en="$text/en" --tokenizer "$work/set/tokenizer.json" -o "$work/three"
check "the same tokenizer" cmp -s "$work/set/tokenizer.json" "$work/three/tokenizer.json"
run 1 "$ARTEL" data build -q -d en="$text/en" --tokenizer "$work/none.json" -o "$work/x"
says "none.json"

# ---- JSON lines: plain, .gz, .zst; the id as key ----
i=0
while [ $i -lt 60 ]; do
    echo "{\"id\": \"Q$i\", \"text\": \"A line of JSON with a text of its own, number $i, long enough to stay.\"}"
    i=$((i + 1))
done >"$work/a.jsonl"
run 0 "$ARTEL" data build -q -d a="$work/a.jsonl" --vocab 300 -o "$work/plain"
gzip -c "$work/a.jsonl" >"$work/a.jsonl.gz"
run 0 "$ARTEL" data build -q -d a="$work/a.jsonl.gz" --vocab 300 -o "$work/gz"
check "packed or not: the same tokens" cmp -s "$work/plain/a.train.bin" "$work/gz/a.train.bin"
if command -v zstd >/dev/null 2>&1; then
    zstd -q "$work/a.jsonl" -o "$work/a.jsonl.zst"
    run 0 "$ARTEL" data build -q -d a="$work/a.jsonl.zst" --vocab 300 -o "$work/zst"
    check "packed or not: the same tokens" cmp -s "$work/plain/a.train.bin" "$work/zst/a.train.bin"
fi
head -c 100 "$work/a.jsonl.gz" >"$work/cut.jsonl.gz"
run 1 "$ARTEL" data build -d a="$work/cut.jsonl.gz" --vocab 300 -o "$work/x"
says "cut.jsonl.gz: truncated"
echo '{"body": 1}' >>"$work/a.jsonl"
run 1 "$ARTEL" data build -d a="$work/a.jsonl" --vocab 300 -o "$work/x"
says "a.jsonl:61"

# ---- bad input ----
run 1 "$ARTEL" data build -d en="$work/missing" --vocab 300 -o "$work/x"
says "missing: no such file or folder"
: >"$work/empty.txt"
run 1 "$ARTEL" data build -d en="$work/empty.txt" --vocab 300 -o "$work/x"
says "empty.txt: the file is empty"
says 'domain "en": no text left'
printf 'Un texte fran\347ais en Latin-1, assez long pour rester dans le corpus.\n' >"$text/fr/latin.txt"
run 1 "$ARTEL" data build -d fr="$text/fr" --vocab 300 --strict -o "$work/x"
says "latin.txt: not UTF-8 text: byte 13"
run 0 "$ARTEL" data build -d fr="$text/fr" --vocab 300 -o "$work/latin"
says "latin.txt: left out"
prints "1 not utf8"
check "counted in the manifest" grep -q '"not_utf8":.*1' "$work/latin/manifest.json"
run 2 "$ARTEL" data build -d en="$text/en" --vocab 300 -o "$text"
says "holds no data set"
check "the folder in the way is untouched" test -f "$text/en/0.html"
if [ "$(id -u)" -ne 0 ]; then
    mkdir "$work/locked"
    chmod 500 "$work/locked"
    run 1 "$ARTEL" data build -d en="$text/en" --vocab 300 -o "$work/locked/x"
    says "locked"
fi
# a full disk, played by a limit on the size of files
limited() { (ulimit -f 8 && trap '' XFSZ && "$@"); }
run 1 limited "$ARTEL" data build -d en="$text/en" -d fr="$text/fr" --vocab 300 -o "$work/full"
says "File too large"
check "nothing is left behind" sh -c "! ls -d '$work'/.*.artel-* '$work/x' '$work/full' 2>/dev/null | grep ."

# ---- Ctrl-C: 130, nothing left ----
awk 'BEGIN { for (i = 0; i < 120000; i++)
    printf "{\"text\": \"Line %d has text of its own, as %x and %o, and is long enough to stay in the set.\"}\n", i, i, i }' \
    >"$work/large.jsonl"
command_line="data build, interrupted"
"$ARTEL" data build --threads 1 -d a="$work/large.jsonl" --vocab 2000 -o "$work/stopped" >"$work/.out" 2>"$work/.err" &
builder=$!
tries=0 # once its folder is being made the program listens to signals
until ls -d "$work"/.stopped.artel-* >/dev/null 2>&1 || [ $((tries += 1)) -gt 600 ]; do sleep 0.05; done
kill -INT $builder
rc=0
wait $builder || rc=$?
check "exit code 130, found $rc" test "$rc" -eq 130
says "interrupted"
check "nothing is left behind" sh -c "! ls -d '$work'/stopped* 2>/dev/null | grep ."
mkfifo "$work/pipe.jsonl"
run 2 "$ARTEL" data build -d a="$work/pipe.jsonl" --vocab 300 -o "$work/x"
says "pipe.jsonl: expected a file or a folder"

# ---- domains discovered ----
run 0 "$ARTEL" data cluster en="$text/en" fr="$text/fr" -k 2 -o "$work/found" --json
prints '"purity":1,"nmi":1'
prints '"words":['
run 0 "$ARTEL" data cluster "$text/en" "$text/fr" -k 2 -o "$work/found2" --threads 3
prints "c0.jsonl "
check "no names, nothing to compare with" sh -c "! grep -q purity '$work/.out'"
check "the same clusters without names" sh -c "sed 's/\"label\":\"..\",//' '$work/found/c0.jsonl' | cmp -s - '$work/found2/c0.jsonl'"
run 0 "$ARTEL" data build -q -d a="$work/found/c0.jsonl" -d b="$work/found/c1.jsonl" --vocab 300 -o "$work/grouped"
check "the groups are a data set" test -s "$work/grouped/b.train.bin"
run 0 "$ARTEL" data cluster "$text/en" "$text/fr" -k 2 -o "$work/found2" --seed 5 -q
run 2 "$ARTEL" data cluster "$text/en" -k 1 -o "$work/x"
run 2 "$ARTEL" data cluster "$text/en" -o "$work/x"
run 2 "$ARTEL" data cluster -k 2 -o "$work/x"
run 2 "$ARTEL" data cluster "$text/en" -k 2 -o "$text"
says "holds no clusters"
run 1 "$ARTEL" data cluster "$work/nowhere" -k 2 -o "$work/x"
says "nowhere: no such file or folder"
run 1 "$ARTEL" data cluster "$work/other" -k 20 -o "$work/x"
says "expected at least a document for each of 20 clusters"
check "nothing is left behind" sh -c "! ls -d '$work'/.*.artel-* '$work/x' 2>/dev/null | grep ."

# ---- a shard that was cut ----
cp -r "$work/set" "$work/cut"
head -c 5000 "$work/set/en.train.bin" >"$work/cut/en.train.bin"
run 1 "$ARTEL" data show "$work/cut"
says "en.train.bin: truncated"

done_testing
