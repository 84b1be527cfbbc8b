#!/bin/sh
# Text in languages of your choice, from Debian packages that are unpacked but not installed.
#
#     tools/corpus.sh --languages en,fr,de,es,it,pl,ja,ru [--sources descriptions,man,help] -o OUT [--cache CACHE]
#
# makes OUT/LANGUAGE/SOURCE for each language and source:
#     descriptions   what Debian says of its packages: JSON lines, "id" is the same in all languages (tools/description_lines.awk)
#     man            manual pages of manpages-LANGUAGE, their running text, a file a page (tools/man_text.awk)
#     help           LibreOffice's help, a web page a page (tools/help_page.awk)
#     python         OUT/python: the standard library without its tests, NetworkX and SQLAlchemy
#     dasher         OUT/ood/LANGUAGE/dasher: the texts that Dasher learns from; prose, to be tried and not learnt from
#     fortunes       OUT/ood/LANGUAGE/fortunes: quotations, poems, jokes; the same
# Paths below a language are the same in all languages, so that `artel data build --aligned` finds translations.  licence.txt
# in each folder is its licence; OUT/copyright has what the packages say, OUT/SOURCES versions and digests, OUT/DOMAINS the
# options of `artel data build` that read all of it.  Languages are named as de, pt-BR, zh-CN; what there is none of is left
# with a sentence.  Downloads stay in CACHE (default: OUT.cache), one that was interrupted goes on, and all are checked
# by apt's signatures.  Needs apt-get and dpkg, and no root.
set -eu
tools=$(cd "$(dirname "$0")" && pwd)
. "$tools/corpus_fetch.sh"

all_sources="descriptions man help python dasher fortunes"
languages=""
sources="descriptions man help"
out=""
cache=""
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --languages | --sources | -o | --cache) [ $# -ge 2 ] || wrong "$1: a value is missing" ;;
    *) wrong "unknown option \`$1\`" ;;
    esac
    case $1 in
    --languages) languages=$(echo "$2" | tr ',' ' ') ;;
    --sources) sources=$(echo "$2" | tr ',' ' ') ;;
    -o) out=$2 ;;
    --cache) cache=$2 ;;
    esac
    shift 2
done
[ -n "$out" ] || wrong "-o OUT is missing"
[ -n "$languages" ] || [ "$sources" = python ] || wrong "--languages is missing"
for l in $languages; do
    echo "$l" | grep -Eq '^[a-z]{2,3}(-[A-Z]{2})?$' || wrong "--languages: expected en, pt-BR, ..., found \`$l\`"
done
for s in $sources; do
    case " $all_sources " in *" $s "*) ;; *) wrong "--sources: expected some of $all_sources, found \`$s\`" ;; esac
done
wants() { case " $sources " in *" $1 "*) return 0 ;; esac; return 1; }

# shellcheck disable=SC2086,SC2116
open_selection "$(echo $languages): $(echo $sources)"
[ -x /usr/lib/apt/apt-helper ] || fail "/usr/lib/apt/apt-helper is missing"

# ---- names ----------------------------------------------------------------------------------------------------------

lower() { echo "$1" | tr 'A-Z' 'a-z'; }
under() { echo "$1" | tr '-' '_'; }
man_packages() { # LANGUAGE
    case $1 in
    en) echo manpages manpages-dev ;;
    zh*) echo manpages-zh ;;
    *) echo "manpages-$(lower "$1")" "manpages-$(lower "$1")-dev" ;;
    esac
}
help_package() { case $1 in en) echo libreoffice-help-en-us ;; *) echo "libreoffice-help-$(lower "$1")" ;; esac; }
fortune_packages() { case $1 in en) echo fortunes-min fortunes ;; *) echo "fortunes-$(lower "$1")" ;; esac; }
dasher_text() {
    case $1 in
    bn) echo bengali_BD ;; cs) echo czech_CS ;; cy) echo welsh_GB ;; da) echo danish_DK ;; de) echo german_DE ;;
    el) echo greek_GR ;; en) echo english_GB ;; es) echo spanish_ES ;; eu) echo basque_ES ;; fa) echo persian_IR ;;
    fi) echo finnish_FI ;; fr) echo french_FR ;; he) echo hebrew_IL ;; hu) echo hungarian_HU ;; it) echo italian_IT ;;
    mn) echo mongolian_MN ;; nl) echo dutch_NL ;; pl) echo polish_PL ;; pt-BR) echo portuguese_BR ;; ru) echo russian_RU ;;
    sq) echo albanian_SQ ;; sv) echo swedish_SE ;; sw) echo swahili_KE ;; tr) echo turkish_TR ;;
    *) echo none ;;
    esac
}
# Scripts that are written without spaces.
is_tight() { case $1 in ja | zh*) return 0 ;; esac; return 1; }

# ---- download -------------------------------------------------------------------------------------------------------

[ -n "$(known apt)" ] || update_lists
minor=$(apt-cache $lists show --no-all-versions python3-minimal 2>/dev/null |
    sed -n 's/^Depends:.*python3\.\([0-9]*\)-minimal.*/\1/p' | sed -n 1p)
