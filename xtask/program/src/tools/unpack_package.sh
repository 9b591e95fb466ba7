# Unpacks a Debian package, and those that it needs and the system lacks, into a folder. Installs nothing and needs no
# root. apt verifies what it downloads by the signatures of the system's archives.
#
#     unpack_package.sh PACKAGE FOLDER WORK
#
# FOLDER/packages lists what was unpacked: name, version, SHA-256. WORK is for what is made on the way.
set -eu
package=$1 folder=$2 work=$3
mkdir -p "$folder" "$work/archives" "$work/lists/partial" "$work/archives.apt/partial"

download() {
    wanted=$(apt-get "$@" install --print-uris --yes --no-install-recommends "$package") || return
    names=$(echo "$wanted" | sed -n "s/^'[^']*' \([^_ ]*\)_.*/\1/p" | grep -vx "$package" || true)
    # shellcheck disable=SC2086 # each name is a word
    (cd "$work/archives" && apt-get "$@" download "$package" $names)
}

# The system's own lists of packages may be missing or old: then this run has lists of its own.
if ! download; then
    set -- -o Dir::State="$work" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$work" \
        -o Dir::Cache::archives=archives.apt -o Acquire::Languages=none
    apt-get "$@" update
    download "$@"
fi

for archive in "$work"/archives/*.deb; do
    dpkg-deb --extract "$archive" "$folder"
    # shellcheck disable=SC2016 # dpkg-deb's own variables
    echo "$(dpkg-deb --show --showformat '${Package} ${Version}' "$archive") $(sha256sum <"$archive" | cut -d ' ' -f 1)"
done >"$folder/packages"
