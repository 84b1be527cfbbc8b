#!/bin/sh
# The public interface: the header stands alone in C11 and C++11, the library exports what the header
# declares and nothing else.
. tests/cli/lib.sh

printf '#include "artel.h"\nint main(void) { return artel_status_text(ARTEL_OK) == 0; }\n' >"$work/use.c"
run 0 cc -std=c11 -Wall -Wextra -Wpedantic -Wstrict-prototypes -Werror -Iinclude -fsyntax-only "$work/use.c"
if command -v c++ >/dev/null 2>&1; then
    sed 's/(void)/()/' "$work/use.c" >"$work/use.cc"
    run 0 c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only "$work/use.cc"
fi

library=$(dirname "$ARTEL")/libartel.so
if [ -e "$library" ]; then
    nm -D --defined-only "$library" | awk '$2 == "T" || $2 == "D" || $2 == "B" || $2 == "R" {print $3}' |
        sort >"$work/exported"
    tr '\n' ' ' <include/artel.h | grep -oE 'ARTEL_API [^;]*' | grep -oE 'artel_[a-z0-9_]+ ?\(' |
        tr -d ' (' | sort -u >"$work/declared"
    command_line="compare the symbols of $library with include/artel.h"
    diff "$work/declared" "$work/exported" >"$work/.out" 2>&1
    check "exported and declared symbols differ" test ! -s "$work/.out"
    check "nothing is declared" test -s "$work/declared"
fi
done_testing