python_packages="libpython3.${minor:-11}-minimal libpython3.${minor:-11}-stdlib python3-networkx python3-sqlalchemy"
packages=""
for l in $languages; do
    ! wants man || packages="$packages $(man_packages "$l")"
    ! wants help || packages="$packages $(help_package "$l")"
    ! wants fortunes || packages="$packages $(fortune_packages "$l")"
done
# The English pages tell what was not translated.
! wants help || case " $packages " in *" libreoffice-help-en-us "*) ;; *) packages="$packages libreoffice-help-en-us" ;; esac
! wants python || packages="$packages $python_packages"
! wants dasher || packages="$packages dasher-data"
# shellcheck disable=SC2086
[ -z "$packages" ] || fetch $packages
for p in $packages; do
    is_whole "$p" || [ -z "$(known "$p")" ] ||
        fail "cannot download $p: is there a network?  Once it works, run the command again."
done

catalogue() { # LANGUAGE
    for file in "$cache/catalogue-$1"/*_main_i18n_Translation-*; do
        case $file in *security* | *updates*) continue ;; esac
        [ ! -f "$file" ] || { /usr/lib/apt/apt-helper cat-file "$file" && return; }
    done 2>/dev/null
}
if wants descriptions; then
    for l in $languages; do
        catalogue "$l" | grep -q . && continue
        say "downloading descriptions of packages: $l"
        own_lists "catalogue-$l" -o Acquire::Languages= -o Acquire::Languages::="$(under "$l")" \
            -o Acquire::IndexTargets::deb::Packages::DefaultEnabled=false -o APT::Update::Error-Mode=any || {
            tail -n 3 "$cache/update.log" >&2
            fail "cannot download descriptions of packages: is there a network?  Once it works, run the command again."
        }
        catalogue "$l" | grep -q . || say "left out: there are no descriptions in $l"
    done
fi

# ---- unpack and lay out ---------------------------------------------------------------------------------------------

x=$cache/x
used=""
for d in $languages python ood copyright; do rm -rf "${out:?}/$d"; done
rm -f "$out/DOMAINS"
# unpack PACKAGE: into $x, which is empty before; false if there is no such package.
unpack() {
    rm -rf "$x"
    mkdir -p "$x"
    is_whole "$1" || return 1
    dpkg-deb -x "$cache/$1.deb" "$x" || fail "cannot unpack $cache/$1.deb"
    used="$used $1"
    mkdir -p "$out/copyright"
    [ ! -f "$x/usr/share/doc/$1/copyright" ] || cp "$x/usr/share/doc/$1/copyright" "$out/copyright/$1"
}
# done_with FOLDER LICENCE: an empty folder goes.
done_with() {
    if [ -n "$(find "$1" -type f 2>/dev/null | sed -n 1p)" ]; then
        echo "$2" >"$1/licence.txt"
    else
        rm -rf "$1"
        rmdir -p "${1%/*}" 2>/dev/null || true
    fi
}
tight() { # LANGUAGE: a filter
    if is_tight "$1"; then LC_ALL=C awk -f "$tools/join_wide.awk"; else cat; fi
}

make_descriptions() { # LANGUAGE
    mkdir -p "$out/$1/descriptions"
    catalogue "$1" | tight "$1" | LC_ALL=C awk -f "$tools/description_lines.awk" | tight "$1" >"$out/$1/descriptions/descriptions.jsonl"
    [ -s "$out/$1/descriptions/descriptions.jsonl" ] || rm "$out/$1/descriptions/descriptions.jsonl"
    done_with "$out/$1/descriptions" LicenseRef-Debian-package-descriptions
}
make_man() { # LANGUAGE
    mkdir -p "$out/$1/man" "$cache/man"
    terms=GPL-3.0-or-later # of manpages-l10n; other pages have their own
    for p in $(man_packages "$1"); do
        unpack "$p" || continue
        [ "$(dpkg-deb -f "$cache/$p.deb" Source | sed 's/ .*//')" = manpages-l10n ] || terms=LicenseRef-as-each-page-says
        folder=$x/usr/share/man
        [ "$1" = en ] || folder=$folder/$(under "$1")
        [ -d "$folder" ] || continue
        find "$folder" -maxdepth 2 -path '*/man[1-8]*/*' -type f -name '*.gz' -exec gzip -d -f {} +
        find "$folder" -maxdepth 2 -path '*/man[1-8]*/*' -type f -exec awk -v out="$out/$1/man" -f "$tools/man_text.awk" {} +
    done
    if is_tight "$1"; then
        for f in "$out/$1/man"/*.txt; do
            [ ! -f "$f" ] || { tight "$1" <"$f" >"$cache/tight" && mv "$cache/tight" "$f"; }
        done
    fi
    done_with "$out/$1/man" "$terms"
}
# help_pages PACKAGE WHERE: its pages; the folder is called as the language is.
help_pages() {
    unpack "$1" || return 1
    for folder in "$x"/usr/share/libreoffice/help/*/text; do
        [ -d "$folder" ] || continue
        rm -rf "$2"
        mv "$folder" "$2"
    done
    [ -d "$2" ]
}
make_help() { # LANGUAGE
    mkdir -p "$out/$1/help"
    if help_pages "$(help_package "$1")" "$cache/pages"; then
        original=""
        [ "${1%%-*}" = en ] || original=$cache/english
        (cd "$cache/pages" && find . -type d | while read -r d; do mkdir -p "$out/$1/help/$d"; done
            find . -type f -name '*.html' -exec env LC_ALL=C awk -v out="$out/$1/help" -v original="$original" -f "$tools/help_page.awk" {} +)
        rm -rf "$cache/pages"
    fi
    done_with "$out/$1/help" MPL-2.0
}
make_dasher() { # LANGUAGE
    unpack dasher-data || return 0
    file=$x/usr/share/dasher/training_$(dasher_text "$1").txt
    [ -f "$file" ] || { say "left out: Dasher has no prose in $1"; return 0; }
    mkdir -p "$out/ood/$1/dasher"
    cp "$file" "$out/ood/$1/dasher/dasher.txt"
    done_with "$out/ood/$1/dasher" LicenseRef-as-Debian-copyright
}
make_fortunes() { # LANGUAGE
    for p in $(fortune_packages "$1"); do
        unpack "$p" || continue
        mkdir -p "$out/ood/$1/fortunes"
        find "$x"/usr/share/games -type f ! -name '*.dat' ! -name '*.u8' ! -path '*/off/*' | while read -r f; do
            iconv -f UTF-8 -t UTF-8 "$f" >/dev/null 2>&1 || continue
            sed 's/^%.*$//' "$f" | tr -d '\001-\010\013-\037' >"$out/ood/$1/fortunes/${f##*/}.txt"
        done
    done
    done_with "$out/ood/$1/fortunes" LicenseRef-as-Debian-copyright
}
make_python() {
    mkdir -p "$out/python"
    for p in $python_packages; do
        unpack "$p" || continue
        for folder in "$x"/usr/lib/python3.*/ "$x"/usr/lib/python3/dist-packages/; do
            [ -d "$folder" ] || continue
            find "$folder" \( -name test -o -name tests -o -name testing -o -name idle_test -o -name __pycache__ \) -prune -exec rm -rf {} +
            rm -rf "$folder/encodings" "$folder/pydoc_data" # tables
            find "$folder" -type f ! -name '*.py' -exec rm -f {} +
            cp -r "$folder/." "$out/python"
        done
    done
    done_with "$out/python" "PSF-2.0 AND BSD-3-Clause AND MIT"
}

