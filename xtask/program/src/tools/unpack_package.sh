# Unpacks a Debian package, and those that it needs and the system lacks, into a folder. Installs nothing and needs no
# root. apt verifies what it downloads by the signatures of the system's archives.
#
#     unpack_package.sh PACKAGE FOLDER WORK [SUITE]
#
# FOLDER/packages lists what was unpacked: name, version, SHA-256. WORK is for what is made on the way. With SUITE, the
# package comes from that suite of Debian's with everything that it needs, whatever the system has.
set -eu
package=$1 folder=$2 work=$3 suite=${4-}
mkdir -p "$folder" "$work/archives" "$work/lists/partial" "$work/archives.apt/partial"

download() {
    wanted=$(apt-get "$@" install --print-uris --yes --no-install-recommends "$package") || return
    names=$(echo "$wanted" | sed -n "s/^'[^']*' \([^_ ]*\)_.*/\1/p" | grep -vx "$package" || true)
    # shellcheck disable=SC2086 # each name is a word
    (cd "$work/archives" && apt-get "$@" download "$package" $names)
}

status=/var/lib/dpkg/status
set --
if [ -n "$suite" ]; then
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r "$keys" ] || {
        echo "E: $keys is missing: install debian-archive-keyring"
        exit 1
    }
    status=$work/status
    : >"$status"
    # A mirror that stands still serves an expired list of files; its signature still holds.
    echo "deb [signed-by=$keys check-valid-until=no] http://deb.debian.org/debian $suite main" >"$work/sources.list"
    set -- -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/nonexistent
fi

# The system's own lists of packages may be missing or old: then this run has lists of its own.
if [ -n "$suite" ] || ! download; then
    set -- "$@" -o Dir::State="$work" -o Dir::State::status="$status" -o Dir::Cache="$work" \
        -o Dir::Cache::archives=archives.apt -o Acquire::Languages=none
    apt-get "$@" update
    download "$@"
fi

for archive in "$work"/archives/*.deb; do
    dpkg-deb --extract "$archive" "$folder"
    # shellcheck disable=SC2016 # dpkg-deb's own variables
    echo "$(dpkg-deb --show --showformat '${Package} ${Version}' "$archive") $(sha256sum <"$archive" | cut -d ' ' -f 1)"
done >"$folder/packages"
