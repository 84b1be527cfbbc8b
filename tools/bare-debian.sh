#!/bin/sh
# Proves the two commands of the README where nothing is installed: makes the smallest Debian 12 with debootstrap,
# clones HEAD into it and runs ./check.sh and ./demo.sh inside, as a stranger would.
#
#     tools/bare-debian.sh [--only check|demo] [--quick] [--keep] [--suite NAME]
#
# --quick runs ./demo.sh --quick, which takes the same way in a few steps.
# Needs root, and package sources that work on this machine: they are copied into the new system as they are.
# --keep leaves the system on disk and prints where; otherwise nothing stays.  Exit 0: every command run succeeded.
set -eu
cd "$(dirname "$0")/.."

only=""
quick=""
keep=""
suite=bookworm
while [ $# -gt 0 ]; do
    case $1 in
    --only) only=${2:?--only check or --only demo}; shift ;;
    --suite) suite=${2:?--suite NAME}; shift ;;
    --quick) quick=--quick ;;
    --keep) keep=yes ;;
    *) echo "usage: tools/bare-debian.sh [--only check|demo] [--quick] [--keep] [--suite NAME]" >&2; exit 2 ;;
    esac
    shift
done
case $only in "" | check | demo) ;; *) echo "bare-debian: --only takes check or demo" >&2; exit 2 ;; esac
[ "$(id -u)" -eq 0 ] || { echo "bare-debian: making a system needs root" >&2; exit 1; }

say() { printf 'bare-debian: %s\n' "$*"; }

if ! command -v debootstrap >/dev/null 2>&1; then
    say "installing debootstrap"
    apt-get install -y -q --no-install-recommends debootstrap >/dev/null 2>&1 || {
        apt-get update -q >/dev/null
        apt-get install -y -q --no-install-recommends debootstrap >/dev/null
    }
fi

root=$(mktemp -d "${TMPDIR:-/var/tmp}/artel-bare.XXXXXX")
cleanup() {
    for point in dev/pts dev proc; do
        if mountpoint -q "$root/$point"; then umount -l "$root/$point" || keep=yes; fi
    done
    if [ -n "$keep" ]; then
        say "left in $root"
    else
        rm -rf --one-file-system "$root"
    fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# The first repository of this machine that carries the suite, and the proxy that apt goes through.
mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n "s/^$suite //p" | head -n 1)
[ -n "$mirror" ] || { say "no package source of this machine carries $suite (is apt-get update due?)" >&2; exit 1; }
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "${proxy:-}" ] || export http_proxy="$proxy"

began=$(date +%s)
debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 || {
    tail -n 20 "$root.log" >&2
    rm -f "$root.log"
    exit 1
}
rm -f "$root.log"

# The same package sources inside.  Settings that call programs of this machine stay out.
rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d"
for part in sources.list sources.list.d keyrings trusted.gpg.d auth.conf auth.conf.d preferences.d; do
    [ ! -e "/etc/apt/$part" ] || cp -a "/etc/apt/$part" "$root/etc/apt/"
done
for setting in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
    [ -f "$setting" ] && grep -q Acquire "$setting" && ! grep -q Invoke "$setting" || continue
    cp "$setting" "$root${setting}"
done
[ ! -d /usr/share/keyrings ] || cp -a /usr/share/keyrings/. "$root/usr/share/keyrings/"
for file in /etc/resolv.conf /etc/hosts; do
    [ ! -e "$file" ] || cat "$file" >"$root$file"
done
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
[ ! -d /dev/pts ] || mount --bind /dev/pts "$root/dev/pts"
git clone -q --no-hardlinks . "$root/artel"
say "$(chroot "$root" sh -c '. /etc/os-release; echo "$PRETTY_NAME"; dpkg-query -W | wc -l' | tr '\n' ' ')packages," \
    "commit $(git rev-parse --short HEAD), made in $(($(date +%s) - began)) s"

result=0
prove() {
    began=$(date +%s)
    say "./$*"
    if chroot "$root" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        sh -c 'cd /artel && "$@"' sh "./$@"; then
        say "./$*: done in $(($(date +%s) - began)) s"
    else
        say "./$*: FAILED after $(($(date +%s) - began)) s"
        result=1
    fi
}
[ "$only" = demo ] || prove check.sh
[ "$only" = check ] || prove demo.sh $quick
exit $result
