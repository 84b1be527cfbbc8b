# Outputs and the user's files, leftovers of killed processes, pipes and devices, escape sequences.
. tests/cli/lib.sh
golden=$PWD/tests/golden
cd "$work" || exit 1

words() { # words FILE FIRST LAST: lines that differ, long enough for the filters
    i=$2
    while [ "$i" -le "$3" ]; do
        echo "This is sentence number $i of a text that somebody wrote for a test of files."
        i=$((i + 1))
    done >"$1"
}
leftovers() { ls -d .*.artel-* 2>/dev/null; }

# ---- a user's things beside an output stay ----
mkdir -p hf.partial hf.tmp hf.old
echo mine >hf.partial/notes
echo mine >hf.old/notes
run 0 "$ARTEL" convert "$golden/moduleformer/molm" -o hf/ --to hf -q
check "the user's hf.partial stays" grep -q mine hf.partial/notes
check "the user's hf.old stays" grep -q mine hf.old/notes
check "the model is there" test -f hf/config.json
check "nothing is left" test -z "$(leftovers)"

# ---- what cannot be made is told before the work ----
run 2 "$ARTEL" convert hf -o hf/ --to hf
says "exists already"
echo file >file
run 1 "$ARTEL" convert hf -o file/x --to hf
says "file"
run 2 "$ARTEL" logits hf --ids "$golden/moduleformer/molm/golden.safetensors" -o out/
says "name of a file"
echo '{"title": "t", "sections": []}' >spec.json
run 2 "$ARTEL" report spec.json -o page.html/
says "name of a file"
mkdir text
words text/a.txt 1 400
words text/b.txt 401 800
words text/c.txt 801 1200
words other.txt 2001 3000
run 2 "$ARTEL" tokenizer train text -o tok.json/
says "name of a file"
run 1 "$ARTEL" tokenizer train text -o no/such/tok.json
says "no/such"

# ---- data sets and routers: replaced when they hold nothing else ----
run 0 "$ARTEL" data build -d a=text -d b=other.txt --vocab 300 -o set/ -q
says "too few"
says "stretches"
run 0 "$ARTEL" data build -d a=text -d b=other.txt --vocab 300 -o set/ -q --json
prints '"split_by":"stretch"'
echo mine >set/notes.txt
run 2 "$ARTEL" data build -d a=text -d b=other.txt --vocab 300 -o set -q
says "notes.txt"
check "notes stay" grep -q mine set/notes.txt
rm set/notes.txt
run 0 "$ARTEL" router train set -o router/ -q
run 0 "$ARTEL" router train set -o router -q
echo mine >router/notes.txt
run 2 "$ARTEL" router train set -o router -q
says "notes.txt"
check "notes stay beside a router" grep -q mine router/notes.txt
rm router/notes.txt
run 2 "$ARTEL" router train set -o text -q
says "no router"
check "nothing is left" test -z "$(leftovers)"

# ---- a composition ----
sed 's/"eos_token_id":[^,]*/"eos_token_id": null/' hf/config.json >c.json && mv c.json hf/config.json
printf 'mode: ple\nrouter: router\nexperts:\n  - {name: a, model: hf}\n  - {name: a, model: other}\n' >two.yaml
run 1 "$ARTEL" compose two.yaml -o both
says "two.yaml:5"
says "hf"
says "other"
says "\`a\`"
check "no folder" test ! -e both

