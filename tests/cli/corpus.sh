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

# Descriptions as JSON lines, pages of LibreOffice's help, lines of Japanese.
run 0 awk -f tools/description_lines.awk "$work/list"
printf '%s\n' "{\"id\":\"0\",\"text\":\"$long $long $long\"}" >"$work/wanted"
check "a line a description that has an id" cmp "$work/wanted" "$work/.out"
cat >"$work/quotes" <<'END'
Package: a
Description-md5: 1a
Description-xx: title
 a "quote" and a \ and	a tab
 * a list
 .
 second

Package: again
Description-md5: 1a
Description-xx: title
 the same text in English
END
run 0 awk -f tools/description_lines.awk "$work/quotes"
printf '%s\n' '{"id":"1a","text":"a \"quote\" and a \\ and a tab\n\nsecond"}' >"$work/wanted"
check "JSON" cmp "$work/wanted" "$work/.out"
mkdir -p "$work/help/en/a" "$work/help/xx/a" "$work/help/out/a"
for l in en xx; do
    {
        printf '%s\n' '<html><head><title>A</title></head><body>' '<header>menu</header>' '<div id="DisplayArea" itemscope="true">'
        [ $l = en ] || echo '<p id="1" dir="auto">Ein <em>Satz</em>, der hier steht.</p>'
        echo "<p id=\"2\" dir=\"auto\"><a href=\"$l/b.html\">Nobody has translated this one.</a><br></p>"
        echo '<div>Nobody has translated this one.'
        printf '%s\n' '</div><p>Short</p></div>' '<div id="SearchFrame"></div>' '<footer>about</footer>' '</body></html>'
    } >"$work/help/$l/a/page.html"
done
run 0 sh -c 'cd "$1/help/xx" && awk -v out=../out -v original=../en -f "$2" ./a/page.html' - "$work" "$PWD/tools/help_page.awk"
printf '%s\n' '<html><body>' '<div id="DisplayArea" itemscope="true">' '<p id="1" dir="auto">Ein <em>Satz</em>, der hier steht.</p>' \
    '<div>Nobody has translated this one.' '</div><p>Short</p></div>' '</body></html>' >"$work/wanted"
check "help, without menus and what is not translated" cmp "$work/wanted" "$work/help/out/a/page.html"
printf '\346\260\264 \347\201\253  \346\234\250 a \346\260\264 \303\251 \303\251\n' >"$work/wide"
run 0 sh -c 'LC_ALL=C awk -f tools/join_wide.awk "$1"' - "$work/wide"
printf '\346\260\264\347\201\253\346\234\250 a \346\260\264 \303\251 \303\251\n' >"$work/wanted"
check "spaces between wide characters are left" cmp "$work/wanted" "$work/.out"

# The options of a selection.
run 0 sh tools/corpus.sh --help
prints "--languages en,fr,de,es,it,pl,ja,ru"
run 2 sh tools/corpus.sh
run 2 sh tools/corpus.sh --languages en
says "-o OUT is missing"
run 2 sh tools/corpus.sh -o "$work/c"
says "--languages is missing"
run 2 sh tools/corpus.sh --languages en,English -o "$work/c"
says 'found `English`'
run 2 sh tools/corpus.sh --languages en --sources man,books -o "$work/c"
says 'found `books`'
run 2 sh tools/corpus.sh --language en -o "$work/c"
says 'unknown option `--language`'
run 2 sh tools/corpus.sh --languages
says "a value is missing"
check "nothing is made" test ! -e "$work/c"
mkdir "$work/mine" && : >"$work/mine/file"
run 1 sh tools/corpus.sh --languages en -o "$work/mine"
says "is not empty"
check "a folder of others stays as it is" test "$(ls -A "$work/mine")" = file

# A selection from packages made here: apt-get and apt-cache are scripts that know these alone.
if command -v dpkg-deb >/dev/null && [ -x /usr/lib/apt/apt-helper ]; then
    pool=$work/pool
    mkdir -p "$pool" "$work/bin"
    package() { # NAME SOURCE, of what is in $work/p
        mkdir -p "$work/p/DEBIAN" "$work/p/usr/share/doc/$1"
        echo "terms of $1" >"$work/p/usr/share/doc/$1/copyright"
        printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nSource: %s\nDescription: x\n' "$1" "$2" \
            >"$work/p/DEBIAN/control"
        dpkg-deb --root-owner-group -b "$work/p" "$pool/$1_1_all.deb" >/dev/null && rm -rf "$work/p"
    }
    page() { # FOLDER TEXT
        mkdir -p "$work/p/usr/share/man/$1/man1"
        printf '.TH LS 1\n.SH X\n%s\n' "$2" | gzip >"$work/p/usr/share/man/$1/man1/ls.1.gz"
    }
    page . "Lists files." && package manpages manpages
    page de "Zeigt Dateien." && package manpages-de manpages-l10n
    page ja "$(printf '\346\260\264\n\347\201\253')" && package manpages-ja manpages-ja
    for l in en:en-US:en-us de:de:de; do
        IFS=: read -r l where name <<END
