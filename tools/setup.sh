#!/bin/sh
# Finds what the build needs and is not there; installs it where the user may (root, or sudo without a password),
# and prints the exact command otherwise.
#
#     tools/setup.sh [check]        `check` adds what only check.sh needs
#
# Exit 0: everything is there.  Exit 1: something is missing and was not installed; stderr says what to do.
set -eu

want=${1:-}
missing=""

say() { printf 'setup: %s\n' "$*" >&2; }
need() { missing="$missing $1"; }

# A working compiler is more than a file named cc: it must find the C library's headers.
compiler_works() {
    command -v cc >/dev/null 2>&1 && printf '#include <stdio.h>\n' | cc -E - >/dev/null 2>&1
}

# CMake reads version 6 presets from 3.25 on.
cmake_is_new_enough() {
    command -v cmake >/dev/null 2>&1 || return 1
    found=$(cmake --version | sed -n '1s/[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
    set -- $found
    [ "$1" -gt 3 ] || { [ "$1" -eq 3 ] && [ "$2" -ge 25 ]; }
}

# Without pkg-config nothing can be said of a library: it counts as missing and comes with the rest.
has_module() { command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$1"; }

compiler_works && command -v make >/dev/null 2>&1 || need build-essential
cmake_is_new_enough || need cmake
command -v pkg-config >/dev/null 2>&1 || need pkg-config
has_module openblas || need libopenblas-dev
has_module libcjson || need libcjson-dev
has_module yaml-0.1 || need libyaml-dev
has_module libpcre2-8 || need libpcre2-dev
has_module libutf8proc || need libutf8proc-dev
has_module zlib || need zlib1g-dev
has_module libzstd || need libzstd-dev
has_module libpng || need libpng-dev
has_module libjpeg || need libjpeg-dev
has_module libxxhash || need libxxhash-dev
has_module cmocka || need libcmocka-dev
if [ "$want" = check ]; then
    command -v python3 >/dev/null 2>&1 || need python3-minimal
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    say "these are missing, by the names Debian gives them:$missing"
    say "install them with the system's own package manager, headers included, and run this again"
    exit 1
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    say "some packages are missing and only root may install them; run"
    say "    sudo apt-get install --no-install-recommends$missing"
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        -o DPkg::Lock::Timeout=300 $missing >"$log" 2>&1
}
say "installing$missing"
# Package lists may be absent or too old to name files that still exist: refresh them only then.
if ! install; then
    if ! $as_root apt-get update -q >"$log" 2>&1 || ! install; then
        tail -n 20 "$log" >&2
        say "the packages could not be installed; the command was"
        say "    apt-get install --no-install-recommends$missing"
        exit 1
    fi
fi
