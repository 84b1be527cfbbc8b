# corpus_fetch.sh - what tools/corpus.sh, corpus_languages.sh and tables.sh have in common: packages from Debian's sources.
#
# Sourced by $program (default: corpus) with $cache, a folder that exists.  apt checks every list by its signature and every package by the digest in a
# signed list; a download that was interrupted goes on where it ended.

say() { printf '%s: %s\n' "${program:-corpus}" "$*"; }
fail() {
    say "$*" >&2
    exit 1
}
# need_tools [WHAT TO DO]: without them.
need_tools() {
    for tool in apt-get dpkg-deb sha256sum; do
        command -v $tool >/dev/null 2>&1 || fail "$tool is missing: ${1:-this text comes from Debian packages.
corpus: elsewhere, put your own text into one folder a domain and run ./demo.sh --text FOLDER}"
    done
}

lists="" # options of apt-get once the lists are our own
updated=""
# Those of the packages that these lists know, one a line.
known() {
    # shellcheck disable=SC2086
    apt-cache $lists show --no-all-versions "$@" 2>/dev/null | sed -n 's/^Package: //p'
}
# own_lists WHERE OPTION...: package lists into a folder of our own.
own_lists() {
    folder=$cache/$1
    shift
    mkdir -p "$folder/partial" "$cache/apt"
    apt-get -q -o Dir::State::Lists="$folder" -o Dir::Cache="$cache/apt" "$@" update >"$cache/update.log" 2>&1
}
update_lists() {
    say "the package lists are missing or old: apt-get update"
    updated=yes
    if [ "$(id -u)" -eq 0 ]; then
        apt-get -q update >"$cache/update.log" 2>&1 && return
    elif own_lists lists; then
        lists="-o Dir::State::Lists=$cache/lists -o Dir::Cache=$cache/apt"
        return
    fi
    tail -n 3 "$cache/update.log" >&2
    fail "apt-get update failed: is there a network?  Once it works, run the command again."
}
is_whole() { [ -f "$cache/$1.deb" ] && dpkg-deb --info "$cache/$1.deb" >/dev/null 2>&1; }
# In a folder of its own, so that an interrupted download is never taken for a package.
download() {
    mkdir -p "$cache/partial"
    # shellcheck disable=SC2086
    (cd "$cache/partial" && apt-get -q $lists download "$@") >"$cache/download.log" 2>&1 || return 1
    for name in "$@"; do
        for file in "$cache/partial/$name"_*.deb; do # there may be a piece of an older version
            if dpkg-deb --contents "$file" >/dev/null 2>&1; then mv "$file" "$cache/$name.deb"; else rm "$file"; fi
        done
    done
}
# Into the cache what can be had; the rest is named.
fetch() {
    missing=""
    for p in "$@"; do is_whole "$p" || missing="$missing $p"; done
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    wanted=$(known $missing)
    for p in $missing; do
        echo "$wanted" | grep -q "^$p\$" || say "left out: this system's sources have no $p"
    done
    [ -n "$wanted" ] || return 0
    say "downloading" $wanted
    # shellcheck disable=SC2086
    download $wanted && return
    [ -n "$updated" ] || update_lists
    # shellcheck disable=SC2086
    download $wanted && return
    failed=0
    for p in $wanted; do
        if download "$p"; then failed=-1000; continue; fi
        say "left out: cannot download $p ($(grep '^E' "$cache/download.log" | tail -n 1))"
        failed=$((failed + 1))
        [ "$failed" -lt 2 ] || fail "is there a network?  Once it works, run the command again."
    done
}

# ---- a selection: what a caller's options ask for, made in a folder of its own ----

# The fourth line of the calling script says how it is called.
wrong() {
    say "$*" >&2
    say "$(sed -n '4s/^# *//p' "$0")" >&2
    exit 2
}
# open_selection REQUEST: makes $out and $cache; ends here if $out holds this selection already.  What an interrupted call
# left is made anew; anything else is not ours.
open_selection() {
    cache=${cache:-$out.cache}
    mkdir -p "$out" "$cache" || fail "cannot make $out and $cache"
    out=$(cd "$out" && pwd)
    cache=$(cd "$cache" && pwd)
    request="# $1"
    if [ -f "$out/SOURCES" ]; then
        [ "$(sed -n 1p "$out/SOURCES")" = "$request" ] || fail "$out holds another selection; name another folder:
corpus: $(sed -n '1s/^# //p' "$out/SOURCES")"
        say "$out is complete"
        exit 0
    fi
    [ -f "$out/.unfinished" ] || [ -z "$(ls -A "$out")" ] || fail "$out is not empty: name a new folder"
    echo "$request" >"$out/.unfinished"
    need_tools
}
