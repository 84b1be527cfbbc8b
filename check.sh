#!/bin/sh
# Builds artel in three ways and runs every test.  Needs nothing but a shell on Debian: see tools/setup.sh.
#
#   release   -O2, warnings are errors: all tests, once with each instruction set that this machine has
#   debug     AddressSanitizer, UndefinedBehaviorSanitizer, leaks: all tests but the demo, labs and one more that take minutes
#   plain     no BLAS and no vector kernels, the reference loops alone: the unit tests
#   clang     where there is a clang: whether it gives the bits that gcc gives
#
# Logs lie in build/check/.  The lines before the last name what could not be run here; the last line counts.  Exit 0
# when nothing failed.
set -eu
cd "$(dirname "$0")"

jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
logs=build/check
passed=0
failed=0
began=$(date +%s)
mkdir -p "$logs"

# A line per stage: name, outcome, seconds.
stage_starts() { stage=$1; stage_began=$(date +%s); }
stage_ends() { printf 'check: %-34s %-24s %4d s\n' "$stage" "$1" $(($(date +%s) - stage_began)); }

# What this machine could not run; told at the end.
left_out=""
leave_out() { left_out="$left_out$1
"; }

finish() {
    printf 'check: %d s in all\n' $(($(date +%s) - began))
    printf '%s' "$left_out" | sed 's/^/check: not run here: /'
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] && exit 0
    exit 1
}

# one NAME COMMAND...: a step that either works or not, and counts as one test.
one() {
    stage_starts "$1"
    log=$logs/$(echo "$1" | tr ' ' '-').log
    shift
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        stage_ends ok
    else
        failed=$((failed + 1))
        tail -n 60 "$log"
        stage_ends FAILED
        return 1
    fi
}

# build DIRECTORY PRESET [OPTION...]: without a build nothing after it means anything.
build() {
    cmake --preset "$@" && cmake --build "$(preset_folder "$1")" -j "$jobs"
}
build_clang() {
    cmake --preset clang && cmake --build build/clang -j "$jobs" --target test_op_bits test_bits test_maths test_kernels
}
preset_folder() { case $1 in release) echo build ;; *) echo "build/$1" ;; esac; }

# tests NAME PRESET [CTEST-OPTION...]: counts what ctest counts.
tests() {
    stage_starts "$1"
    folder=$(preset_folder "$2")
    log=$logs/$(echo "$1" | tr ' ' '-').log
    shift 2
    good=0
    bad=0
    ctest --test-dir "$folder" --output-on-failure -j "$((jobs + 1))" "$@" >"$log" 2>&1 || bad=1
    # "97% tests passed, 2 tests failed out of 70"
    count=$(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 \2/p' "$log")
    if [ -n "$count" ]; then
        bad=${count% *}
        good=$((${count#* } - bad))
    else
        bad=1
    fi
    [ "$good" -gt 0 ] || bad=$((bad > 0 ? bad : 1))
    passed=$((passed + good))
    failed=$((failed + bad))
    [ "$bad" -eq 0 ] || cat "$log"
    stage_ends "$good passed, $bad failed"
}

stage_starts "set-up"
sh tools/setup.sh check
stage_ends ok

one "layers" python3 tools/check_layers.py || :
one "ops" python3 tools/check_ops.py || :
one "release build" build release -DARTEL_WERROR=ON || finish
# Some tests are left to one instruction set: those of the engine in double, of which plain loops are all there is, and those of
# text, files and memory, where nothing is computed.
once='_double$|gradcheck|^test_arch$|^test_(oom.*|data_.*|sp_train|bpe_train|json|tokenizer|text|partial)$|^replay_'
once="$once|^cli_(corpus|debian_tables|tokenizer|data|files|bad)\$"
whole=""
for level in avx512 avx2 ref; do
    if [ "$(ARTEL_CPU=$level build/artel --version | sed -n 's/^ *cpu *//p')" != "$level" ]; then
        leave_out "instruction set $level, which this processor does not have"
        continue
    fi
    export ARTEL_CPU=$level
    # shellcheck disable=SC2086
    tests "release tests, $level" release $whole
    unset ARTEL_CPU
    whole="-E $once"
done

one "debug build" build debug || finish
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0
export UBSAN_OPTIONS=print_stacktrace=1
# The demo takes minutes here, labs and the runs of test_bits more than one; all that they call has tests of its own.
tests "debug tests" debug -E '^(cli_demo|cli_lab.*|test_lab_trial|test_bits)$'
unset ASAN_OPTIONS UBSAN_OPTIONS

one "plain build" build plain -DARTEL_WERROR=ON || finish
tests "plain tests" plain -R '^test_|^replay_'

if command -v clang >/dev/null 2>&1; then
    one "clang build" build_clang && tests "bits of clang" clang -R '^test_(op_bits|bits|maths|kernels)$'
else
    leave_out "clang, which is not installed"
fi
finish
