#!/bin/sh
# Real text in four domains, from Debian packages that are unpacked but not installed.
#
#     tools/corpus.sh OUT [CACHE]
#
# makes OUT/en OUT/fr OUT/de, each of
#     handbook/  the Debian handbook (tools/translated_lines.awk)
#     man/       manual pages of programs, files and conventions, their running text (tools/man_text.awk)
#     packages/  descriptions of packages (tools/description_text.awk)
# and OUT/python: the standard library without its tests, NetworkX and SQLAlchemy.  What cannot be had is left with a
# sentence, as long as every domain has something.  Downloads, about 58 MB, stay in CACHE (default: OUT.cache); a second
# call finds everything done.  Needs apt-get and dpkg, no root and no network beyond Debian's own sources; asks
# "apt-get update" of root, or keeps package lists of its own in CACHE, when the system's are missing.
# OUT/SOURCES names what was used, with version, SHA-256 and licence.
#
#     tools/corpus.sh --languages en,ja,... [--sources descriptions,man,help,...] -o OUT
#
# makes other selections, in other languages: see tools/corpus_languages.sh.  Texts with their translations, line by line:
#
#     tools/corpus.sh --pairs en-fr,en-de [--sources help,descriptions] -o OUT
#
# see tools/corpus_pairs.sh.
set -eu
case " $* " in *" --pairs "*) exec sh "$(dirname "$0")/corpus_pairs.sh" "$@" ;; esac
case ${1-} in -*) exec sh "$(dirname "$0")/corpus_languages.sh" "$@" ;; esac
[ $# -ge 1 ] && [ $# -le 2 ] || { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
languages="en fr de"
tools=$(cd "$(dirname "$0")" && pwd)

. "$tools/corpus_fetch.sh"
mkdir -p "$1" "${2:-$1.cache}" || fail "cannot make $1 and ${2:-$1.cache}"
out=$(cd "$1" && pwd)
cache=$(cd "${2:-$1.cache}" && pwd)

complete=yes
for d in $languages python; do [ -d "$out/$d" ] || complete=""; done
if [ -n "$complete" ] && [ -f "$out/SOURCES" ]; then
    say "$out is complete"
    exit 0
fi
need_tools

# ---- download -------------------------------------------------------------------------------------------------------

# The version of Python that this Debian has.
minimal() { apt-cache $lists show --no-all-versions python3-minimal 2>/dev/null; }
minimal | grep -q . || update_lists
minor=$(minimal | sed -n 's/^Depends:.*python3\.\([0-9]*\)-minimal.*/\1/p' | sed -n 1p)
packages="debian-handbook manpages manpages-fr manpages-de
    libpython3.${minor:-11}-minimal libpython3.${minor:-11}-stdlib python3-networkx python3-sqlalchemy"
# shellcheck disable=SC2086
fetch $packages
rm -rf "$cache/partial"

# Descriptions come with the package lists, in languages that a system may have switched off.
catalogue() { # LANGUAGE
    for file in "$cache"/catalogue/*_main_i18n_Translation-"$1"*; do
        case $file in *security*|*updates*) continue ;; esac
        [ ! -f "$file" ] || { /usr/lib/apt/apt-helper cat-file "$file" && return; }
    done 2>/dev/null
}
have_catalogues() { for l in $languages; do catalogue $l | grep -q . || return 1; done; }
if ! have_catalogues; then
    say "downloading descriptions of packages"
    own_lists catalogue -o Acquire::Languages= -o Acquire::Languages::=en -o Acquire::Languages::=fr \
        -o Acquire::Languages::=de -o Acquire::IndexTargets::deb::Packages::DefaultEnabled=false || true
    have_catalogues || say "left out: cannot download descriptions of packages"
fi

# ---- unpack and lay out ---------------------------------------------------------------------------------------------

rm -rf "$cache/x" "$out/SOURCES"
for d in $languages python; do rm -rf "${out:?}/$d"; done
mkdir -p "$cache/x"
for p in $packages; do
    is_whole "$p" || continue
    # Of the handbook nothing but the pages in our languages: the rest is ten times as much.
    if [ "$p" = debian-handbook ]; then
        dpkg-deb --fsys-tarfile "$cache/$p.deb" | tar -x -C "$cache/x" --wildcards './usr/share/doc/debian-handbook/html/en-US/*.html' \
            './usr/share/doc/debian-handbook/html/fr-FR/*.html' './usr/share/doc/debian-handbook/html/de-DE/*.html' || say "left out: $p has no such pages"
    else
        dpkg-deb -x "$cache/$p.deb" "$cache/x" || fail "cannot unpack $cache/$p.deb"
    fi
done
share=$cache/x/usr/share
for place in en:en-US:. fr:fr-FR:fr de:de-DE:de; do
    IFS=: read -r l book man <<END
$place
END
    mkdir -p "$out/$l"
    mkdir -p "$out/$l/handbook" "$out/$l/man" "$out/$l/packages"
    book=$share/doc/debian-handbook/html/$book
    if [ ! -d "$book" ]; then
        :
    elif [ "$l" = en ]; then
        mv "$book"/*.html "$out/en/handbook"
    else # a third of it is English still
        awk -v original="$out/en/handbook" -v out="$out/$l/handbook" -f "$tools/translated_lines.awk" "$book"/*.html
    fi
    for section in "$share/man/$man"/man[1578]; do
        [ -d "$section" ] || continue
        find "$section" -type f -name '*.gz' -exec gzip -d -f {} +
        find "$section" -type f -exec awk -v out="$out/$l/man" -f "$tools/man_text.awk" {} +
    done
done
if have_catalogues; then
    for l in $languages; do
        catalogue $l >"$cache/x/$l"
        sed -n 's/^Package: //p' "$cache/x/$l" | LC_ALL=C sort -u >"$cache/x/$l.names"
    done
    # Of the English ones, which are three times as many, those that a translator chose.
    LC_ALL=C sort -u "$cache/x/fr.names" "$cache/x/de.names" >"$cache/x/names"
    for l in $languages; do
        awk -v out="$out/$l/packages" -f "$tools/description_text.awk" "$cache/x/names" "$cache/x/$l"
    done
fi
mkdir -p "$out/python"
for folder in "$cache"/x/usr/lib/python3.*/ "$cache"/x/usr/lib/python3/dist-packages/; do
    [ -d "$folder" ] || continue
    find "$folder" \( -name test -o -name tests -o -name testing -o -name idle_test -o -name __pycache__ \) -prune -exec rm -rf {} +
    # Tables, not code: they would be a fifth of the text.
    rm -rf "$folder/encodings" "$folder/pydoc_data"
    find "$folder" -type f ! -name '*.py' -exec rm -f {} +
    cp -r "$folder/." "$out/python"
done
rm -rf "$cache/x"

licence() {
    case $1 in
    debian-handbook) echo "CC-BY-SA-3.0 or GPL-2+" ;;
    manpages*) echo "as each page says" ;;
    libpython*) echo PSF-2.0 ;;
    python3-networkx) echo BSD-3-Clause ;;
    python3-sqlalchemy) echo MIT ;;
    esac
}
for p in $packages; do
    ! is_whole "$p" || printf '%s %s %s %s\n' "$p" "$(dpkg-deb -f "$cache/$p.deb" Version)" \
        "$(sha256sum "$cache/$p.deb" | cut -d ' ' -f 1)" "$(licence "$p")"
done >"$cache/SOURCES"
! have_catalogues || for l in $languages; do
    printf 'Translation-%s %s %s %s\n' "$l" - "$(catalogue $l | sha256sum | cut -d ' ' -f 1)" "as the packages"
done >>"$cache/SOURCES"
for d in $languages python; do
    n=$(find "$out/$d" -type f 2>/dev/null | wc -l)
    [ "$n" -gt 0 ] || fail "$d: no text could be had: is there a network, and is this Debian 12 or later?"
    say "$d: $n files, $(du -sk "$out/$d" | cut -f 1) KiB on disk"
done
mv "$cache/SOURCES" "$out/SOURCES"
