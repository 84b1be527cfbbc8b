#!/bin/sh
# Texts with their translations, from Debian packages that are unpacked but not installed.
#
#     tools/corpus.sh --pairs en-fr,en-de [--sources help,descriptions] -o OUT [--cache CACHE]
#
# makes OUT/help.en-fr.tsv, paragraphs of LibreOffice's help that have the same id in both languages
# (tools/help_pairs.awk), and OUT/descriptions.en-fr.jsonl, paragraphs of what Debian says of its packages
# (tools/description_pairs.awk), for `artel data build -d en-fr=pairs:OUT/help.en-fr.tsv`.  The first language is English.
# OUT/copyright has what the packages say, OUT/SOURCES versions and digests, OUT/DOMAINS the options of `artel data build`.  Downloads stay in
# CACHE (default: OUT.cache).  Needs apt-get and dpkg, and no root.
set -eu
tools=$(cd "$(dirname "$0")" && pwd)
. "$tools/corpus_fetch.sh"

pairs=""
sources="help descriptions"
out=""
cache=""
while [ $# -gt 0 ]; do
    case $1 in
    --pairs | --sources | -o | --cache) [ $# -ge 2 ] || wrong "$1: a value is missing" ;;
    *) wrong "unknown option \`$1\`" ;;
    esac
    case $1 in
    --pairs) pairs=$(echo "$2" | tr ',' ' ') ;;
    --sources) sources=$(echo "$2" | tr ',' ' ') ;;
    -o) out=$2 ;;
    --cache) cache=$2 ;;
    esac
    shift 2
done
[ -n "$out" ] || wrong "-o OUT is missing"
[ -n "$pairs" ] || wrong "--pairs is missing"
for p in $pairs; do
    echo "$p" | grep -Eq '^en-[a-z]{2,3}(-[A-Z]{2})?$' || wrong "--pairs: expected en-fr, en-pt-BR, ..., found \`$p\`"
done
for s in $sources; do
    case $s in help | descriptions) ;; *) wrong "--sources: expected help, descriptions or both, found \`$s\`" ;; esac
done
# shellcheck disable=SC2086,SC2116
open_selection "$(echo $pairs): $(echo $sources)"

lower() { echo "$1" | tr 'A-Z' 'a-z'; }
languages=""
for p in $pairs; do languages="$languages ${p#en-}"; done
used=""
rm -rf "$out/copyright" "$out/DOMAINS"

# help_pages PACKAGE WHERE
help_pages() {
    is_whole "$1" || return 1
    rm -rf "$cache/x" "$2"
    mkdir -p "$cache/x" "$out/copyright"
    dpkg-deb -x "$cache/$1.deb" "$cache/x" || fail "cannot unpack $cache/$1.deb"
    used="$used $1"
    cp "$cache/x/usr/share/doc/$1/copyright" "$out/copyright/$1" 2>/dev/null || true
    mv "$cache"/x/usr/share/libreoffice/help/*/text "$2" 2>/dev/null
}
make_help() {
    [ -n "$(known apt)" ] || update_lists
    packages=libreoffice-help-en-us
    for l in $languages; do packages="$packages libreoffice-help-$(lower "$l")"; done
    # shellcheck disable=SC2086
    fetch $packages
    help_pages libreoffice-help-en-us "$cache/english" || fail "cannot have libreoffice-help-en-us: is there a network?"
    for l in $languages; do
        help_pages "libreoffice-help-$(lower "$l")" "$cache/pages" || { say "left out: there is no help in $l"; continue; }
        (cd "$cache/english" && find . -type f -name '*.html' | LC_ALL=C sort |
            LC_ALL=C xargs awk -v other="$cache/pages" -f "$tools/help_pairs.awk") >"$out/help.en-$l.tsv"
    done
    rm -rf "$cache/x" "$cache/english" "$cache/pages"
}
make_descriptions() {
    rm -rf "$cache/text"
    sh "$tools/corpus_languages.sh" --languages "en$(echo "$languages" | tr ' ' ',')" --sources descriptions -o "$cache/text" \
        --cache "$cache" || exit 1
    for l in $languages; do
        [ -f "$cache/text/$l/descriptions/descriptions.jsonl" ] || continue
        LC_ALL=C awk -f "$tools/description_pairs.awk" "$cache/text/en/descriptions/descriptions.jsonl" \
            "$cache/text/$l/descriptions/descriptions.jsonl" >"$out/descriptions.en-$l.jsonl"
    done
    sed -n '/^Translation/p' "$cache/text/SOURCES" >"$cache/translations"
    rm -rf "$cache/text"
}
rm -f "$cache/translations"
for s in $sources; do "make_$s"; done
for p in $pairs; do
    for f in "$out/help.$p.tsv" "$out/descriptions.$p.jsonl"; do
        [ -s "$f" ] || { rm -f "$f"; continue; }
        say "${f##*/}: $(wc -l <"$f") pairs, $(wc -c <"$f" | awk '{ printf "%.1f MB", $1 / 1e6 }')"
        printf -- '--domain %s=pairs:%s\n' "$p" "$f" >>"$out/DOMAINS"
    done
done
[ -f "$out/DOMAINS" ] || fail "no pairs could be had: is there a network, and is this Debian 12 or later?"
{
    echo "$request"
    for p in $(echo $used | tr ' ' '\n' | LC_ALL=C sort -u); do
        printf '%s %s %s\n' "$p" "$(dpkg-deb -f "$cache/$p.deb" Version)" "$(sha256sum "$cache/$p.deb" | cut -d ' ' -f 1)"
    done
    [ ! -f "$cache/translations" ] || cat "$cache/translations"
} >"$cache/SOURCES"
rm -f "$out/.unfinished"
mv "$cache/SOURCES" "$out/SOURCES"
