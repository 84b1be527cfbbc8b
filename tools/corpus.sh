#!/bin/sh
# Real text in four domains, from Debian packages that are unpacked but not installed.
#
#     tools/corpus.sh OUT [CACHE]
#
# makes OUT/en OUT/fr OUT/de (LibreOffice help, the same relative paths in each) and OUT/python (the standard library
# without its tests).  The packages, about 11 MB, stay in CACHE (default: OUT.cache); a second call finds everything
# done.  Needs apt-get and dpkg, no root and no network beyond Debian's own sources; asks "apt-get update" of root,
# or keeps package lists of its own in CACHE, when the system's are missing.
# Licences: LibreOffice help MPL-2.0, Python standard library PSF-2.0.  OUT/SOURCES names package, version and SHA-256.
set -eu
[ $# -ge 1 ] && [ $# -le 2 ] || { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
packages="libreoffice-help-en-us libreoffice-help-fr libreoffice-help-de libpython3.11-minimal libpython3.11-stdlib"

say() { printf 'corpus: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}
mkdir -p "$1" "${2:-$1.cache}" || fail "cannot make $1 and ${2:-$1.cache}"
out=$(cd "$1" && pwd)
cache=$(cd "${2:-$1.cache}" && pwd)

if [ -f "$out/SOURCES" ] && [ -d "$out/en" ] && [ -d "$out/fr" ] && [ -d "$out/de" ] && [ -d "$out/python" ]; then
    say "$out is complete"
    exit 0
fi
for tool in apt-get dpkg-deb sha256sum; do
    command -v $tool >/dev/null 2>&1 || fail "$tool is missing: this text comes from Debian packages.
corpus: elsewhere, put your own text into one folder a domain and run ./demo.sh --text FOLDER"
done

# ---- download -------------------------------------------------------------------------------------------------------

lists="" # options of apt-get once the lists are our own
find_package() {
    # shellcheck disable=SC2086
    apt-cache $lists show --no-all-versions "$1" >/dev/null 2>&1
}
update_lists() {
    say "the package lists are missing or old: apt-get update"
    if [ "$(id -u)" -eq 0 ]; then
        apt-get -q update >"$cache/update.log" 2>&1 && return
    else
        mkdir -p "$cache/lists/partial" "$cache/apt"
        lists="-o Dir::State::Lists=$cache/lists -o Dir::Cache=$cache/apt"
        # shellcheck disable=SC2086
        apt-get -q $lists update >"$cache/update.log" 2>&1 && return
    fi
    tail -n 3 "$cache/update.log" >&2
    fail "apt-get update failed: is there a network?  Once it works, run the command again."
}
download() {
    # In a folder of its own, so that an interrupted download is never taken for a package.
    rm -rf "$cache/partial"
    mkdir -p "$cache/partial"
    # shellcheck disable=SC2086
    (cd "$cache/partial" && apt-get -q $lists download "$1") >"$cache/download.log" 2>&1 || return 1
    mv "$cache"/partial/*.deb "$cache/$1.deb"
}

updated=""
for p in $packages; do
    if [ -f "$cache/$p.deb" ] && dpkg-deb --info "$cache/$p.deb" >/dev/null 2>&1; then continue; fi
    find_package "$p" || { update_lists; updated=yes; }
    find_package "$p" || {
        grep -E '^(E|W|Err)' "$cache/update.log" | tail -n 3 >&2 || true
        fail "the package sources of this system have no $p: is there a network, and is this Debian 12 (bookworm)?"
    }
    say "downloading $p"
    download "$p" || {
        [ -n "$updated" ] || { update_lists; updated=yes; }
        download "$p" || {
            tail -n 3 "$cache/download.log" >&2
            fail "cannot download $p: is there a network?"
        }
    }
done
rm -rf "$cache/partial"

# ---- unpack and lay out ---------------------------------------------------------------------------------------------

rm -rf "$cache/x" "$out/en" "$out/fr" "$out/de" "$out/python" "$out/SOURCES"
mkdir -p "$cache/x"
for p in $packages; do dpkg-deb -x "$cache/$p.deb" "$cache/x" || fail "cannot unpack $cache/$p.deb"; done
help=$cache/x/usr/share/libreoffice/help
for pair in en-US:en fr:fr de:de; do
    [ -d "$help/${pair%:*}/text" ] || fail "no $help/${pair%:*}/text in the packages"
    mv "$help/${pair%:*}/text" "$out/${pair#*:}"
done
python=$(echo "$cache"/x/usr/lib/python3.*/)
[ -d "$python" ] || fail "no usr/lib/python3.x in the packages"
find "$python" \( -name test -o -name tests -o -name idle_test -o -name __pycache__ \) -prune -exec rm -rf {} +
# Tables, not code: they would be a fifth of the text.
rm -rf "$python/encodings" "$python/pydoc_data"
(cd "$python" && find . -name '*.py' -type f) | while IFS= read -r file; do
    mkdir -p "$out/python/$(dirname "$file")"
    mv "$python/$file" "$out/python/$file"
done
rm -rf "$cache/x"
for p in $packages; do
    printf '%s %s %s\n' "$p" "$(dpkg-deb -f "$cache/$p.deb" Version)" \
        "$(sha256sum "$cache/$p.deb" | cut -d ' ' -f 1)"
done >"$cache/SOURCES"
mv "$cache/SOURCES" "$out/SOURCES"
for d in en fr de python; do
    say "$d: $(find "$out/$d" -type f | wc -l) files, $(du -sk "$out/$d" | cut -f 1) KiB"
done