$l
END
        mkdir -p "$work/p/usr/share/libreoffice/help/$where/text/a"
        { echo '<div id="DisplayArea">'; echo "<p>Not translated, and long enough.</p>"; echo "<p>$l</p>"; } \
            >"$work/p/usr/share/libreoffice/help/$where/text/a/b.html"
        package "libreoffice-help-$name" libreoffice
    done
    mkdir -p "$work/p/usr/share/dasher" && echo 'Es war einmal.' >"$work/p/usr/share/dasher/training_german_DE.txt" && package dasher-data dasher
    mkdir -p "$work/p/usr/share/games/fortunes/de/off"
    printf 'Eins.\n%%\nZwei.\n' >"$work/p/usr/share/games/fortunes/de/zitate"
    cp "$work/p/usr/share/games/fortunes/de/zitate" "$work/p/usr/share/games/fortunes/de/off/grob"
    package fortunes-de fortunes-de
    : >"$pool/apt_1_all.deb"
    cat >"$work/bin/apt-cache" <<END
#!/bin/sh
for p; do [ ! -f "$pool/\${p}_1_all.deb" ] || echo "Package: \$p"; done
END
    cat >"$work/bin/apt-get" <<END
#!/bin/sh
echo "\$*" >>"$work/calls"
[ ! -e "$work/offline" ] || { echo "E: no network"; exit 100; }
for a; do case \$a in
    Dir::State::Lists=*) lists=\${a#*=} ;;
    Acquire::Languages::=*) cp "$work/Translation-\${a#*=}" "\$lists/x_main_i18n_Translation-\${a#*=}" 2>/dev/null ;;
    download) get=1 ;;
    *) [ -z "\${get-}" ] || cp "$pool/\${a}_1_all.deb" . ;;
    esac
done
exit 0
END
    chmod +x "$work/bin/apt-get" "$work/bin/apt-cache"
    printf 'Package: a\nDescription-md5: 7\nDescription-de: t\n Ein Text.\n\n' >"$work/Translation-de"
    printf 'Package: a\nDescription-md5: 7\nDescription-en: t\n A text.\n\n' >"$work/Translation-en"
    corpus() { run "$1" env PATH="$work/bin:$PATH" sh tools/corpus.sh --languages en,de,ja \
        --sources descriptions,man,help,dasher,fortunes -o "$work/c"; }
    : >"$work/offline"
    corpus 1
    says "is there a network?"
    rm "$work/offline"
    corpus 0
    prints "left out: there are no descriptions in ja"
    prints "left out: Dasher has no prose in ja"
    prints "left out: this system's sources have no manpages-de-dev"
    prints "de/man: 1 files, 0.0 MB, GPL-3.0-or-later"
    (cd "$work/c" && find . -type f | sort) >"$work/found"
    printf './%s\n' DOMAINS SOURCES copyright/dasher-data copyright/fortunes-de copyright/libreoffice-help-de \
        copyright/libreoffice-help-en-us copyright/manpages copyright/manpages-de copyright/manpages-ja \
        de/descriptions/descriptions.jsonl de/descriptions/licence.txt de/help/a/b.html de/help/licence.txt de/man/licence.txt \
        de/man/ls.1.txt en/descriptions/descriptions.jsonl en/descriptions/licence.txt en/help/a/b.html en/help/licence.txt \
        en/man/licence.txt en/man/ls.1.txt ja/man/licence.txt ja/man/ls.1.txt ood/de/dasher/dasher.txt ood/de/dasher/licence.txt \
        ood/de/fortunes/licence.txt ood/de/fortunes/zitate.txt >"$work/wanted"
    check "these files" diff "$work/wanted" "$work/found"
    check "descriptions" grep -qx '{"id":"7","text":"Ein Text."}' "$work/c/de/descriptions/descriptions.jsonl"
    check "Japanese is not cut by lines" grep -q "$(printf '\346\260\264\347\201\253')" "$work/c/ja/man/ls.1.txt"
    check "help that is not translated" sh -c 'grep -q Not "$1/en/help/a/b.html" && ! grep -q Not "$1/de/help/a/b.html"' - "$work/c"
    check "a fortune a paragraph" test "$(tr '\n' '|' <"$work/c/ood/de/fortunes/zitate.txt")" = "Eins.||Zwei.|"
    check "licence of a translation" test "$(cat "$work/c/de/man/licence.txt")" = GPL-3.0-or-later
    check "licence of other pages" test "$(cat "$work/c/ja/man/licence.txt")" = LicenseRef-as-each-page-says
    check "the selection" test "$(sed -n 1p "$work/c/SOURCES")" = "# en de ja: descriptions man help dasher fortunes"
    check "a digest a package" grep -q '^manpages-de 1 [0-9a-f]\{64\}$' "$work/c/SOURCES"
    check "options of data build" grep -qx -- "--ood de=$work/c/ood/de/dasher" "$work/c/DOMAINS"
    : >"$work/calls"
    corpus 0
    prints "is complete"
    check "nothing is fetched again" test ! -s "$work/calls"
    run 1 env PATH="$work/bin:$PATH" sh tools/corpus.sh --languages en -o "$work/c"
    says "holds another selection"
    run 0 env PATH="$work/bin:$PATH" sh tools/corpus.sh --languages en,de --sources man -o "$work/two" --cache "$work/c.cache"
    check "packages of the cache are not fetched again" sh -c '! grep -q download "$1"' - "$work/calls"

    # Keys: what is a translation of what is found by data build.
    run 0 "$ARTEL" data build $(grep '=.*/\(en\|de\)/' "$work/c/DOMAINS" | grep -v ood) --aligned all --min-chars 0 --vocab 300 \
        --split 1,0,0 --max-diff 100 -q --json -o "$work/aligned"
    prints '"domain":"de","licence":"LicenseRef-Debian-package-descriptions AND GPL-3.0-or-later AND MPL-2.0","documents":3'
fi
done_testing