# ---- a process that was killed ----
if [ -d "/proc/$$" ]; then
    i=0
    while [ $i -lt 400 ]; do # enough to be caught at work
        cp text/a.txt "text/copy$i.txt"
        i=$((i + 1))
    done
    "$ARTEL" data build -d a=text -d b=other.txt --vocab 300 -o killed -q >/dev/null 2>&1 &
    pid=$!
    i=0
    while [ -z "$(leftovers)" ] && [ $i -lt 2000 ] && kill -0 $pid 2>/dev/null; do
        i=$((i + 1))
        sleep 0.005
    done
    kill -9 $pid
    wait $pid 2>/dev/null
    check "a killed build leaves something" test -n "$(leftovers)"
    rm -f text/copy*.txt
    mkdir ".killed.artel-partial-$pid" .killed.artel-partial-notes
    run 0 "$ARTEL" data build -d a=text -d b=other.txt --vocab 300 -o killed -q
    check "the next run clears it, and nothing else" \
        test "$(leftovers | tr '\n' ' ')" = ".killed.artel-partial-$pid .killed.artel-partial-notes "
fi

# ---- pipes and devices are no files ----
mkfifo pipe
for what in pipe /dev/zero; do
    run 1 timeout 20 "$ARTEL" train "$what" -o r
    says "expected a file"
    run 1 timeout 20 "$ARTEL" compose "$what" -o r
    says "expected a file"
    run 1 timeout 20 "$ARTEL" report "$what" -o page.html
    says "expected a file"
    run 1 timeout 20 "$ARTEL" tokenizer stats "$what" text/a.txt
    says "expected a file"
    run 1 timeout 20 "$ARTEL" logits hf --ids "$what" -o l.safetensors
    says "expected a file"
    run 2 timeout 20 "$ARTEL" data build -d "a=$what" --vocab 300 -o d
    says "expected a file"
    run 1 timeout 20 "$ARTEL" router eval "$what" --data set
    says "expected a file"
    rm -rf bad
    mkdir bad
    cp hf/config.json bad
    ln -s "$work/pipe" bad/model.safetensors
    [ $what = pipe ] || ln -sf $what bad/model.safetensors
    run 1 timeout 20 "$ARTEL" generate bad --ids 1
    says "expected a file"
    ln -sf "$(readlink bad/model.safetensors)" bad/config.json
    run 1 timeout 20 "$ARTEL" generate bad --ids 1
    says "expected a file"
done

# ---- escape sequences ----
esc=$(printf '\033')
c1=$(printf '\302\233')
clean() { # no control character on stderr or stdout
    checks=$((checks + 1))
    ! grep -qF -e "$esc" -e "$c1" "$work/.err" "$work/.out" || complain "an escape sequence got out"
}
for bad in "a$esc[2J.yaml" "a${c1}2J.yaml"; do
    run 1 "$ARTEL" train "$bad" -o r
    says 'a\x'
    clean
    run 2 "$ARTEL" "$bad"
    says 'a\x'
    clean
    run 2 "$ARTEL" train "--$bad"
    clean
    run 2 "$ARTEL" convert hf -o "$bad" --to "$bad"
    clean
    printf 'mode: ple\nrouter: router\nexperts: [{name: "%s/", model: hf}]\n' "$bad" >names.yaml
    run 1 "$ARTEL" compose names.yaml -o both
    clean
done
printf '%s[31mred%s' "$esc" "$c1" >coloured.txt
run 0 "$ARTEL" tokenizer encode set coloured.txt
cp .out ids
run 0 "$ARTEL" tokenizer decode set ids
check "what goes into a file is what it was" cmp -s .out coloured.txt
run 0 "$ARTEL" tokenizer stats set coloured.txt "$work/coloured.txt" --json
mv coloured.txt "c${c1}${esc}.txt"
run 0 "$ARTEL" tokenizer stats set "c${c1}${esc}.txt" --json
prints 'c\u009b\u001b.txt'
clean
if command -v script >/dev/null; then
    terminal() { # terminal COMMAND: with stdout on a terminal
        run 0 script -qec "$1" /dev/null
    }
    terminal "'$ARTEL' tokenizer decode set ids"
    prints '\x1b[31mred\x9b'
    clean
    terminal "'$ARTEL' tokenizer stats set 'c${c1}${esc}.txt' -q"
    prints 'c\x9b\x1b.txt'
    clean
fi
done_testing
