# lib.sh - sourced by the CLI tests: run a command, then say what it should have done.
#
#   . tests/cli/lib.sh
#   run 2 "$ARTEL" train            exit code wanted, command; its output is kept
#   says "RECIPE"                   somewhere on stderr
#   prints "usage:"                 somewhere on stdout
#   silent                          nothing on stdout
#   done_testing                    last line
#
# $work is a folder that goes away.  The first failure of each line is told with its output.
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

done_testing() {
    echo "$checks checks, $failures failed"
    [ "$checks" -gt 0 ] && [ "$failures" -eq 0 ]
    exit
}
