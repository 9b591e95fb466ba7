#!/bin/sh
# Makes the root of an image that holds these programs and what they load, and nothing else: no package manager, no
# setuid file, no tool that was not asked for.
#
#     minimal-root.sh ROOT UID PROGRAM...
#
# Runs while an image is built, in a Debian base. The records of the packages that the files come from go along, where
# scanners look for them (var/lib/dpkg/status.d, as distroless images have it).
set -eu

root=$1
uid=$2
shift 2

# A file with every link on the way to it.
take() {
    file=$1
    while [ -L "$file" ]; do
        link=$(realpath "$(dirname "$file")")/$(basename "$file")
        [ -e "$root$link" ] || cp --archive --parents "$link" "$root"
        target=$(readlink "$link")
        case $target in
        /*) file=$target ;;
        *) file=$(dirname "$link")/$target ;;
        esac
    done
    file=$(realpath "$file")
    [ -e "$root$file" ] || cp --archive --parents "$file" "$root"
    chmod u-s,g-s "$root$file"
    record "$file"
}

record() {
    package=$(dpkg-query --search "$1" 2>/dev/null | head -n 1 | cut -d : -f 1) || return 0
    [ -n "$package" ] || package=$(dpkg-query --search "${1#/usr}" 2>/dev/null | head -n 1 | cut -d : -f 1)
    [ -n "$package" ] || return 0
    mkdir -p "$root/var/lib/dpkg/status.d"
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"
}

# The real program: a name on PATH may be a wrapper that needs half a distribution.
find_program() {
    path=$(command -v "$1")
    if [ "$(head -c 4 "$(realpath "$path")" | tail -c 3)" = ELF ]; then
        echo "$path"
    else
        find / -xdev -type f -name "$1" -perm -u+x -exec sh -c 'test "$(head -c 4 "$1" | tail -c 3)" = ELF' _ {} \; -print |
            head -n 1
    fi
}

mkdir -p "$root/etc" "$root/usr"
for merged in bin sbin lib lib64; do
    [ ! -L "/$merged" ] || cp --archive "/$merged" "$root/"
    [ ! -d "/$merged" ] || mkdir -p "$root$(realpath "/$merged")"
done
install -d -m 1777 "$root/tmp"

for name in "$@"; do
    program=$(find_program "$name")
    if [ -z "$program" ]; then
        echo "minimal-root.sh: $name is not in this base; expected a program on its PATH" >&2
        exit 1
    fi
    take "$program"
    folder=$(dirname "$program")
    # Where the wrapper was passed over, the program is found under its usual name all the same.
    case $folder in
    /bin | /usr/bin | /usr/local/bin) ;;
    *)
        mkdir -p "$root/usr/local/bin"
        ln -sf "$program" "$root/usr/local/bin/$name"
        ;;
    esac
    ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | while read -r library; do
        take "$library"
    done
done

[ ! -e /etc/nsswitch.conf ] || cp /etc/nsswitch.conf "$root/etc/"
cp /etc/os-release "$root/etc/os-release"
printf 'root:x:0:0::/:/sbin/nologin\nflowship:x:%s:%s::/:/sbin/nologin\n' "$uid" "$uid" >"$root/etc/passwd"
printf 'root:x:0:\nflowship:x:%s:\n' "$uid" >"$root/etc/group"
