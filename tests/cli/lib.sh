# lib.sh - sourced by the CLI tests: run a command, then say what it should have done.
#
#   . tests/cli/lib.sh
#   run 2 "$ARTEL" train            exit code wanted, command; its output is kept
#   says "RECIPE"                   somewhere on stderr
#   prints "usage:"                 somewhere on stdout
#   silent                          nothing on stdout
#   done_testing                    last line
#
# $work is a temporary folder.  The first failure of each line is printed with its output.
set -u
: "${ARTEL:?the program to test}"
case $ARTEL in /*) ;; *) ARTEL=$PWD/$ARTEL ;; esac
export LC_ALL=C
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
checks=0
failures=0
command_line=

complain() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n  command: %s\n' "$1" "$command_line"
    sed 's/^/  stdout: /' "$work/.out" | head -20
    sed 's/^/  stderr: /' "$work/.err" | head -20
}

run() {
    run_want=$1
    shift
    command_line=$*
    "$@" >"$work/.out" 2>"$work/.err" </dev/null
    rc=$?
    checks=$((checks + 1))
    [ "$rc" -eq "$run_want" ] || complain "exit code $rc, expected $run_want"
}

says() {
    checks=$((checks + 1))
    grep -qF -e "$1" "$work/.err" || complain "stderr does not say: $1"
}

prints() {
    checks=$((checks + 1))
    grep -qF -e "$1" "$work/.out" || complain "stdout does not say: $1"
}

silent() {
    checks=$((checks + 1))
    [ ! -s "$work/.out" ] || complain "something on stdout"
}

# a condition of your own: check "what should hold" test -f FILE
check() {
    what=$1
    shift
    checks=$((checks + 1))
    "$@" || complain "$what"
}

# Two languages nobody speaks, words of other letters each: texts in aa/ and bb/, a data set in data/.
two_languages() {
    mkdir -p aa bb
    awk 'BEGIN {
        srand(1); split("mi no ta ke lo ra su ne", a, " "); split("zu vog dri kep fal wix bru hog", b, " ")
        for (d = 0; d < 40; d++) for (k = 0; k < 2; k++) {
            file = (k ? "bb/" : "aa/") "d" d ".txt"
            for (p = 0; p < 6; p++) {
                for (w = 0; w < 40; w++) printf "%s%s ", (k ? b[1+int(8*rand())] : a[1+int(8*rand())]),
                    (k ? b[1+int(8*rand())] : a[1+int(8*rand())]) > file
                printf ".\n\n" > file
            }
            close(file)
        }
    }'
    run 0 "$ARTEL" data build --domain aa=aa --domain bb=bb --vocab 300 -o data -q
}

done_testing() {
    echo "$checks checks, $failures failed"
    [ "$checks" -gt 0 ] && [ "$failures" -eq 0 ]
    exit
}
