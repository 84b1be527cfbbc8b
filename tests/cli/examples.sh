#!/bin/sh
# The library as others use it: installed under a prefix, found by pkg-config, linked as a shared and as a static
# library, with the programs of examples/.
. tests/cli/lib.sh
top=$PWD
build=$(dirname "$ARTEL")
cmake=$(sed -n 's/^CMAKE_COMMAND:INTERNAL=//p' "$build/CMakeCache.txt")
prefix=$work/prefix
cd "$work" || exit 1

run 0 "$cmake" --install "$build" --prefix "$prefix"
pc=$(find "$prefix" -name artel.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH LD_LIBRARY_PATH
run 0 pkg-config --modversion artel
prints "$("$ARTEL" --version | sed -n '1s/artel \([0-9.]*\) .*/\1/p')"
# Where the prefix lies is told by where artel.pc lies: it may be moved.
mv "$prefix" "$work/moved"
prefix=$work/moved
PKG_CONFIG_PATH=$work/moved${PKG_CONFIG_PATH#"$work/prefix"}
LD_LIBRARY_PATH=$work/moved${LD_LIBRARY_PATH#"$work/prefix"}
run 0 pkg-config --cflags --libs artel
prints "artel"
flags=$(cat "$work/.out")

# A build with sanitizers needs them in the program as well.
sanitize=
if nm -D "$LD_LIBRARY_PATH/libartel.so" | grep -q __asan_init; then sanitize=-fsanitize=address,undefined; fi
for c in "$top"/examples/*.c; do
    name=$(basename "$c" .c)
    check "$name is above 100 lines" test "$(wc -l <"$c")" -lt 100
    # shellcheck disable=SC2086
    run 0 cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror $sanitize "$c" $flags -o "$name"
done
run 0 readelf -d example_ask
prints "[libartel.so.0]"

# The static library, with what it needs in turn.
static=$(pkg-config --static --libs artel | sed 's/-lartel/-l:libartel.a/')
# shellcheck disable=SC2086
run 0 cc -std=c11 -D_POSIX_C_SOURCE=200809L $sanitize "$top/examples/example_ask.c" -I"$prefix/include" $static -o ask_static
run 0 readelf -d ask_static
check "the static program needs libartel.so" sh -c '! grep -q libartel "$1"' - "$work/.out"

two_languages
cat >recipe.yaml <<'EOF'
model: {arch: gpt2, n_layer: 1, n_embd: 32, n_head: 2, n_positions: 48}
data: {train: data}
train: {steps: 30, batch: 4, context: 32, lr: 0.01}
EOF
for domain in aa bb; do
    run 0 ./example_train recipe.yaml $domain "data.domains=[$domain]"
    prints '"parameters":'
    prints "\"model\":\"$domain/model\""
done
run 0 ./example_train recipe.yaml aa "data.domains=[aa]" # it is finished: nothing more to do
./example_train recipe.yaml long train.steps=1000000 >/dev/null 2>.err &
pid=$!
tries=0
until grep -q '"step":3' long/metrics.jsonl 2>/dev/null || [ $((tries += 1)) -gt 300 ]; do sleep 0.1; done
command_line="example_train, interrupted"
kill -INT $pid
wait $pid
rc=$?
check "exit code $rc, expected 130" test $rc -eq 130
says "interrupted at step"
check "nothing is saved" test -d long/checkpoints
run 1 ./example_train recipe.yaml cc train.step=3
says "did you mean \`train.steps\`?"
check "a run was begun" test ! -e cc

# The same as the program: one model for many lines, by each of the libraries.
printf 'mi no ta\nke lo ra su\n' >prompts
"$ARTEL" generate aa/model -p "mi no ta" -n 40 --temperature 0.7 --top-k 40 --seed 1 2>/dev/null >wanted
"$ARTEL" generate aa/model -p "ke lo ra su" -n 40 --temperature 0.7 --top-k 40 --seed 1 2>/dev/null >>wanted
for program in ./example_ask ./ask_static; do
    command_line="$program aa/model < prompts"
    $program aa/model <prompts >"$work/.out" 2>"$work/.err"
    { printf 'mi no ta'; sed -n 1p wanted; printf 'ke lo ra su'; sed -n 2p wanted; } >expected
    check "$program does not say what artel generate says" cmp -s expected "$work/.out"
done
run 1 ./example_ask no-such-model
says "expected a model folder, found nothing"

run 0 "$ARTEL" router train data -o router -q
cat >experts.yaml <<'EOF'
mode: ple
router: router
experts: [{name: aa, model: aa/model}, {name: bb, model: bb/model}]
EOF
run 0 ./example_compose experts.yaml model "mi no ta ke" "zuv og dri kep"
prints '"name":"aa"'
prints "aa: mi no ta ke"
prints "bb: zuv og dri kep"
run 1 ./example_compose experts.yaml model
says "model"
done_testing