! wants help || help_pages libreoffice-help-en-us "$cache/english" || say "left out: what is not translated cannot be told"
for l in $languages; do
    for s in $sources; do
        [ "$s" = python ] || "make_$s" "$l"
    done
done
! wants python || make_python
rm -rf "$x" "$cache/english" "$cache/man" "$cache/tight" "$cache/partial"

# ---- what there is --------------------------------------------------------------------------------------------------

size() { find "$1" -type f ! -name licence.txt -exec cat {} + | wc -c | awk '{ printf "%.1f MB", $1 / 1e6 }'; }
tell() { # FOLDER DOMAIN OPTION
    say "${1#"$out/"}: $(find "$1" -type f ! -name licence.txt | wc -l) files, $(size "$1"), $(cat "$1/licence.txt")"
    printf '%s %s=%s\n' "$3" "$2" "$1" >>"$out/DOMAINS"
}
for l in $languages; do
    for s in $sources; do [ ! -d "$out/$l/$s" ] || tell "$out/$l/$s" "$l" --domain; done
    [ -d "$out/$l" ] || [ -d "$out/ood/$l" ] || say "left out: there is no text in $l"
done
[ ! -d "$out/python" ] || tell "$out/python" python --domain
for l in $languages; do
    for d in "$out/ood/$l"/*; do [ ! -d "$d" ] || tell "$d" "$l" --ood; done
done
[ -n "$(find "$out" -name licence.txt | sed -n 1p)" ] || fail "no text could be had: is there a network, and is this Debian 12 or later?"
{
    echo "$request"
    for p in $(echo $used | tr ' ' '\n' | LC_ALL=C sort -u); do
        printf '%s %s %s\n' "$p" "$(dpkg-deb -f "$cache/$p.deb" Version)" "$(sha256sum "$cache/$p.deb" | cut -d ' ' -f 1)"
    done
    ! wants descriptions || for l in $languages; do
        [ ! -d "$out/$l/descriptions" ] || printf 'Translation-%s - %s\n' "$(under "$l")" "$(catalogue "$l" | sha256sum | cut -d ' ' -f 1)"
    done
} >"$cache/SOURCES"
rm -f "$out/.unfinished"
mv "$cache/SOURCES" "$out/SOURCES"
