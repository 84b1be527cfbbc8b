# The filters of tools/corpus.sh, on a page and on descriptions made here.
. tests/cli/lib.sh

cat >"$work/page.1" <<'END'
.\" a comment
.TH PAGE 1 2020 "" ""
.SH NAME
page \- nothing much
.SH DESCRIPTION
The
.B page
utility reads
.IR file (5)
and \(lqwrites\(rq it.
.PP
.nf
an example
.fi
.TP
.B \-v
Be \fIverbose\fP\&, not \e quiet.
.TS
a	table
.TE
.SS "A heading"
Last\~words.
END
cat >"$work/other.1" <<'END'
.Dd today
.Sh NAME
left out
END
mkdir "$work/man" "$work/packages"
run 0 awk -v out="$work/man" -f tools/man_text.awk "$work/page.1" "$work/other.1"
silent
printf '%s\n\n' 'page - nothing much' 'The page utility reads file(5) and "writes" it.' 'Be verbose, not \ quiet.' 'Last words.' \
    >"$work/wanted"
check "the prose of a page" cmp "$work/wanted" "$work/man/page.1.txt"
mkdir "$work/original" "$work/translation" "$work/pages"
same='A line of sixty letters and more that nobody has translated so far.'
printf '%s\n' '<html lang="en">' "$same" >"$work/original/page.html"
printf '%s\n' '<html lang="en">' "$same" 'Eine Zeile.' "<p>$same" >"$work/translation/page.html"
run 0 awk -v original="$work/original" -v out="$work/pages" -f tools/translated_lines.awk "$work/translation/page.html"
printf '%s\n' '<html lang="en">' 'Eine Zeile.' "<p>$same" >"$work/wanted"
check "lines that nobody translated are left" cmp "$work/wanted" "$work/pages/page.html"
check "mdoc is left" test ! -e "$work/man/other.1.txt"

long="Er liest jede Zeile, die man ihm gibt, und schreibt sie in der umgekehrten Reihenfolge wieder auf."
cat >"$work/list" <<END
Package: libwort1
Description-md5: 0
Description-de: Titel
 $long
 $long $long
 .
  * eine Liste
 .
 <trans>

Package: wort-doc
Description-de: Titel
 $long
 .
 $long $long

Package: fremd
Description-de: nicht verlangt
 $long $long $long

Package: wort-kurz
Description-de: zu kurz
 $long
END
printf '%s\n' libwort1 wort-doc wort-kurz >"$work/names"
run 0 awk -v out="$work/packages" -f tools/description_text.awk "$work/names" "$work/list"
printf '%s\n\n' "$long $long $long" "$long" "$long $long" >"$work/wanted"
check "one file for what is nearly the same" test "$(ls "$work/packages")" = wort.txt
check "paragraphs, without lists and what is not translated" cmp "$work/wanted" "$work/packages/wort.txt"

# What is measured of generated texts.
printf 'one two three four five six\n' >"$work/text"
printf 'one two three four\none two three four\n' >"$work/a"
printf 'five six, zzz' >"$work/b"
run 0 awk -f tools/fluency.awk "$work/text" group=loop "$work/a" group=both "$work/a" "$work/b"
prints "loop 20.0 0.0"
prints "both 20.0 9.1"
done_testing
