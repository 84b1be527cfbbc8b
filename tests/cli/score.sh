#!/bin/sh
# artel score: figures, and files that do not go together.
. tests/cli/lib.sh
golden=$PWD/tests/golden/bleu

run 0 "$ARTEL" score "$golden/text.txt" --reference "$golden/reference.txt"
prints "BLEU 48.11  (precisions 86.8/84.1/81.4/77.9, brevity 0.583, 447 words for 688)"
prints "chrF 60.77"
prints "60 lines"
gzip -c "$golden/text.txt" >"$work/text.gz"
run 0 "$ARTEL" score "$work/text.gz" -r "$golden/reference.txt" --json
prints '"bleu":48.11334242667'
prints '"chrf":60.76901126752'
head -59 "$golden/text.txt" >"$work/short.txt"
run 1 "$ARTEL" score "$work/short.txt" -r "$golden/reference.txt"
says "short.txt has 59 lines"
silent
run 1 "$ARTEL" score "$golden/text.txt" -r "$work/short.txt"
says "short.txt has 59 lines"
: >"$work/empty.txt"
run 1 "$ARTEL" score "$work/empty.txt" -r "$work/empty.txt"
says "no line in it"
run 1 "$ARTEL" score "$work/none.txt" -r "$golden/reference.txt"
says "none.txt"
run 2 "$ARTEL" score "$golden/text.txt"
says "--reference"
done_testing
