#!/bin/sh
# Folders of runs: the user's files are kept, one program at a time, signals, out of memory, NaN, hashes,
# digests.
. tests/cli/lib.sh
golden=$PWD/tests/golden
cd "$work" || exit 1
two_languages

cat >r.yaml <<'Y'
seed: 7
model: {arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 32}
data: {train: data}
train: {steps: 6, batch: 2, context: 16, lr: 3e-3, eval_windows: 2, save_every: 2}
Y
forever="--set train.steps=1000000000 --set train.save_every=0 --set train.eval_every=0"

# until $1 holds new lines, of the run in the background
writes() {
    tries=0
    while [ -z "$(find "$1/metrics.jsonl" -newer stamp -size +0 2>/dev/null)" ] && [ $tries -lt 200 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
}
# A training run in the background: $pid, until its first lines are written.
start() {
    touch stamp
    sleep 0.02
    "$ARTEL" train r.yaml -o "$@" >"$work/.out1" 2>"$work/.err1" </dev/null &
    pid=$!
    writes "$1"
}
# It ends by itself within 20 seconds, with this exit code.
ends() {
    tries=0
    while kill -0 $pid 2>/dev/null && [ $tries -lt 200 ]; do tries=$((tries + 1)); sleep 0.1; done
    command_line="run in the background"
    check "it did not end" sh -c "! kill -0 $pid 2>/dev/null"
    kill -9 $pid 2>/dev/null
    wait $pid
    rc=$?
    check "exit code $rc, expected $1" test $rc -eq "$1"
}

# ---- what is the user's ---------------------------------------------------------------------------
run 0 "$ARTEL" train r.yaml -o whole -q
mkdir -p mine/model mine2
echo weights >mine/model/weights
run 2 "$ARTEL" train r.yaml -o mine -q
says "mine/model exists and is not of this run"
check "a folder of the user's was changed" test "$(ls -A mine) $(cat mine/model/weights)" = "model weights"
cp r.yaml mine2/recipe.yaml
run 2 "$ARTEL" train mine2/recipe.yaml -o mine2 -q
says "mine2/recipe.yaml exists"
check "the user's recipe was changed" cmp -s r.yaml mine2/recipe.yaml

run 0 "$ARTEL" train r.yaml -o kept -q
mkdir kept/checkpoints/best kept/checkpoints/step-1 kept/model.tmp kept/model.old kept/checkpoints/step-00000002.partial
for f in checkpoints/best/a checkpoints/notes.txt checkpoints/step-1/state.json model.tmp/a model.old/a \
    checkpoints/step-00000002.partial/a model/README.md; do echo mine >kept/$f; done
rm -r kept/checkpoints/step-00000006
run 0 "$ARTEL" train r.yaml -o kept -q --resume # from 4, beside step-1
for f in checkpoints/best/a checkpoints/notes.txt checkpoints/step-1/state.json model.tmp/a model.old/a \
    checkpoints/step-00000002.partial/a model/README.md; do
    check "kept/$f is lost" grep -q mine kept/$f
done
check "the same bits" cmp -s whole/model/model.safetensors kept/model/model.safetensors
echo other >kept/model/config.json
run 0 "$ARTEL" train r.yaml -o kept -q --resume
says "it is now kept/model.kept-1"
check "the other model is lost" grep -q other kept/model.kept-1/config.json

# ---- one program at a time ------------------------------------------------------------------------
start busy -q $forever
run 1 "$ARTEL" train r.yaml -o busy -q
says "busy: process $pid is training in this folder"
run 1 "$ARTEL" train r.yaml -o busy -q --resume $forever
says "busy: process $pid is training in this folder"
check "the first goes on" kill -0 $pid
kill -TERM $pid
ends 130
check "the lock is gone" test ! -e busy/.artel-lock
start killed -q --set train.steps=1000000 --set train.save_every=1 --set train.eval_every=0
kill -9 $pid
wait $pid 2>/dev/null
start killed -q --resume --set train.steps=1000000 --set train.save_every=1 --set train.eval_every=0
kill -0 $pid && kill -TERM $pid
ends 130
check "nothing half made" sh -c "! ls -A killed killed/checkpoints | grep -F .artel-"

# ---- signals --------------------------------------------------------------------------------------
for signal in HUP TERM; do
    start on-$signal -q $forever
    kill -$signal $pid
    # a terminal that closes sends more than one, and they may come while the program saves
    while [ $signal = HUP ] && kill -HUP $pid 2>/dev/null && [ -z "$(ls on-HUP/checkpoints)" ]; do :; done
    ends 130
    check "SIG$signal: nothing saved" test -n "$(ls on-$signal/checkpoints)"
done
touch stamp
sleep 0.02
(trap '' HUP; exec "$ARTEL" train r.yaml -o nohup -q $forever) >/dev/null 2>&1 </dev/null &
pid=$!
writes nohup
kill -HUP $pid
sleep 0.3
check "nohup: it went on" kill -0 $pid
kill -TERM $pid
ends 130

# a second Ctrl-C ends the program at once, and breaks nothing
start twice -q --set train.steps=1000000 --set train.save_every=1 --set train.eval_every=0
kill -INT $pid
kill -INT $pid 2>/dev/null
ends 130
start twice -q --resume --set train.steps=1000000 --set train.save_every=1 --set train.eval_every=0
kill -TERM $pid
ends 130

# ---- no memory ------------------------------------------------------------------------------------
# The libraries alone take some 50 MB of addresses; between that and enough, each command fails.
if sh -c "ulimit -v 60000 && '$ARTEL' --version" >/dev/null 2>&1; then
    for limit in 60000 80000 120000; do
        for what in "train r.yaml -o none-$limit" "eval whole/model --data data" \
            "data build --domain aa=aa --vocab 300 -o data-$limit"; do
            sh -c "ulimit -v $limit; exec '$ARTEL' $what -q --threads 2" >"$work/.out1" 2>"$work/.err1" &
            pid=$!
            tries=0
            while kill -0 $pid 2>/dev/null && [ $tries -lt 200 ]; do tries=$((tries + 1)); sleep 0.1; done
            command_line="ulimit -v $limit; artel $what"
            check "it never ends" sh -c "! kill -0 $pid 2>/dev/null"
            kill -9 $pid 2>/dev/null
            wait $pid
            rc=$?
            check "exit code $rc" test $rc -le 1
        done
    done
fi

# ---- numbers that are none ------------------------------------------------------------------------
for m in nan inf; do
    cp -r whole/model $m
    # without hashes, as another program's file; the last value of the last tensor
    sed 's/artel\.hash/brtel.hash/g' whole/model/model.safetensors >$m/model.safetensors
    [ $m = nan ] && bytes='\000\000\300\177' || bytes='\000\000\200\377'
    printf "$bytes" | dd of=$m/model.safetensors bs=1 conv=notrunc \
        seek=$(($(wc -c <$m/model.safetensors) - 4)) 2>/dev/null
    [ $m = nan ] && why="is not a number (NaN)" || why="is infinite"
    for what in "eval $m --data data" "generate $m -p mino -n 4" "inspect $m" \
        "train r.yaml -o x --set init=$m" "convert $m -o x --to hf"; do
        [ "${what#train}" = "$what" ] || sed '/^model/d' r.yaml >init.yaml
        run 1 "$ARTEL" $(echo "$what" | sed 's/^train r.yaml/train init.yaml/')
        says "$m/model.safetensors: tensor \`transformer."
        says "$why"
        check "something was delivered" test ! -e x
    done
done

# ---- digests --------------------------------------------------------------------------------------
digest() { "$ARTEL" inspect --digest "$1" | cut -d' ' -f1; }
run 0 "$ARTEL" inspect --digest "$golden/gpt2"
prints "280794036a58c22beeae2e45a59475ec1833bfc9ced6b6e44d5044400a620e83  $golden/gpt2"
run 0 "$ARTEL" inspect --digest whole --json
prints "\"digest\":\"$(digest whole/model)\""
for p in whole/model/model.safetensors whole/checkpoints/step-00000006 kept; do
    check "another digest: $p" test "$(digest $p)" = "$(digest whole/model)"
done
check "another step, the same digest" test "$(digest whole/checkpoints/step-00000004)" != "$(digest whole)"
for how in "--to hf" "--to artel" "--to artel --dtype bf16"; do
    rm -rf copy
    run 0 "$ARTEL" convert whole/model -o copy $how -q
    case $how in *bf16)
        rm -rf wide
        run 0 "$ARTEL" convert copy -o wide --to hf --dtype f32 -q
        check "BF16 and the same values widened" test "$(digest copy)" = "$(digest wide)" ;;
    *) check "another digest: $how" test "$(digest copy)" = "$(digest whole)" ;;
    esac
done
run 1 "$ARTEL" inspect --digest data
says "data: expected a model"
printf '\377' | dd of=copy/model.safetensors bs=1 conv=notrunc \
    seek=$(($(wc -c <copy/model.safetensors) - 1)) 2>/dev/null
run 1 "$ARTEL" inspect --digest copy
says "altered"

# ---- another arithmetic ---------------------------------------------------------------------------
state=whole/checkpoints/step-00000006/state.json
check "a checkpoint names its arithmetic" grep -q '"arithmetic":.*"fma16\.' $state
sed 's/"fma16\.[0-9]*"/"abacus.7"/' $state >state && cp state $state
run 1 "$ARTEL" train r.yaml -o whole --resume
says "abacus.7"
says "begin another run"
done_testing
