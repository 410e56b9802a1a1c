#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# install.sh [--prefix DIR] [--uninstall]: puts Keyhole under DIR (default /usr/local), or takes away what it put there. DESTDIR in the environment
# goes in front of everything, for those who make packages.
set -e
here=$(dirname "$(readlink -f "$0")")
prefix=/usr/local
remove=
usage() {
    echo "install.sh: $1; usage: install.sh [--prefix DIR] [--uninstall]" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix) [ $# -gt 1 ] || usage "--prefix: nothing follows it"; prefix=$2; shift ;;
        --prefix=*) prefix=${1#*=} ;;
        --uninstall) remove=1 ;;
        -h | --help) sed -n '3,4s/^# //p' "$0"; exit 0 ;;
        *) usage "'$1' is no option" ;;
    esac
    shift
done
case "$prefix" in /*) ;; *) usage "--prefix: $prefix does not begin with a /" ;; esac
prefix=${prefix%/}

# Where a file of the tree goes: what is under usr under the prefix, what is under etc (hooks of the toolstack) where the toolstack looks.
target() {
    case "$1" in
        usr/*) echo "${DESTDIR:-}$prefix/${1#usr/}" ;;
        *) echo "${DESTDIR:-}/$1" ;;
    esac
}
cd "$here/tree"
find . ! -type d | sed 's:^\./::' | LC_ALL=C sort | while read -r file; do
    to=$(target "$file")
    if [ -n "$remove" ]; then
        rm -f "$to"
    else
        mkdir -p "$(dirname "$to")"
        # Somebody may run the one that is there: it is replaced, not written over.
        rm -f "$to"
        cp -P -p "$file" "$to"
    fi
done
if [ -n "$remove" ]; then
    # Folders of Keyhole's own, the deepest first.
    find usr/lib/keyhole usr/share/doc/keyhole -type d | LC_ALL=C sort -r | while read -r folder; do
        rmdir "$(target "$folder")" 2>/dev/null || true
    done
    echo "removed from ${DESTDIR:-}$prefix"
else
    echo "installed: ${DESTDIR:-}$prefix/bin/keyhole"
fi
